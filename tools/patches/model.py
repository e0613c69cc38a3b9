"""What a proof speaks of: the bytes that a patch takes, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

from compat.analysis import Instruction, SiteRecord, Technique
from compat.analysis.elf import ElfFile, Segment

JUMP = 5
SITE = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """How a trampoline enters the kernel: the register with the way back, its place in the per-CPU block."""

    register: str
    lea: bytes
    offset: int

    @property
    def jump(self) -> bytes:
        return b"\x65\xff\x24\x25" + self.offset.to_bytes(4, "little")


ENTRIES = {
    Instruction.SYSCALL: Entry("rcx", b"\x48\x8d\x0d", 8),
    Instruction.CPUID: Entry("rdx", b"\x48\x8d\x15", 16),
}


@dataclass(frozen=True, slots=True)
class Violation:
    """A patch that may change what the program does; `site` is the record's, a file offset."""

    site: int
    what: str

    def __str__(self) -> str:
        return f"site {self.site:#x}: {self.what}"


@dataclass(frozen=True, slots=True)
class Patch:
    """A record in terms of virtual addresses."""

    record: SiteRecord
    site: int
    segment: Segment

    @property
    def start(self) -> int:
        return self.site - self.record.head

    @property
    def end(self) -> int:
        return self.site + SITE + self.record.tail

    @property
    def pad(self) -> int | None:
        """Where the jump of a hop lies."""
        return self.site + self.record.pad if self.record.technique is Technique.HOP else None

    @property
    def displaced(self) -> tuple[int, int]:
        """The range of the instructions that move to the trampoline."""
        if self.record.technique is Technique.AFTER:
            return self.site + SITE, self.end
        return self.start, self.site

    @property
    def taken(self) -> list[tuple[int, int]]:
        """All ranges that no other patch may touch."""
        window = (self.start, self.end)
        return [window] if self.pad is None else [window, (self.pad, self.pad + JUMP)]

    @property
    def closed(self) -> list[int]:
        """Where nothing may enter: inside the window. An instruction that stays may be jumped to."""
        inside = range(self.start + 1, self.end)
        if self.record.technique in (Technique.MOV, Technique.BEFORE) and self.record.head >= JUMP:
            return [at for at in inside if at != self.site]
        return list(inside)


def locate(elf: ElfFile, record: SiteRecord) -> Patch | None:
    """The record's place in memory; None where it leaves the executable bytes."""
    for segment in elf.segments:
        site = record.site - segment.offset + segment.vaddr
        patch = Patch(record, site, segment)
        if segment.executable and all(segment.vaddr <= low < high <= segment.end for low, high in patch.taken):
            return patch
    return None
