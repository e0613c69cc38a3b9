"""The command line."""

from compat.cli.group import main

__all__ = ["main"]
