"""`compat trace`."""

from __future__ import annotations

import contextlib
import copy
import os
import signal
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

import click

from compat.cli import cmd_run
from compat.errors import CompatError

if TYPE_CHECKING:
    from compat.instances import Instance
    from compat.trace.filters import Wanted
    from compat.trace.session import Writer

STRING_MAX = 4096


def run_options(*without: str) -> list[click.Parameter]:
    """The options of `compat run`, but for those names; -e is the filter's, as with strace."""
    options: list[click.Parameter] = []
    for option in cmd_run.command.params:
        if isinstance(option, click.Option) and option.name not in without:
            option = copy.copy(option)
            option.opts = [text for text in option.opts if text != "-e"]
            options.append(option)
    return options


@click.command("trace", short_help="Show the system calls of a program as it runs.")
@click.argument("program", metavar="PROGRAM|IMAGE", required=False)
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.option("-e", "filters", multiple=True, metavar="FILTER", help="open,%file,/REGEX,!name or signal=none; adds up.")
@click.option("-c", "--summary", is_flag=True, help="Count calls, errors and time instead.")
@click.option("--missing-files", is_flag=True, help="List the paths that were not found instead.")
@click.option("--traps", is_flag=True, help="List the syscall instructions that were not replaced by jumps instead.")
@click.option("--json", "as_json", is_flag=True, help="JSON Lines, see compat/schema/trace.schema.json.")
@click.option("--strace", "as_strace", is_flag=True, help="As strace prints it (the default).")
@click.option("-o", "--output", type=click.Path(dir_okay=False), metavar="FILE", help="Default: standard error.")
@click.option(
    "-s", "string", type=click.IntRange(0, STRING_MAX), default=32, show_default=True, help="Bytes of strings shown."
)
@click.option("-t", "times", is_flag=True, help="The time of day before each line.")
@click.option("-T", "durations", is_flag=True, help="The time that each call took.")
@click.option("--attach", metavar="PID|IMAGE", help="Trace an instance that runs, until Ctrl-C.")
def command(program: str | None, args: tuple[str, ...], attach: str | None, **options: Any) -> None:
    """Run PROGRAM or IMAGE as `compat run` does, and show its system calls as strace does.

    \b
    compat trace /bin/ls -- -l /tmp            all calls, on standard error
    compat trace -e %file,connect curl -- URL  calls with paths, and connect
    compat trace -e '!futex,/^epoll' redis-server
    compat trace -c python3 -- -c 'pass'       how often, how many errors, how long
    compat trace --missing-files app.img       what it looked for in vain
    compat trace --json -o calls.jsonl ls      for programs
    compat trace --attach 4711 -e %network     an instance that runs (compat stats lists them)

    \b
    FILTER: names with commas; %file %desc %network %memory %signal %process %ipc %creds %clock; /REGEX;
    ! before it inverts; signal=none hides signals. Filtered calls are not even recorded.

    The program waits while nobody reads its trace; nothing is dropped. Tracing needs KVM and compat's own monitor. The
    exit status is the program's, as with `compat run`.
    """
    from compat.trace import session
    from compat.trace.filters import Wanted

    own = {name: options.pop(name) for name in OWN}
    wanted = Wanted(own["filters"])
    settings = wanted.settings(own["string"])
    if attach is not None:
        if program is not None:
            raise CompatError("--attach traces what runs already: leave PROGRAM out")
        instance = find_instance(attach)
        with _output(own["output"]) as out:
            session.attach(instance, settings, _writers(out, [attach], own, wanted))
        return
    if program is None:
        raise CompatError("name a PROGRAM or an IMAGE, or an instance with --attach")
    request = cmd_run.prepare(program=program, args=args, **options)
    with _output(own["output"]) as out:
        writers = _writers(out, [program, *args], own, wanted)
        status = session.run_traced(request, settings, writers)
    sys.exit(status)


OWN = [option.name or "" for option in command.params if option.name not in {"program", "args", "attach"}]
command.params += run_options()


@contextlib.contextmanager
def _output(path: str | None) -> Iterator[TextIO]:
    """Where the trace goes. Who stops reading it ends the run, as with strace."""
    try:
        if path is None:
            yield sys.stderr
        else:
            with open(path, "w", encoding="utf-8") as file:
                yield file
    except BrokenPipeError:
        # Nobody hears what else might be said.
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - until the end
        sys.exit(128 + signal.SIGPIPE)
    except OSError as error:
        raise CompatError(f"cannot write the trace: {error.strerror}") from error


def _writers(out: TextIO, words: list[str], own: dict[str, Any], wanted: Wanted) -> list[Writer]:
    from compat.trace.jsonl import JsonLines
    from compat.trace.summary import Counts, MissingFiles, Traps
    from compat.trace.text import StraceText, Style

    if own["as_json"] and own["as_strace"]:
        raise CompatError("--json and --strace exclude each other")
    summaries: list[Writer] = []
    if own["summary"]:
        summaries.append(Counts(out))
    if own["missing_files"]:
        summaries.append(MissingFiles(out))
    if own["traps"]:
        summaries.append(Traps(out))
    if own["as_json"]:
        return [JsonLines(out, words, own["string"]), *summaries]
    if summaries and not own["as_strace"]:
        return summaries
    style = Style(
        string=own["string"],
        times=own["times"],
        durations=own["durations"],
        signals=wanted.signals,
        start=wanted.start,
        always_number=own["output"] is not None,
    )
    return [StraceText(out, style), *summaries]


def find_instance(text: str) -> Instance:
    """By process number, or by the path of its image if one instance runs that."""
    from pathlib import Path

    from compat.instances import ask_instance, find_instances

    instances = find_instances()
    if text.isdecimal():
        found = [instance for instance in instances if instance.pid == int(text)]
    else:
        image = str(Path(text).resolve())
        answers = [(instance, ask_instance(instance, "info")) for instance in instances]
        found = [instance for instance, answer in answers if answer is not None and answer.get("image") == image]
    if not found:
        raise CompatError(f"there is no instance {text}", "compat stats shows all")
    if len(found) > 1:
        numbers = ", ".join(str(instance.pid) for instance in found)
        raise CompatError(f"several instances run {text}: {numbers}", "name one by its number")
    return found[0]
