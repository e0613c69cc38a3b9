"""What is measured, and the targets."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tools.bench.image_size import image_sizes
from tools.bench.programs import HERE, BenchError, Start, Starter, command, compile_c, wrap

PYTHON = "/usr/bin/python3.11"
OPENSSL = "/usr/bin/openssl"
NBODY_STEPS = "60000"
# Name of a micro-benchmark, the most that its guest time may be of native, and the most in nanoseconds.
MICRO = {
    "getppid": (0.2, 20.0),
    "read-zero-1": (0.5, None),
    "write-null-1": (None, None),
    "clock_gettime": (None, None),
    "open-close": (0.5, None),
    "stat": (0.5, None),
    "pread-4k": (0.5, None),
    "pipe-write-read": (None, None),
    "map-touch-unmap": (None, None),
    "futex-wake": (None, None),
    "vfork-exit-wait": (None, None),
    "fork-exit-wait": (None, None),
    "spawn-self-wait": (None, None),
}


@dataclass(frozen=True, slots=True)
class Row:
    """A figure in both places. Less is better in all of them; `native` is None where there is no such thing."""

    name: str
    unit: str
    native: float | None
    guest: float
    ratio_at_most: float | None = None
    guest_at_most: float | None = None
    samples: dict[str, list[float]] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        return self.guest / self.native if self.native else None

    @property
    def reached(self) -> bool | None:
        """None: there is no target."""
        if self.ratio_at_most is None and self.guest_at_most is None:
            return None
        by_ratio = self.ratio_at_most is None or (self.ratio is not None and self.ratio <= self.ratio_at_most)
        return by_ratio and (self.guest_at_most is None or self.guest <= self.guest_at_most)


def medians(
    name: str,
    unit: str,
    native: list[float],
    guest: list[float],
    *,
    ratio_at_most: float | None = None,
    guest_at_most: float | None = None,
) -> Row:
    samples = {"native": native, "guest": guest}
    middle = statistics.median
    return Row(name, unit, middle(native), middle(guest), ratio_at_most, guest_at_most, samples)


@dataclass(frozen=True, slots=True)
class Bench:
    """Where things are built and how often they run."""

    folder: Path
    runs: int
    progress: Callable[[str], None]

    def alternately(
        self, measure: Callable[[list[str]], float], native: list[str], guest: list[str]
    ) -> tuple[list[float], list[float]]:
        """Native and guest in turns, so that a change of the machine's speed meets both."""
        pairs = [(measure(native), measure(guest)) for _ in range(self.runs)]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def micro(self) -> Iterable[Row]:
        for link, flags in (("static", ["-static"]), ("dynamic", [])):
            self.progress(f"system calls, {link}")
            program = compile_c("micro.c", self.folder / f"micro-{link}", *flags)
            image = wrap(str(program), self.folder / f"micro-{link}.run", "--standalone", "--lean")
            native: dict[str, list[float]] = {name: [] for name in MICRO}
            guest: dict[str, list[float]] = {name: [] for name in MICRO}
            for _ in range(self.runs):
                for runner, samples in ((program, native), (image, guest)):
                    for line in command([str(runner), str(program)]).splitlines():
                        name, value = line.split()
                        samples[name].append(float(value))
            for name, (ratio, most) in MICRO.items():
                yield medians(
                    f"{name} ({link})", "ns", native[name], guest[name], ratio_at_most=ratio, guest_at_most=most
                )

    def computation(self) -> Iterable[Row]:
        self.progress("computation")
        speed = ("speed", "-elapsed", "-mr", "-seconds", "1", "-bytes", "8192", "sha256")
        image = wrap(OPENSSL, self.folder / "openssl.run", "--standalone", args=speed)
        native, guest = self.alternately(
            lambda argv: 1e9 / digest_speed(command(argv)), [OPENSSL, *speed], [str(image)]
        )
        yield medians("openssl speed sha256", "s/GB", native, guest, ratio_at_most=1.03)
        script = str(HERE / "nbody.py")
        image = wrap(PYTHON, self.folder / "nbody.run", "--standalone", "--add", script, args=(script, NBODY_STEPS))
        native, guest = self.alternately(lambda argv: float(command(argv)), [PYTHON, script, NBODY_STEPS], [str(image)])
        yield medians("python nbody", "s", native, guest, ratio_at_most=1.03)

    def starting(self) -> Iterable[Row]:
        self.progress("starting")
        start = Starter(compile_c("start.c", self.folder / "start", "-static"))
        static, dynamic = (
            compile_c("hello.c", self.folder / f"hello-{name}", *flags)
            for name, flags in (("static", ["-static"]), ("dynamic", []))
        )
        images = {
            program: wrap(str(program), program.with_suffix(".run"), "--standalone", "--lean")
            for program in (static, dynamic)
        }
        for program, most in ((static, 40.0), (dynamic, None)):
            native, guest = self._starts(start, [str(program)], [str(images[program])])
            name = program.name.replace("-", " ")
            yield self._by(f"{name}: to first byte", "ms", lambda s: s.first_byte_ms, native, guest, guest_at_most=most)
            if program is static:
                yield self._by(
                    f"{name}: peak resident memory",
                    "MiB",
                    lambda s: s.peak_mib,
                    native,
                    guest,
                    guest_at_most=_peak(native) + 16,
                )
        image = wrap(PYTHON, self.folder / "python.run", "--standalone", args=("-c", ""))
        native, guest = self._starts(start, [PYTHON, "-c", ""], [str(image)])
        yield self._by("python3 -c '': to its end", "ms", lambda s: s.end_ms, native, guest, ratio_at_most=3.0)
        yield self._by("python3 -c '': peak resident memory", "MiB", lambda s: s.peak_mib, native, guest)

    def sizes(self) -> Iterable[Row]:
        self.progress("image sizes")
        for name, program in (("static hello", str(self.folder / "hello-static")), ("python3", PYTHON)):
            options = ["--lean"] if name == "static hello" else []
            kernel, files = image_sizes(wrap(program, self.folder / "sized.img", *options))
            yield Row(f"image of {name}: kernel", "KiB", None, kernel / 1024, guest_at_most=1024 if options else None)
            yield Row(f"image of {name}: files", "KiB", None, files / 1024)

    def _starts(self, start: Starter, native: list[str], guest: list[str]) -> tuple[list[Start], list[Start]]:
        # The first start of each reads its files from disk.
        start(native), start(guest)
        pairs = [(start(native), start(guest)) for _ in range(2 * self.runs)]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    @staticmethod
    def _by(
        name: str,
        unit: str,
        figure: Callable[[Start], float],
        native: list[Start],
        guest: list[Start],
        *,
        ratio_at_most: float | None = None,
        guest_at_most: float | None = None,
    ) -> Row:
        figures = [figure(one) for one in native], [figure(one) for one in guest]
        return medians(name, unit, *figures, ratio_at_most=ratio_at_most, guest_at_most=guest_at_most)


def _peak(starts: list[Start]) -> float:
    return statistics.median(start.peak_mib for start in starts)


def digest_speed(output: str) -> float:
    """Bytes a second, from `openssl speed -mr`."""
    found = re.search(r"^\+F:\d+:sha256:([\d.]+)$", output, re.MULTILINE)
    if found is None:
        raise BenchError(f"openssl speed printed no figure:\n{output}")
    return float(found[1])
