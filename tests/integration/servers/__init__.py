"""Real servers, started in the same way natively and in the guest, and asked the same by real clients on the host."""
