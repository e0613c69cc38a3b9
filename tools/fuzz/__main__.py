"""`python -m tools.fuzz`: fuzzes the Python half of the analysis with atheris (`pip install atheris`).

`python -m tools.fuzz plan CORPUS -max_total_time=3600` runs a target with libFuzzer's options; `--seeds` writes
what to start from into CORPUS instead. The Rust half (`compat/reach/engine/fuzz`) reads what `plan` does.
What was found in an hour stands in `tools/fuzz/corpus.tar.xz`, a folder for each target.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

TARGETS = ("plan", "elf", "formats", "image")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--seeds", action="store_true", help="write the files to start from, and end")
    arguments, options = parser.parse_known_args()
    if arguments.seeds:
        from tools.fuzz.seeds import write_seeds

        write_seeds(arguments.corpus, arguments.target)
        return 0
    return fuzz(arguments.target, arguments.corpus, options)


def fuzz(name: str, corpus: Path, options: list[str]) -> int:
    try:
        import atheris
    except ImportError:
        print("atheris is not installed: pip install atheris", file=sys.stderr)
        return 2
    # What a target imports later counts too.
    with atheris.instrument_imports(include=["compat"]):
        import compat.analysis.planner  # noqa: F401
        from tools.fuzz import targets
    corpus.mkdir(parents=True, exist_ok=True)
    atheris.Setup([sys.argv[0], str(corpus), *options], getattr(targets, name))
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
