"""Every file of the corpus gets a verdict: those that the loader takes run, the others will not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from compat.report.gather import make_report
from compat.report.model import Word

CORPUS = Path(__file__).parents[2] / "elf_corpus" / "make_corpus.py"


def test_verdicts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = tmp_path / "corpus"
    files.mkdir()
    subprocess.run([sys.executable, CORPUS, files], check=True)
    wrong = []
    for path in sorted(files.glob("*.elf")):
        verdict = make_report(str(path)).verdict
        if (verdict.word is Word.FAILS) == path.name.startswith("good-"):
            wrong.append(f"{path.name}: {verdict.line}")
    assert not wrong
