"""`compat diff`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from compat.cli import cmd_run
from compat.cli.cmd_trace import run_options
from compat.errors import CompatError

if TYPE_CHECKING:
    from compat.diff.align import Divergence
    from compat.diff.normal import Normal
    from compat.diff.runs import Run

SCHEMA_VERSION = 1
EQUAL, DIFFERS, ERROR = 0, 1, 2
WIDTH = 160


@click.command("diff", short_help="Run a program here and in the guest, and compare its system calls.")
@click.argument("program")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.option("--all", "show_all", is_flag=True, help="Show all divergences, not only the first.")
@click.option("--json", "as_json", is_flag=True, help="For programs; see compat/schema/diff.schema.json.")
@click.option("--add-found", is_flag=True, help="Add each file to the guest that the native run opened.")
@click.option("--stdin", type=click.Path(path_type=Path), metavar="FILE", help="Input of both runs; default: none.")
def command(
    program: str, *, show_all: bool, as_json: bool, add_found: bool, stdin: Path | None, **options: Any
) -> None:
    """Run PROGRAM here under strace and in the guest, and show the first system call that went another way.

    \b
    compat diff sort -- /etc/services --add /etc/services
    compat diff --all --stdin data.json jq -- .name
    compat diff --json /usr/bin/python3 -- -c 'import ssl'

    PROGRAM really runs here: what it writes is written. Addresses, process numbers, times, random bytes, what machines
    say about themselves (/proc, /sys, uname ...) and the files that compat makes for an image are not compared; the
    README has the list. Threads are compared in the order of their creation, without their futex calls.

    Exit status: 0 equal, 1 different, 2 an error.
    """
    try:
        native, guest, found = compare(program, stdin, options, add_found=add_found)
    except CompatError as error:
        print(f"compat: {error}", file=sys.stderr)
        if error.hint:
            print(f"  {error.hint}", file=sys.stderr)
        sys.exit(ERROR)
    differences = _ends(native, guest)
    if as_json:
        print(json.dumps(document([program, *options["args"]], native, guest, found), indent=1))
    else:
        _print(native, guest, found, differences, show_all=show_all)
    sys.exit(DIFFERS if found or differences else EQUAL)


command.params += run_options("json_stats", "platform", "pcap", "publish")


def compare(
    program: str, stdin: Path | None, options: dict[str, Any], *, add_found: bool = False
) -> tuple[Run, Run, list[Divergence]]:
    from compat.diff.align import compare as compare_traces
    from compat.diff.runs import found_files, run_in_guest, run_natively
    from compat.program import Kind, find_program

    found = find_program(program)
    if found.kind is Kind.IMAGE:
        raise CompatError(f"{program} is an image, which cannot run natively", "name the program that it was made of")
    rest: dict[str, Any] = {"json_stats": None, "platform": "kvm", "pcap": None, "publish": ()}
    request = cmd_run.prepare(program=program, **options, **rest)
    native = run_natively(found, request, stdin)
    if add_found:
        additions = (*options.pop("additions"), *found_files(native.trace))
        request = cmd_run.prepare(program=program, additions=additions, **options, **rest)
    guest = run_in_guest(request, stdin)
    return native, guest, list(compare_traces(native.trace, guest.trace))


def _ends(native: Run, guest: Run) -> list[str]:
    """What the user would see."""
    differences = []
    if native.status != guest.status:
        differences.append(f"exit status: {native.status} natively, {guest.status} in the guest")
    for name, ours, theirs in (("output", native.stdout, guest.stdout), ("errors", native.stderr, guest.stderr)):
        if ours != theirs:
            differences.append(f"standard {name}: {len(ours)} bytes natively, {len(theirs)} in the guest, not the same")
    return differences


def document(words: list[str], native: Run, guest: Run, found: list[Divergence]) -> dict[str, Any]:
    return {
        "schema_version": SCHEMA_VERSION,
        "command": words,
        "equal": not found and not _ends(native, guest),
        "status": {"native": native.status, "guest": guest.status},
        "same_stdout": native.stdout == guest.stdout,
        "same_stderr": native.stderr == guest.stderr,
        "calls": {"native": _count(native), "guest": _count(guest)},
        "divergences": [
            {
                "kind": divergence.kind,
                "thread": divergence.thread,
                "native": _side(divergence.native, divergence.at[0]),
                "guest": _side(divergence.guest, divergence.at[1]),
                "context": [f"{call.shown} = {call.raw_result}" for call in divergence.context],
            }
            for divergence in found
        ],
    }


def _count(run: Run) -> int:
    return sum(map(len, run.trace.threads.values()))


def _side(call: Normal | None, at: int) -> dict[str, Any] | None:
    return None if call is None else {"at": at, "call": call.name, "text": call.shown, "result": call.raw_result}


def _print(native: Run, guest: Run, found: list[Divergence], differences: list[str], *, show_all: bool) -> None:
    threads = f"{len(native.trace.threads)}/{len(guest.trace.threads)} threads"
    print(f"{_count(native)} calls natively, {_count(guest)} in the guest, {threads} (native/guest)")
    for text in differences:
        print(text)
    if not found:
        print("no divergence of system calls")
        return
    for divergence in found if show_all else found[:1]:
        print(f"\n{divergence.kind}, thread {divergence.thread}, call {divergence.at[0]} (guest: {divergence.at[1]}):")
        if not show_all:
            for call in divergence.context:
                print(f"          {_cut(f'{call.shown} = {call.raw_result}')}")
        for side, side_call in (("native", divergence.native), ("guest", divergence.guest)):
            if side_call is not None:
                print(f"  {side:6}  {_cut(f'{side_call.shown} = {side_call.raw_result}')}")
    if len(found) > 1 and not show_all:
        print(f"\n{len(found) - 1} more; --all shows them")


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else f"{text[: WIDTH - 3]}..."
