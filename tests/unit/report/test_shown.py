"""The report as text, JSON and HTML."""

from __future__ import annotations

import io
import json
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
from rich.console import Console

from compat.report.document import document
from compat.report.model import Reason, Report, Verdict, Word
from compat.report.page import render
from compat.report.text import print_matrix, print_report, short_path
from tests.unit.report.samples import path, report

SCHEMA = Path(__file__).parents[3] / "compat" / "schema" / "report.schema.json"
BROKEN = Report("lost", "/usr/bin/lost", Verdict(Word.FAILS, (Reason("/usr/bin/lost needs the library libx.so.1"),)))


def text(subject: Report, *, everything: bool = False) -> str:
    out = io.StringIO()
    print_report(Console(file=out, width=10_000, no_color=True), subject, everything=everything)
    return out.getvalue()


def test_the_first_line_is_the_verdict() -> None:
    first = text(report()).splitlines()[0]
    assert first.startswith("prog: probably runs, but it cannot start other processes (")
    assert text(BROKEN) == "lost: will not run: /usr/bin/lost needs the library libx.so.1\n"


def test_text_names_what_is_missing_and_the_way_to_it() -> None:
    told = text(report())
    assert "prog: _start > main > loop > run > libc.so.6: execve" in told
    assert "flags as fork" in told
    assert "cmd F_NOTIFY" in told
    assert "at one place the number of the call is not known" in told
    assert "9 sites in 2 files, 7 become jumps, 2 left to the slower trap" in told
    assert "Image: 4.0 MiB" in told
    assert "5 of 200 calls, of files, processes; left out: sockets" in told
    # Covered calls have their names only, unless all is asked for.
    assert "say > " not in told
    assert "say > libc.so.6: write" in text(report(), everything=True)


def test_a_trace_marks_what_was_used() -> None:
    told = text(report(trace=Counter({"read": 5, "execve": 1, "uname": 2})))
    assert "the trace used 2 of them: 1 full, 1 missing; not covered: execve" in told
    assert "the trace has uname (2), which the analysis did not find" in told
    assert "the trace used 1 of them: 1 full; all covered" in text(report(trace=Counter(read=1)))
    numbers = {need.call.name: need.used for need in report(trace=Counter(read=5)).needs}
    assert numbers["read"] == 5
    assert numbers["write"] == 0


def test_long_paths_keep_their_ends() -> None:
    shown = short_path(path(*(f"f{at}" for at in range(20)), last="read"))
    assert shown.startswith("prog: f0 > f1")
    assert shown.endswith("f19 > libc.so.6: read")
    assert " ... " in shown


def test_a_matrix_has_a_line_for_each_program() -> None:
    out = io.StringIO()
    print_matrix(Console(file=out, width=10_000, no_color=True), [report(), BROKEN])
    lines = out.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[1].split()[:3] == ["prog", "probably", "runs"]
    assert lines[2].split()[:4] == ["lost", "will", "not", "run"]


def test_json_follows_its_schema() -> None:
    reports = [report(), report(trace=Counter({"read": 1, "uname": 1})), BROKEN]
    made = json.loads(json.dumps(document(reports)))
    jsonschema.validate(made, json.loads(SCHEMA.read_text()))
    assert [program["verdict"]["word"] for program in made["programs"]] == [
        "probably runs",
        "probably runs",
        "will not run",
    ]
    assert made["programs"][1]["beyond_analysis"] == {"uname": 1}


class Page(HTMLParser):
    """Checks that elements nest, and collects what a reader meets."""

    VOID = frozenset({"meta", "br", "hr", "img", "link", "input"})

    def __init__(self, source: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "script" not in self.open and "style" not in self.open:
            self.text += data


def test_the_page_is_whole_and_needs_nothing_else() -> None:
    page = Page(render([report()]))
    assert page.open == []
    assert page.tags["h1"] == 1
    assert not page.tags.keys() & {"link", "img", "iframe", "object"}
    assert not [value for name, value in page.attributes if name in {"src", "href", "srcset", "action"}]
    assert ("lang", "en") in page.attributes
    assert page.tags["tr"] == 1 + len(report().needs)
    # The coverage bar speaks to those who do not see it.
    assert any(name == "aria-label" and " full" in (value or "") for name, value in page.attributes)


def test_the_page_says_everything_without_scripts() -> None:
    page = Page(render([report()]))
    for word in (
        "probably runs",
        "execve",
        "F_NOTIFY",
        "over-approximate",
        "start other processes",
        "loop",
        "Image",
        "sockets",
    ):
        assert word in page.text


def test_names_from_files_are_only_text() -> None:
    source = render([report()])
    assert '<reboot> & "more"' in Page(source).text
    assert "<reboot>" not in source


def test_several_programs_on_one_page() -> None:
    page = Page(render([report(), BROKEN]))
    assert page.open == []
    assert {value for name, value in page.attributes if name == "href"} == {"#program-1", "#program-2"}
    assert "libx.so.1" in page.text
