"""`python -m tools.soak`: runs scenarios and says what they left."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.integration.harness import unwind_on_sigterm
from tools.bench.programs import BenchError
from tools.soak.scenarios import SCENARIOS
from tools.soak.watch import LeakError, Soak


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.soak",
        description="Runs for long, and looks for what is left: descriptors, memory, a program that is stuck.",
        epilog="\n".join(f"  {name:12} {run.__doc__}" for name, run in SCENARIOS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="default: all")
    parser.add_argument("--place", choices=["native", "guest"], default="guest", help="native: to try the scenarios")
    parser.add_argument("--scale", type=float, default=1.0, help="how much of each load, 1 by default")
    parser.add_argument("--minutes", type=float, default=20, help="how long the loops go on, 20 by default")
    parser.add_argument("--jobs", type=int, default=2, help="how many programs run side by side, 2 by default")
    parser.add_argument("--only", action="append", default=[], metavar="PROGRAM", help="of beside and lived; repeat it")
    parser.add_argument("--seed", type=int, default=1, help="of the faults")
    arguments = parser.parse_args()
    unwind_on_sigterm()
    unknown = set(arguments.scenarios) - SCENARIOS.keys()
    if unknown:
        parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
    failed = 0
    for name in arguments.scenarios or SCENARIOS:
        with tempfile.TemporaryDirectory(prefix="compat-soak-") as folder:
            soak = Soak(
                Path(folder),
                arguments.place,
                arguments.scale,
                arguments.minutes,
                arguments.seed,
                arguments.jobs,
                arguments.only,
            )
            try:
                report = SCENARIOS[name](soak)
            except (AssertionError, BenchError, LeakError) as error:
                failed += 1
                print("\n".join([f"{name}: FAILED: {error}", *getattr(error, "__notes__", [])]), flush=True)
            else:
                print(f"{name}: {report}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
