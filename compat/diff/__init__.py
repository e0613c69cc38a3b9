"""The same program natively and in the guest: whose system calls go another way first. ARCHITECTURE.md, "Tracing"."""
