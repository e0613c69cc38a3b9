"""From a file to its patch plan."""

from __future__ import annotations

import time
import zlib
from pathlib import Path

import numpy as np

from compat.analysis.elf import Addresses, ElfFile
from compat.analysis.functions import Function, Functions
from compat.analysis.jumps import JumpTargets, is_resolved
from compat.analysis.model import INSTRUCTION_SIZE, FilePlan, Instruction, LeftSite, SiteRecord, Technique
from compat.analysis.pads import Pads, choose_pad, reach
from compat.analysis.sites import Site, find_sites, has_restorer_bytes
from compat.analysis.targets import Interest, find_targets
from compat.analysis.windows import JUMP, Window, Windows

_RT_SIGRETURN = 15
# From this size on code is mapped by huge pages, which a patch makes small ones: a `cpuid` that is executed a few times
# is not worth it.
_HUGE = 2 << 20


def plan_file(path: Path) -> FilePlan:
    """Find all sites of a file and plan a patch for each one where that is safe."""
    began = time.perf_counter()
    with ElfFile(path) as elf:
        functions = Functions(elf)
        sites, rejected, raw = find_sites(elf, functions, Instruction.SYSCALL)
        sites += find_sites(elf, functions, Instruction.CPUID)[0]
        sites.sort(key=lambda site: site.address)
        records, left = _FilePlanner(elf, functions, sites).plan() if sites else ([], [])
        return FilePlan(
            build_id=elf.build_id,
            sha256=elf.sha256,
            size=elf.size,
            raw=raw,
            records=tuple(sorted(records, key=lambda record: record.site)),
            left=tuple(sorted(left, key=lambda site: site.site)),
            rejected=tuple(sorted(rejected.items())),
            seconds=round(time.perf_counter() - began, 3),
        )


class _FilePlanner:
    """Plans the sites of one file, in the order of the techniques' worth."""

    def __init__(self, elf: ElfFile, functions: Functions, sites: list[Site]) -> None:
        self._elf = elf
        self._functions = functions
        self._sites = sites
        self._pads = Pads(elf, functions, self._is_resolved)
        ranges = [(site.code.start, site.code.end) for site in sites] + [reach(site) for site in sites]
        known = [functions.frames.starts, functions.go.starts, self._landing_pads()]
        self._is_target = JumpTargets(functions, find_targets(elf, Interest(ranges), known))
        self._windows = Windows(elf, self._is_target)
        self._resolved: dict[tuple[int, int], bool] = {}
        self._used: set[int] = set()
        self._records: list[SiteRecord] = []
        self._left: list[LeftSite] = []

    def plan(self) -> tuple[list[SiteRecord], list[LeftSite]]:
        """All records and all sites left, in no order."""
        left: dict[int, list[str]] = {site.address: [] for site in self._sites}
        for site in self._sites:
            reason = self._why_not(site)
            if reason is not None:
                left[site.address].append(reason)
        sites = [site for site in self._sites if not left[site.address]]
        straight = [site for site in sites if site.address not in site.code.targets]
        jumped_to = [site for site in sites if site.address in site.code.targets]
        # A jump straight to the site would miss what a patch before it does, and trap: the others go first there.
        phases = (
            (self._before, straight),
            (self._hop, sites),
            (self._after, sites),
            (self._short, straight),
            (self._before, jumped_to),
        )
        for attempt, candidates in phases:
            for site in candidates:
                if site.address in left:
                    reason = attempt(site)
                    if reason is None:
                        del left[site.address]
                    else:
                        left[site.address].append(reason)
        for site in self._sites:
            if site.address in left:
                offset = site.address - site.segment.vaddr + site.segment.offset
                self._left.append(LeftSite(offset, "; ".join(filter(None, left[site.address])), site.instruction))
        return self._records, self._left

    def _why_not(self, site: Site) -> str | None:
        """Why a site must stay, or had better."""
        if site.instruction is Instruction.CPUID:
            return "in code that huge pages map" if site.segment.size >= _HUGE else None
        return "rt_sigreturn" if self._is_restorer(site) else None

    def _is_restorer(self, site: Site) -> bool:
        """Whether the site returns from a signal handler, as far as anyone can tell from the code before it."""
        return has_restorer_bytes(self._elf, site) or self._windows.number(site, 0, resolved=True) == _RT_SIGRETURN

    def _before(self, site: Site) -> str | None:
        """Techniques 1 and 2; else why not."""
        window = self._windows.before(site, resolved=self._is_resolved(site.function))
        return window if isinstance(window, str) else self._record(site, window)

    def _hop(self, site: Site) -> str | None:
        """Technique 3; else why not."""
        pad = choose_pad(self._pads.near(site), self._used, self._is_target)
        if pad is None:
            return "no padding near"
        return self._record(site, Window(Technique.HOP, site.address, site.address + INSTRUCTION_SIZE), pad)

    def _short(self, site: Site) -> str | None:
        """Technique 2 with the site's own bytes; why not, the others have told."""
        window = self._windows.short(site, resolved=self._is_resolved(site.function))
        return "" if window is None else self._record(site, window)

    def _after(self, site: Site) -> str | None:
        """Technique 4; else why not."""
        window = self._windows.after(site, resolved=self._is_resolved(site.function))
        return window if isinstance(window, str) else self._record(site, window)

    def _record(self, site: Site, window: Window, pad: int | None = None) -> str | None:
        """Note the patch, unless it is not wanted after all."""
        number = self._windows.number(site, window.start, resolved=self._is_resolved(site.function))
        wanted = {*range(window.start, window.end), *(range(pad, pad + JUMP) if pad is not None else ())}
        if not self._used.isdisjoint(wanted):
            return "another patch beside it"
        self._used |= wanted
        self._records.append(
            SiteRecord(
                site=site.address - site.segment.vaddr + site.segment.offset,
                nr=number,
                technique=window.technique,
                head=site.address - window.start,
                tail=window.end - site.address - INSTRUCTION_SIZE,
                rip_fix=window.rip_fix,
                pad=window.rip_end if pad is None else pad - site.address,
                check=zlib.crc32(self._elf.read(window.start, window.end - window.start)),
                instruction=site.instruction,
            )
        )
        return None

    def _is_resolved(self, function: Function) -> bool:
        """Whether all ways into the middle of a function are known."""
        bounds = function.code.start, function.code.end
        if bounds not in self._resolved:
            pads = self._functions.landing_pads(function)
            self._resolved[bounds] = pads is not None and is_resolved(self._elf, function.code)
        return self._resolved[bounds]

    def _landing_pads(self) -> Addresses:
        functions = {site.code.start: site.function for site in self._sites}
        pads = [pad for function in functions.values() for pad in self._functions.landing_pads(function) or ()]
        return np.array(pads, dtype=np.int64)
