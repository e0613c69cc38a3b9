"""Options that several commands share, and their checks."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from compat.wrap_request import Addition


def parse_environment(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """`K=V`; a bare `K` takes the host's value."""
    pairs = []
    for value in values:
        name, equals, _ = value.partition("=")
        if not name:
            raise click.BadParameter(f"{value!r} is not NAME=VALUE")
        if not equals:
            if name not in os.environ:
                raise click.BadParameter(f"{name} is not set here; write {name}=VALUE")
            value = f"{name}={os.environ[name]}"
        pairs.append(value)
    return tuple(pairs)


def additions_option(text: str = "Add a file or directory.") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """`--add`."""
    return click.option(
        "--add", "additions", multiple=True, metavar="HOST[:GUEST]", callback=_parse_additions, help=text
    )


def _parse_additions(_ctx: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[Addition, ...]:
    """`HOST[:GUEST]`; without GUEST the file keeps its absolute path. HOST may hold colons.

    A GUEST that ends with a slash is a directory to put HOST into.
    """
    additions = []
    for value in values:
        host, guest = value, ""
        if not os.path.lexists(value):
            host, _, guest = value.rpartition(":")
        if not host or not os.path.lexists(host):
            raise click.BadParameter(f"{host or value}: no such file or directory")
        if guest and not guest.startswith("/"):
            raise click.BadParameter(f"{guest}: the path inside the image must be absolute")
        host = os.path.abspath(host)
        if guest.endswith("/"):
            guest += os.path.basename(host)
        additions.append(Addition(host, os.path.normpath(guest) if guest else host))
    return tuple(additions)


def parse_cwd(_ctx: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    if value is not None and not value.startswith("/"):
        raise click.BadParameter("the working directory must be absolute")
    return value
