"""compat: run an unmodified Linux program as a unikernel."""

__version__ = "0.1.0"
