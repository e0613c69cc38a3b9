"""What lies behind an image's root file system and is not loaded: the manifest, and sections for tools such as nm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from compat.elf_structs import EHDR, SHDR, SHF_ALLOC, SHT_NOBITS

# A program header of this type, of those that ELF leaves to systems, shows where the manifest lies.
PT_MANIFEST = 0x63706D66


@dataclass(frozen=True, slots=True)
class Sections:
    """A section header table, `count` entries long, and after it what they describe beyond the loaded segments."""

    data: bytes = b""
    count: int = 0
    names: int = 0


def move_sections(kernel: bytes, moved: Callable[[int], int], at: int) -> Sections:
    """The kernel's sections for an image in which its loaded bytes have moved; the result goes to the offset `at`."""
    header = EHDR.unpack_from(kernel)
    count = header[12]
    table, contents = bytearray(), bytearray()
    for index in range(count):
        name, kind, flags, addr, offset, size, *rest = SHDR.unpack_from(kernel, header[6] + SHDR.size * index)
        if kind == SHT_NOBITS:
            offset = 0
        elif flags & SHF_ALLOC:
            offset = moved(addr)
        elif size:
            data = kernel[offset : offset + size]
            offset = at + SHDR.size * count + len(contents)
            contents += data + bytes(-len(data) % 8)
        table += SHDR.pack(name, kind, flags, addr, offset, size, *rest)
    return Sections(data=bytes(table + contents), count=count, names=header[13])
