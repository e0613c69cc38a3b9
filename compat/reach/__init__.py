"""Which system calls a program can reach, and how."""
