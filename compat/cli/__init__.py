"""The command line."""

import sys

from compat.repeat import repeat


def main() -> None:
    """Runs a command. What has been run before starts without all that reads command lines."""
    repeat(sys.argv[1:])
    from compat.cli.group import main as run_command

    run_command()
