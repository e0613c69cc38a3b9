"""Applies a plan to a copy of a file's code, as the loader does (ARCHITECTURE.md, "Patch plans")."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

from compat.analysis import SiteRecord, Technique
from compat.analysis.elf import ElfFile
from tools.patches.model import ENTRIES, JUMP, SITE, Patch, Violation, locate

ALIGN = 16
INT3 = b"\xcc"
CALL_SIZE = 15
_AWAY = 1 << 21
_REL8 = range(-128, 128)


@dataclass
class Patched:
    """The executable segments after patching, by address, and the trampolines behind them."""

    elf: ElfFile
    code: dict[int, bytearray]
    base: int
    trampolines: bytearray = field(default_factory=bytearray)
    patches: dict[int, Patch] = field(default_factory=dict)
    """By the address of the trampoline."""

    def read(self, vaddr: int, size: int) -> bytes:
        """Patched bytes."""
        if vaddr >= self.base:
            return bytes(self.trampolines[vaddr - self.base : vaddr - self.base + size])
        for start, code in self.code.items():
            if start <= vaddr < start + len(code):
                return bytes(code[vaddr - start : vaddr - start + size])
        return b""

    def write(self, patch: Patch, vaddr: int, data: bytes) -> None:
        at = vaddr - patch.segment.vaddr
        self.code[patch.segment.vaddr][at : at + len(data)] = data


def apply_plan(elf: ElfFile, records: tuple[SiteRecord, ...]) -> tuple[Patched, list[Violation]]:
    """The patched code. A record that the loader would skip is a violation: the planner promised a patch."""
    code = {part.vaddr: bytearray(elf.read(part.vaddr, part.size)) for part in elf.segments if part.executable}
    top = max((part.end for part in elf.segments), default=0)
    patched = Patched(elf, code, (top + 2 * _AWAY - 1) // _AWAY * _AWAY)
    violations = []
    taken: set[int] = set()
    for record in sorted(records, key=lambda record: record.site):
        patch = locate(elf, record)
        trouble = "leaves the executable segment" if patch is None else _refusal(elf, patch, taken)
        if patch is None or trouble is not None:
            violations.append(Violation(record.site, trouble or ""))
            continue
        taken.update(at for low, high in patch.taken for at in range(low, high))
        try:
            _patch(patched, patch)
        except struct.error as error:
            violations.append(Violation(record.site, f"does not encode: {error}"))
    return patched, violations


def _refusal(elf: ElfFile, patch: Patch, taken: set[int]) -> str | None:
    record = patch.record
    window = elf.read(patch.start, patch.end - patch.start)
    shapes = {
        Technique.MOV: record.head == JUMP and record.tail == 0 and not record.rip_fix,
        Technique.BEFORE: record.head >= JUMP - SITE and record.tail == 0,
        Technique.HOP: record.head == record.tail == 0 and record.pad - SITE in _REL8,
        Technique.AFTER: record.head == 0 and record.tail >= JUMP - SITE,
    }
    if not shapes[record.technique]:
        return f"head {record.head}, tail {record.tail}, pad {record.pad} do not suit technique {record.technique}"
    if elf.read(patch.site, SITE) != record.instruction.code:
        return f"is no {record.instruction.name.lower()}"
    if zlib.crc32(window) != record.check:
        return "the window's checksum differs"
    if any(at in taken for low, high in patch.taken for at in range(low, high)):
        return "overlaps another patch"
    return None


def _patch(patched: Patched, patch: Patch) -> None:
    trampoline = patched.base + len(patched.trampolines)
    low, high = patch.displaced
    moved = patched.elf.read(low, high - low)
    if patch.record.technique is Technique.AFTER:
        back = trampoline + CALL_SIZE
        code = _call(patch, trampoline, back) + _moved(patch, moved, low, back)
        code += _jump(trampoline + len(code), patch.end)
    else:
        code = _moved(patch, moved, low, trampoline)
        code += _call(patch, trampoline + len(code), patch.site + SITE)
    if patch.pad is not None:
        patched.write(patch, patch.pad, _jump(patch.pad, trampoline))
        patched.write(patch, patch.site, b"\xeb" + struct.pack("<b", patch.record.pad - SITE))
    else:
        end = patch.end if patch.record.technique is Technique.AFTER else patch.site
        patched.write(patch, patch.start, _jump(patch.start, trampoline).ljust(end - patch.start, INT3))
    patched.patches[trampoline] = patch
    patched.trampolines += code.ljust(-(-len(code) // ALIGN) * ALIGN, INT3)


def _jump(source: int, target: int) -> bytes:
    return b"\xe9" + struct.pack("<i", target - source - JUMP)


def _call(patch: Patch, source: int, back: int) -> bytes:
    entry = ENTRIES[patch.record.instruction]
    return entry.lea + struct.pack("<i", back - source - len(entry.lea) - 4) + entry.jump


def _moved(patch: Patch, code: bytes, origin: int, place: int) -> bytes:
    if not patch.record.rip_fix:
        return code
    moved = bytearray(code)
    at = patch.record.rip_fix - 1
    (displacement,) = struct.unpack_from("<i", moved, at)
    struct.pack_into("<i", moved, at, displacement + origin - place)
    return bytes(moved)
