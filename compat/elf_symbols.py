"""The symbol table of an ELF file that lies in memory, as far as linking needs it."""

from __future__ import annotations

from compat.elf_structs import EHDR, SHDR, SHT_SYMTAB, SYM


def symbols(data: bytes, prefix: bytes) -> dict[str, int]:
    """Values of the defined symbols whose names begin with `prefix`. Malformed: ValueError, struct.error."""
    header = EHDR.unpack_from(data)
    sections = [SHDR.unpack_from(data, header[6] + SHDR.size * i) for i in range(header[12])]
    found: dict[str, int] = {}
    for section in sections:
        if section[1] != SHT_SYMTAB or section[6] >= len(sections):
            continue
        names_at, names_len = sections[section[6]][4:6]
        names = data[names_at : names_at + names_len]
        table = data[section[4] : section[4] + section[5]]
        for name, _info, _other, index, value, _size in SYM.iter_unpack(table[: len(table) // SYM.size * SYM.size]):
            if index != 0 and names.startswith(prefix, name):
                found[names[name : names.index(b"\0", name)].decode()] = value
    return found
