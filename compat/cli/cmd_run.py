"""`compat run`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from compat import native
from compat.cli.options import additions_option, parse_cwd, parse_environment
from compat.errors import CompatError
from compat.launch import MEMORY_MAX, MEMORY_MIN, RunRequest, launch, monitor_arguments
from compat.network import parse_network
from compat.program import ABI_VERSION, Kind, Program, find_program, image_version, looked_at
from compat.remember import remember
from compat.units import parse_size
from compat.wrap_request import Addition, WrapRequest

# The host's variables that describe the user's terminal, language and time zone; nothing else passes.
OF_TERMINAL = ("TERM", "COLORTERM")
OF_USER = ("LANG", "LANGUAGE", "TZ")


@click.command("run", short_help="Run a program or an image.")
@click.argument("program", metavar="PROGRAM|IMAGE")
@click.argument("args", nargs=-1, type=click.UNPROCESSED)
@click.option("-m", "--mem", metavar="SIZE", help="Memory of the machine, 8M to 128G; default: 512M.")
@click.option("--cpus", type=click.IntRange(1, 64), default=1, show_default=True, help="Virtual CPUs.")
@click.option("-e", "--env", multiple=True, metavar="K=V", callback=parse_environment, help="Set a variable.")
@additions_option()
@click.option("--minimal", is_flag=True, help="Give PROGRAM a kernel of only what it can reach, as compat wrap does.")
@click.option("--cwd", metavar="DIR", callback=parse_cwd, help="Working directory; default: this one, or the image's.")
@click.option("-p", "--publish", multiple=True, metavar="[IP:]HOST:GUEST[/udp]", help="Lead a port of the host inside.")
@click.option("--net", metavar="KIND", help="user (default), none, or tap[:NAME][,ip=..][,gateway=..][,dns=..] ...")
@click.option("--allow-net", multiple=True, metavar="HOST:PORT", help="Allow only this outside; also dns, none.")
@click.option("--pcap", type=click.Path(path_type=Path), metavar="FILE", help="Write the packets to FILE.")
@click.option("--platform", type=click.Choice(["kvm", "qemu"]), help="Default: kvm where /dev/kvm opens, else qemu.")
@click.option("--json-stats", type=click.Path(path_type=Path), metavar="FILE", help="Write figures of the run.")
@click.option("--debug-faults", "faults", hidden=True, help="What is to go wrong; for a kernel built with --debug.")
def command(**options: Any) -> None:
    """Run PROGRAM, wrapping it on the fly, or an IMAGE made by `compat wrap`.

    A bare name is searched in PATH. ARGS after -- go to the program; options stand before or after PROGRAM. TERM (on a
    terminal) and, for a PROGRAM, LANG, LC_* and TZ are passed on from this environment; other variables are set with -e
    (-e NAME alone passes NAME on).

    \b
    The program has a network without any privilege; the host's own services are at 10.0.2.2 there.
      -p 8080:80                  port 8080 of the host, on all addresses, is port 80 of the program
      -p 127.0.0.1:5353:53/udp    on one address, by UDP; IPv6 addresses in brackets
      -p 8000-8010:8000-8010      a range
      --net none                  no network but loopback
      --net tap:tap0,ip=dhcp      a network card of its own, on an interface of the host; also
                                  ip=ADDRESS/BITS, gateway=, dns=, mac=, mtu=, bridge=
      --allow-net example.org:443 nothing outside but this; repeat it, also 10.0.0.0/8:5432, dns, none

    \b
    Exit status: the program's own (128+N when signal N killed it), or
      125  compat cannot do it (usage, no KVM, bad image, disk full ...)
      126  the file is not a program that can run here
      127  no such program, or a library or interpreter of it is missing
       70  an error inside compat: a bug
    """
    request = prepare(**options)
    if request.looked_at is not None and request.platform != "qemu":
        argv = [native.MONITOR, *monitor_arguments(request)]
        remember(argv, request.args or (), str(request.image), request.looked_at)
    launch(request)


def prepare(
    program: str,
    args: tuple[str, ...],
    mem: str | None,
    cpus: int,
    env: tuple[str, ...],
    additions: tuple[Addition, ...],
    cwd: str | None,
    publish: tuple[str, ...],
    net: str | None,
    allow_net: tuple[str, ...],
    pcap: Path | None,
    platform: str | None,
    json_stats: Path | None,
    faults: str | None,
    *,
    minimal: bool,
) -> RunRequest:
    """What the options ask for; a PROGRAM is wrapped."""
    memory = _memory(mem) if mem is not None else None
    network = parse_network(net, publish, allow_net, pcap)
    found = find_program(program)
    if found.kind is Kind.IMAGE:
        if additions:
            raise CompatError("--add needs a PROGRAM: an image is complete", "add the files with compat wrap --add")
        if minimal:
            raise CompatError("--minimal needs a PROGRAM: an image has its kernel already")
        image, arg0, arguments = _checked_image(found.path), None, list(args)
    else:
        image, arg0 = _wrapped(found, additions, minimal=minimal), found.arg0
        arguments = [*found.prefix, *args]
        cwd = cwd or os.getcwd()
    return RunRequest(
        image=image,
        args=arguments,
        env=[*_passed_on(found.kind), *env],
        arg0=arg0,
        cwd=cwd,
        memory=memory,
        cpus=cpus,
        json_stats=json_stats,
        platform=platform,
        network=network,
        looked_at=_decisive(found, additions),
        faults=faults,
    )


def _decisive(found: Program, additions: tuple[Addition, ...]) -> list[str] | None:
    """See `RunRequest.looked_at`. What a script's first line names is looked for too, which is not followed here."""
    if found.kind is Kind.SCRIPT:
        return None
    # HOST:GUEST means something else once there is a file of that name.
    return [*looked_at(found.typed, found.path), *(f"{item.host}:{item.guest}" for item in additions)]


def _memory(text: str) -> int:
    size = parse_size(text)
    if not MEMORY_MIN <= size <= MEMORY_MAX:
        raise CompatError(f"-m {text}: a machine has at least 8M and at most 128G of memory")
    return size


def _passed_on(kind: Kind) -> list[str]:
    """An image has its own language and time zone; a program on the fly has the user's."""
    names = [name for name in OF_TERMINAL if os.isatty(0) or os.isatty(1)]
    if kind is not Kind.IMAGE:
        names += [*OF_USER, *(name for name in os.environ if name.startswith("LC_"))]
    return [f"{name}={os.environ[name]}" for name in names if name in os.environ]


def _checked_image(path: str) -> Path:
    version = image_version(path)
    if version != ABI_VERSION:
        raise CompatError(f"{path} was made by another version of compat (ABI {version})", "wrap the program again")
    return Path(path)


def _wrapped(program: Program, additions: tuple[Addition, ...], *, minimal: bool) -> Path:
    from compat.cache import cached_image

    def build(output: Path) -> dict[str, os.stat_result]:
        from compat.cli.report import watch
        from compat.select.model import SelectRequest
        from compat.wrap import wrap

        with watch() as progress:
            # The whole kernel is there already, and on the fly its size matters little.
            select = SelectRequest(everything=not minimal)
            request = WrapRequest(program=program, output=output, additions=additions, select=select, describe=False)
            return wrap(request, progress).inputs

    key: list[object] = [program.exe, program.scripts, [(item.host, item.guest) for item in additions], minimal]
    return cached_image(key, build)
