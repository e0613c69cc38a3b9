"""Test suites that servers' authors wrote, run against the servers natively and in the guest."""
