"""Test suites that programs' authors wrote, run against the programs natively and in the guest."""
