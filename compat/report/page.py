"""The report as one web page that needs nothing else: no network, and for reading no scripts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from compat import __version__
from compat.reach.model import Step
from compat.report.model import Report
from compat.report.text import short_path
from compat.syscall_table import LEVELS, UNCOVERED
from compat.units import format_size

TEMPLATE = "page.html.jinja"


def render(reports: Sequence[Report]) -> str:
    """The page for one program or several."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"size": format_size, "basename": os.path.basename, "short_path": short_path}
    template = environment.get_template(TEMPLATE)
    return template.render(
        reports=reports,
        levels=LEVELS,
        uncovered=UNCOVERED,
        version=__version__,
        files_of=files_of,
    )


def files_of(path: Sequence[Step]) -> list[tuple[str, list[str]]]:
    """A path as runs of functions of one file, in order."""
    runs: list[tuple[str, list[str]]] = []
    for step in path:
        if not runs or runs[-1][0] != step.file:
            runs.append((step.file, []))
        runs[-1][1].append(step.function)
    return runs
