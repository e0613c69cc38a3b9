"""Compares what the static analysis says of real programs with what they do under strace."""
