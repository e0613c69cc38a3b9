"""The command group. Commands load when they are used: starting a program must not wait for what it does not need."""

from __future__ import annotations

import importlib
import os
import sys
from typing import NoReturn

import click

from compat import __version__
from compat.errors import STATUS_CANNOT_RUN, STATUS_INTERNAL, CompatError

COMMANDS = {
    "diff": "Run a program here and in the guest, and compare its system calls.",
    "doctor": "What this machine offers, and what to do about what it lacks.",
    "inspect": "What is in an image.",
    "report": "Say before the boot whether a program will run.",
    "run": "Run a program or an image.",
    "stats": "What running instances do: packets, sockets, memory, exits.",
    "syscalls": "The table of system calls.",
    "trace": "Show the system calls of a program as it runs.",
    "wrap": "Make an image of a program.",
}

EPILOG = """\b
Exit status: the program's own (128+N when signal N killed it), or
  125  compat cannot do it (usage, no KVM, bad image, disk full ...)
  126  the file is not a program that can run here
  127  no such program, or a library or interpreter of it is missing
   70  an error inside compat: a bug
"""


class LazyGroup(click.Group):
    """Imports `compat.cli.cmd_NAME` on use."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return sorted(COMMANDS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = importlib.import_module(f"compat.cli.cmd_{name}")
        command = module.command
        if not isinstance(command, click.Command):
            raise TypeError(f"compat.cli.cmd_{name}.command is no command")
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="compat")
def group() -> None:
    """Run unmodified Linux programs as unikernels on KVM."""


def main() -> NoReturn:
    """Runs a command and turns errors into messages and exit statuses."""
    _replace_closed_streams()
    try:
        sys.exit(group.main(prog_name="compat", standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(STATUS_CANNOT_RUN)
    except (click.Abort, KeyboardInterrupt):
        print("compat: interrupted", file=sys.stderr)
        sys.exit(130)
    except CompatError as error:
        print(f"compat: {error}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        sys.exit(error.status)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    except Exception:
        _report_bug()
        sys.exit(STATUS_INTERNAL)


def _replace_closed_streams() -> None:
    """Descriptors 0 to 2 must not become an image that is being written, with messages going into it.

    The replacements close by themselves when the monitor takes over: the program sees its streams closed.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    # Python has None for a stream that was closed at its start, and `print` then takes another one.
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)


def _report_bug() -> None:
    import platform
    import traceback

    traceback.print_exc()
    versions = f"compat {__version__}, Python {platform.python_version()}, {platform.platform()}"
    print(f"compat: this is a bug; please report it with the lines above ({versions})", file=sys.stderr)
