"""`python -m tools.fuzz`: fuzzes the Python half of the analysis with atheris (`pip install atheris`).

`python -m tools.fuzz plan CORPUS -max_total_time=3600` runs a target with libFuzzer's options; `--seeds DIRECTORY`
writes what to start from, for the Rust half (`compat/reach/engine/fuzz`) as well. What an hour has found stands in
`tools/fuzz/corpus.tar.xz`, a folder for each target.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.fuzz", description=__doc__)
    parser.add_argument("target", nargs="?", help="plan, elf, formats or image")
    parser.add_argument("corpus", nargs="?", type=Path)
    parser.add_argument("--seeds", type=Path, metavar="DIRECTORY", help="write the files to start from, and end")
    arguments, options = parser.parse_known_args()
    if arguments.seeds is not None:
        from tools.fuzz.seeds import write_seeds

        write_seeds(arguments.seeds)
        return 0
    if arguments.target is None or arguments.corpus is None:
        parser.error("name a target and a corpus")
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
        from tools.fuzz.targets import TARGETS
    if name not in TARGETS:
        print(f"no target {name}; there are {', '.join(TARGETS)}", file=sys.stderr)
        return 2
    corpus.mkdir(parents=True, exist_ok=True)
    atheris.Setup([sys.argv[0], str(corpus), *options], TARGETS[name])
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
