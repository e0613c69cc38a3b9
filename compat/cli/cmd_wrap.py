"""`compat wrap`."""

from __future__ import annotations

from pathlib import Path

import click

from compat.cli.options import additions_option, parse_cwd, parse_environment
from compat.select.model import Margin, SelectRequest, Uplinks
from compat.wrap_request import Addition, WrapRequest


@click.command("wrap", short_help="Make an image of a program.")
@click.argument("program")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Image file; default: PROGRAM's name + .img.")
@additions_option()
@click.option("-e", "--env", multiple=True, metavar="K=V", callback=parse_environment, help="Set a variable.")
@click.option("--cwd", metavar="DIR", callback=parse_cwd, help="Working directory; default: /.")
@click.option("--standalone", is_flag=True, help="Make one executable file that runs itself.")
@click.option("--keep-ids", is_flag=True, help="Keep owners of files; otherwise all belong to root.")
@click.option("--all", "everything", is_flag=True, help="Keep every system call of the kernel, and both ways out.")
@click.option("--include", multiple=True, metavar="NAME|@COMPONENT", help="Keep a system call, or all of a component.")
@click.option("--exclude", multiple=True, metavar="NAME|@COMPONENT", help="Leave it out, whatever the analysis says.")
@click.option("--profile", type=click.Path(path_type=Path), metavar="TRACE", help="Keep what a trace shows, and ...")
@click.option(
    "--margin",
    type=click.Choice([margin.value for margin in Margin]),
    help="... no more (none), the rest of the components used (component; default), or all that is reachable (reach).",
)
@click.option(
    "--net",
    type=click.Choice([uplinks.value for uplinks in Uplinks]),
    help="How a program with sockets may be run: --net user (default), --net tap and on QEMU (tap), or both (all).",
)
@click.option("--symbols", is_flag=True, help="Keep the kernel's symbols in the file, for nm, gdb and perf.")
@click.option("--lean", is_flag=True, help="Add only what ELF headers name: no package data, locales, certificates.")
def command(
    program: str,
    args: tuple[str, ...],
    output: Path | None,
    additions: tuple[Addition, ...],
    env: tuple[str, ...],
    cwd: str | None,
    *,
    everything: bool,
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    profile: Path | None,
    margin: str | None,
    net: str | None,
    symbols: bool,
    standalone: bool,
    keep_ids: bool,
    lean: bool,
) -> None:
    """Make an image of PROGRAM, with everything that it needs.

    PROGRAM is an x86-64 Linux executable or a script; a bare name is searched in PATH. ARGS after -- become the
    arguments that the image uses when it is run without any.

    The image's kernel holds only the system calls that PROGRAM can reach, by static analysis, or that a trace of it
    shows (--profile; the output of strace -f -o FILE, or of compat trace --json). A call that was left out answers
    ENOSYS, and the kernel says so once.

    A standalone file hands all its arguments to the program and takes no options. From its environment it reads:

    \b
      COMPAT_MEM=SIZE           memory of the machine, for example 64M or 2G (default 512M)
      COMPAT_ENV_NAME=VALUE     sets NAME for the program
      COMPAT_PUBLISH="SPEC ..." ports of the host that lead inside, as compat run -p
      COMPAT_NET=SPEC           as compat run --net
      COMPAT_ALLOW_NET="SPEC .." as compat run --allow-net
      LANG, LANGUAGE, LC_*, TZ  passed on; TERM and COLORTERM too, on a terminal
    """
    from compat.cli.report import print_report, watch
    from compat.errors import CompatError
    from compat.program import Kind, find_program
    from compat.wrap import wrap

    found = find_program(program)
    if found.kind is Kind.IMAGE:
        raise CompatError(f"{program} is an image already")
    if output is None:
        output = Path(Path(found.path).name + ("" if standalone else ".img"))
        if output.exists() and output.samefile(found.path):
            raise CompatError("the image would overwrite the program", "name another file with -o")
    request = WrapRequest(
        program=found,
        output=output,
        args=args,
        env=env,
        cwd=cwd,
        additions=additions,
        standalone=standalone,
        keep_ids=keep_ids,
        lean=lean,
        symbols=symbols,
        select=_selection(everything, include, exclude, profile, margin, net),
    )
    with watch() as progress:
        report = wrap(request, progress)
    print_report(report)


def _selection(
    everything: bool,  # noqa: FBT001
    include: tuple[str, ...],
    exclude: tuple[str, ...],
    profile: Path | None,
    margin: str | None,
    net: str | None,
) -> SelectRequest:
    if everything and profile is not None:
        raise click.UsageError("--all and --profile exclude each other")
    if margin is not None and profile is None:
        raise click.UsageError("--margin belongs to --profile")
    if net is None:
        net = (Uplinks.ALL if everything else Uplinks.USER).value
    return SelectRequest(
        everything=everything,
        profile=profile,
        margin=Margin(margin) if margin is not None else Margin.COMPONENT,
        include=include,
        exclude=exclude,
        uplinks=Uplinks(net),
    )
