"""Traces of system calls: what the kernel records, decoded as strace prints it. ARCHITECTURE.md, "Tracing"."""
