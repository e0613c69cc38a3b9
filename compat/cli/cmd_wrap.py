"""`compat wrap`."""

from __future__ import annotations

from pathlib import Path

import click

from compat.cli.options import parse_additions, parse_cwd, parse_environment
from compat.wrap_request import Addition, WrapRequest


@click.command("wrap", short_help="Make an image of a program.")
@click.argument("program")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Image file; default: PROGRAM's name + .img.")
@click.option(
    "--add",
    "additions",
    multiple=True,
    metavar="HOST[:GUEST]",
    callback=parse_additions,
    help="Add a file or directory.",
)
@click.option("-e", "--env", multiple=True, metavar="K=V", callback=parse_environment, help="Set a variable.")
@click.option("--cwd", metavar="DIR", callback=parse_cwd, help="Working directory; default: /.")
@click.option("--standalone", is_flag=True, help="Make one executable file that runs itself.")
@click.option("--keep-ids", is_flag=True, help="Keep owners of files; otherwise all belong to root.")
@click.option("--lean", is_flag=True, help="Add only what ELF headers name: no package data, locales, certificates.")
def command(
    program: str,
    args: tuple[str, ...],
    output: Path | None,
    additions: tuple[Addition, ...],
    env: tuple[str, ...],
    cwd: str | None,
    *,
    standalone: bool,
    keep_ids: bool,
    lean: bool,
) -> None:
    """Make an image of PROGRAM, with everything that it needs.

    PROGRAM is an x86-64 Linux executable or a script; a bare name is searched in PATH. ARGS after -- become the
    arguments that the image uses when it is run without any.

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
    )
    with watch() as progress:
        report = wrap(request, progress)
    print_report(report)
