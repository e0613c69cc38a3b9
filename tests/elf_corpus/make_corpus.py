"""Write a corpus of tiny ELF files, each with one defect, and a few good ones.

Usage: ``make_corpus.py DIRECTORY``. The output is the same every time. ``index.tsv`` has one line per file, with the
columns ``file``, ``verdict``, ``message`` and ``about``. The verdict is ``bad`` (has to be refused, with an error
that contains ``message``), ``good`` (has to be accepted) or ``runs`` (accepted, and exits with status 42 when run).
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

PT_NULL, PT_LOAD, PT_INTERP, PT_NOTE = 0, 1, 3, 4
PT_GNU_STACK = 0x6474E551
R, W, X = 4, 2, 1
ET_NONE, ET_REL, ET_EXEC, ET_DYN, ET_CORE = 0, 1, 2, 3, 4
EM_386, EM_PPC64, EM_S390, EM_ARM, EM_X86_64, EM_AARCH64, EM_RISCV = 3, 21, 22, 40, 62, 183, 243
EHDR_SIZE, PHDR_SIZE = 64, 56
PAGE = 0x1000
U64_MAX = 2**64 - 1
USER_END = 0x7FFF_FFFF_F000
KERNEL_SLOT = 0x6600_0000_0000
BASE = 0x40_0000
TEXT_OFFSET = 0x200
INTERP_OFFSET = 0x300
INTERP = b"/lib64/ld-linux-x86-64.so.2\0"

# mov $60,%eax; mov $42,%edi; syscall: exit(42), wherever it is mapped.
EXIT_42 = bytes.fromhex("b83c000000bf2a0000000f05")


@dataclass(frozen=True)
class Phdr:
    """A program header."""

    type: int = PT_LOAD
    flags: int = R | X
    offset: int = 0
    vaddr: int = BASE
    filesz: int = 0x400
    memsz: int = 0x400
    align: int = PAGE

    def pack(self) -> bytes:
        """Encode as Elf64_Phdr."""
        sizes = (self.filesz, self.memsz, self.align)
        return struct.pack("<IIQQQQQQ", self.type, self.flags, self.offset, self.vaddr, self.vaddr, *sizes)


TEXT = Phdr()
DATA = Phdr(flags=R | W, offset=0x400, vaddr=BASE + PAGE + 0x400, filesz=0x100, memsz=0x3000)


@dataclass(frozen=True)
class Elf:
    """A whole file: what the header says, the program headers, and the bytes behind them."""

    phdrs: tuple[Phdr, ...] = (TEXT, DATA)
    magic: bytes = b"\x7fELF"
    elf_class: int = 2
    encoding: int = 1
    ident_version: int = 1
    type: int = ET_EXEC
    machine: int = EM_X86_64
    version: int = 1
    entry: int = BASE + TEXT_OFFSET
    phoff: int = EHDR_SIZE
    ehsize: int = EHDR_SIZE
    phentsize: int = PHDR_SIZE
    phnum: int | None = None
    size: int = 0x800
    parts: dict[int, bytes] = field(default_factory=lambda: {TEXT_OFFSET: EXIT_42, INTERP_OFFSET: INTERP})

    def pack(self) -> bytes:
        """Encode the file."""
        out = bytearray(self.size)
        table = b"".join(phdr.pack() for phdr in self.phdrs)
        if self.phoff + len(table) <= self.size:
            out[self.phoff : self.phoff + len(table)] = table
        # Last, so that it stays whole when the program headers overlap it.
        for offset, part in {**self.parts, 0: self.header()}.items():
            out[offset : offset + len(part)] = part
        return bytes(out)

    def header(self) -> bytes:
        """Encode the ELF header, in the layout that class and encoding ask for."""
        ident = self.magic + bytes([self.elf_class, self.encoding, self.ident_version]) + bytes(9)
        order = ">" if self.encoding == 2 else "<"
        word = "I" if self.elf_class == 1 else "Q"
        mask = 2**32 - 1 if self.elf_class == 1 else U64_MAX
        count = len(self.phdrs) if self.phnum is None else self.phnum
        return ident + struct.pack(
            f"{order}HHI{word}{word}{word}IHHHHHH",
            *(self.type, self.machine, self.version, self.entry & mask, self.phoff & mask, 0, 0),
            *(self.ehsize, self.phentsize, count, 64, 0, 0),
        )


@dataclass(frozen=True)
class Case:
    """One file of the corpus."""

    name: str
    verdict: str
    message: str
    about: str
    data: bytes


GOOD = Elf()


def bad(name: str, message: str, about: str, **changes: object) -> Case:
    """Change fields of the good file so that it has one defect."""
    return Case(name, "bad", message, about, replace(GOOD, **changes).pack())  # type: ignore[arg-type]


def bad_text(name: str, message: str, about: str, **changes: int) -> Case:
    """Break the first PT_LOAD."""
    return bad(name, f"program header 0 (PT_LOAD): {message}", about, phdrs=(replace(TEXT, **changes), DATA))


def bad_data(name: str, message: str, about: str, **changes: int) -> Case:
    """Break the second PT_LOAD."""
    return bad(name, f"program header 1 (PT_LOAD): {message}", about, phdrs=(TEXT, replace(DATA, **changes)))


def bad_interp(name: str, message: str, about: str, path: bytes = INTERP, **changes: int) -> Case:
    """Break PT_INTERP."""
    header = Phdr(type=PT_INTERP, flags=R, offset=INTERP_OFFSET, filesz=len(path), memsz=len(path), align=1)
    parts = {TEXT_OFFSET: EXIT_42, INTERP_OFFSET: path}
    phdrs = (replace(header, **changes), TEXT, DATA)
    return bad(name, f"program header 0 (PT_INTERP): {message}", about, phdrs=phdrs, parts=parts)


def truncated(name: str, message: str, about: str, size: int) -> Case:
    """Cut the good file off."""
    return Case(name, "bad", message, about, GOOD.pack()[:size])


def not_elf() -> Iterator[Case]:
    """Files that are something else, or end before it can be told."""
    yield Case("empty", "bad", "not an ELF file", "no bytes at all", b"")
    yield Case("text", "bad", "not an ELF file", "a text file", b"Hello, I am a text file, not a program.\n" * 3)
    yield Case("zeros", "bad", "not an ELF file", "4 KiB of zeros", bytes(4096))
    yield bad("magic-first-byte", "not an ELF file", "first magic byte is 0x7e", magic=b"\x7eELF")
    yield bad("magic-lower-case", "not an ELF file", "magic in lower case", magic=b"\x7felf")
    yield truncated("cut-after-magic", "ELF header is cut off", "only the magic bytes", 4)
    yield truncated("cut-in-ident", "ELF header is cut off", "ends inside e_ident", 15)
    yield truncated("cut-in-header", "ELF header is cut off", "one byte short of a header", 63)
    yield truncated("cut-after-header", "lie beyond the end of the file", "no program headers follow", 64)
    yield truncated("cut-in-phdrs", "lie beyond the end of the file", "second program header is cut", 64 + 60)
    yield truncated("cut-in-segment", "lie beyond the end of the file", "ends inside the first segment", 0x3FF)


def identity() -> Iterator[Case]:
    """Files for other machines, and malformed identification."""
    yield bad("class-0", "ELF class 0", "EI_CLASS is ELFCLASSNONE", elf_class=0)
    yield bad("class-3", "ELF class 3", "EI_CLASS is undefined", elf_class=3)
    yield bad("encoding-0", "data encoding 0", "EI_DATA is ELFDATANONE", encoding=0)
    yield bad("encoding-3", "data encoding 3", "EI_DATA is undefined", encoding=3)
    yield bad("ident-version-0", "ELF version 0 in byte 6", "EI_VERSION is 0", ident_version=0)
    yield bad("i386", "32-bit ELF file for i386", "a 32-bit PC program", elf_class=1, machine=EM_386)
    yield bad("x32", "32-bit ELF file for x86-64", "an x32 program", elf_class=1)
    yield bad("arm", "32-bit ELF file for ARM", "a 32-bit ARM program", elf_class=1, machine=EM_ARM)
    yield bad("aarch64", "ELF file for AArch64", "a 64-bit ARM program", machine=EM_AARCH64)
    yield bad("riscv64", "ELF file for RISC-V", "a RISC-V program", machine=EM_RISCV)
    yield bad("s390x", "big-endian ELF file for IBM S/390", "a mainframe program", encoding=2, machine=EM_S390)
    yield bad("ppc64", "big-endian ELF file for PowerPC64", "a POWER program", encoding=2, machine=EM_PPC64)
    yield bad("x86-64-big-endian", "big-endian ELF file for x86-64", "contradictory", encoding=2)
    yield bad("machine-0", "ELF file for no machine", "e_machine is EM_NONE", machine=0)
    yield bad("machine-unknown", "ELF file for machine 65280", "e_machine is undefined", machine=0xFF00)


def header() -> Iterator[Case]:
    """Defects of the ELF header."""
    yield bad("version-0", "e_version is 0", "e_version is EV_NONE", version=0)
    yield bad("version-2", "e_version is 2", "e_version is undefined", version=2)
    yield bad("type-none", "no file type", "e_type is ET_NONE", type=ET_NONE)
    yield bad("type-object", "relocatable object", "e_type is ET_REL", type=ET_REL)
    yield bad("type-core", "core dump", "e_type is ET_CORE", type=ET_CORE)
    yield bad("type-unknown", "unknown type 65024", "e_type is ET_LOOS", type=0xFE00)
    yield bad("ehsize-0", "e_ehsize is 0", "header size 0", ehsize=0)
    yield bad("ehsize-32-bit", "e_ehsize is 52", "header size of the 32-bit format", ehsize=52)
    yield bad("phentsize-0", "e_phentsize is 0", "program header size 0", phentsize=0)
    yield bad("phentsize-32-bit", "e_phentsize is 32", "program header size of the 32-bit format", phentsize=32)
    yield bad("phentsize-large", "e_phentsize is 64", "program headers with a gap", phentsize=64)
    yield bad("phnum-0", "e_phnum is 0", "no program headers", phnum=0)
    yield bad("phnum-max", "e_phnum is 65535", "more program headers than Linux reads", phnum=0xFFFF)
    yield bad("phnum-beyond-eof", "lie beyond the end of the file", "the file is too short for e_phnum", phnum=100)
    yield bad("phoff-0", "e_phoff 0x0 lies inside the ELF header", "program headers at 0", phoff=0)
    yield bad("phoff-in-header", "e_phoff 0x38 lies inside", "program headers overlap the header", phoff=0x38)
    yield bad("phoff-eof", "lie beyond the end of the file", "program headers at the end of the file", phoff=0x800)
    yield bad("phoff-overflow", "lie beyond the end of the file", "e_phoff plus size overflows", phoff=U64_MAX - 8)


def segments() -> Iterator[Case]:
    """Defects of PT_LOAD."""
    notes = (Phdr(type=PT_NULL), Phdr(type=PT_NOTE))
    empty = replace(TEXT, filesz=0, memsz=0)
    yield bad("no-load", "no PT_LOAD", "only PT_NULL and PT_NOTE", phdrs=notes)
    yield bad("only-empty-load", "p_memsz 0: nothing to load", "the only PT_LOAD is empty", phdrs=(empty,))
    yield bad_text("filesz-over-memsz", "p_filesz 0x400 exceeds p_memsz 0x3ff", "file part is larger", memsz=0x3FF)
    yield bad_text("memsz-0", "p_filesz 0x400 exceeds p_memsz 0x0", "file part but no memory", memsz=0)
    overflow = {"offset": U64_MAX - 0xFFF, "filesz": 0x2000, "memsz": 0x2000}
    yield bad_text("offset-overflow", "p_offset 0xfffffffffffff000 + p_filesz 0x2000 overflows", "2^64", **overflow)
    past_end = {"filesz": 0x801, "memsz": 0x801}
    yield bad_text("segment-beyond-eof", "file data up to 0x801 lie beyond", "reaches past the end", **past_end)
    yield bad_data("offset-beyond-eof", "file data up to 0x7ff500 lie beyond", "starts past the end", offset=0x7FF400)
    yield bad_data("vaddr-overflow", "p_vaddr 0xfffffffffffff400 + p_memsz", "end over 2^64", vaddr=U64_MAX - 0xBFF)
    yield bad_data("memsz-max", "p_vaddr 0x401400 + p_memsz 0xffffffffffffffff overflows", "2^64 - 1", memsz=U64_MAX)
    yield bad_data("vaddr-kernel-half", "end 0xffff800000003400 is above", "upper half", vaddr=0xFFFF_8000_0000_0400)
    yield bad_data("vaddr-non-canonical", "end 0x800000003400 is above", "in the hole", vaddr=0x8000_0000_0400)
    memsz = USER_END - DATA.vaddr + 1
    yield bad_data("memsz-above-user", f"end {USER_END + 1:#x} is above the user", "one byte too many", memsz=memsz)
    yield bad_text("vaddr-0", "p_vaddr 0x0 is below the user", "would map the null page", vaddr=0)
    yield bad_text("vaddr-low", "p_vaddr 0xf000 is below the user", "below vm.mmap_min_addr", vaddr=0xF000)
    reserved = "lies in the address range reserved for the kernel"
    slot = KERNEL_SLOT + 0x400
    yield bad_data("kernel-slot", f"0x660000000400..0x660000003400 {reserved}", "inside", vaddr=slot)
    yield bad_data("across-kernel-slot", f"0x401400..0x670000001400 {reserved}", "covers it", memsz=0x66FF_FFC0_0000)
    yield bad_data("not-congruent", "p_vaddr 0x401500 and p_offset 0x400 differ", "modulo 4096", vaddr=BASE + 0x1500)
    yield bad_data("align-huge", "p_align 0x8000000000000000 is too large", "2^63", align=2**63)
    yield bad_data("out-of-order", "p_vaddr 0x3f9400 is below the one before, 0x400000", "order", vaddr=BASE - 0x6C00)
    shared = {"offset": 0x3F8, "vaddr": BASE + 0x3F8}
    yield bad_data("overlap", "p_vaddr 0x4003f8 overlaps the segment before", "shares its last bytes", **shared)
    yield bad("duplicate", "overlaps the segment before", "the same segment twice", phdrs=(TEXT, TEXT))
    huge = (replace(TEXT, vaddr=0), replace(DATA, vaddr=PAGE + 0x400, memsz=USER_END))
    yield bad("pie-too-large", "above the user address range", "no room for it", type=ET_DYN, entry=0x200, phdrs=huge)


def entries() -> Iterator[Case]:
    """Entry points at which nothing can run."""
    message = "lies in no executable segment"
    yield bad("entry-0", f"entry point 0x0 {message}", "as in a library", entry=0)
    yield bad("entry-in-data", message, "in a segment without PF_X", entry=DATA.vaddr)
    yield bad("entry-before", message, "one byte below the code", entry=BASE - 1)
    yield bad("entry-behind", message, "one byte behind the code", entry=BASE + 0x400)
    yield bad("entry-kernel-half", message, "in the upper half", entry=0xFFFF_FFFF_8100_0000)
    yield bad("no-executable-segment", message, "no PT_LOAD has PF_X", phdrs=(replace(TEXT, flags=R), DATA))


def interpreters() -> Iterator[Case]:
    """Defects of PT_INTERP."""
    yield bad_interp("interp-size-0", "the path is empty", "p_filesz 0", filesz=0)
    yield bad_interp("interp-size-1", "the path is empty", "only room for the NUL", filesz=1)
    yield bad_interp("interp-nul", "the path is empty", "begins with NUL", path=b"\0lib64/ld.so\0")
    yield bad_interp("interp-long", "4097 bytes is too long for a path", "more than PATH_MAX", filesz=4097)
    yield bad_interp("interp-huge", f"{U64_MAX} bytes is too long", "2^64 - 1 bytes", filesz=U64_MAX)
    yield bad_interp("interp-not-terminated", "the path does not end with a NUL byte", "no NUL", path=INTERP[:-1])
    yield bad_interp("interp-relative", "the path is not absolute", "depends on the directory", path=b"ld.so\0")
    yield bad_interp("interp-beyond-eof", "the path lies beyond the end", "starts past the end", offset=0x7F0)
    yield bad_interp("interp-offset-max", "the path lies beyond the end", "p_offset 2^64 - 1", offset=U64_MAX)


def good(name: str, about: str, *, runs: bool = True, **changes: object) -> Case:
    """Make a file that has to be accepted."""
    data = replace(GOOD, **changes).pack()  # type: ignore[arg-type]
    return Case(f"good-{name}", "runs" if runs else "good", "", about, data)


def good_files() -> Iterator[Case]:
    """Make files that are unusual but right."""
    pie = (replace(TEXT, vaddr=0), replace(DATA, vaddr=PAGE + 0x400))
    interp = Phdr(type=PT_INTERP, flags=R, offset=INTERP_OFFSET, filesz=len(INTERP), memsz=len(INTERP), align=1)
    stack = Phdr(PT_GNU_STACK, R | W | X, 0, 0, 0, 0, 16)
    yield good("fixed", "an executable with fixed addresses")
    yield good("static-pie", "position-independent, no interpreter", type=ET_DYN, entry=TEXT_OFFSET, phdrs=pie)
    # The interpreter would look for a dynamic section, so it cannot run.
    phdrs = (interp, *pie)
    yield good("pie", "position-independent with interpreter", runs=False, type=ET_DYN, entry=TEXT_OFFSET, phdrs=phdrs)
    yield good("text-only", "a single segment", phdrs=(TEXT,))
    yield good("bss-only", "a segment without file part", phdrs=(TEXT, replace(DATA, filesz=0)))
    yield good("exec-stack", "PT_GNU_STACK asks for an executable stack", phdrs=(TEXT, DATA, stack))
    empty = replace(DATA, vaddr=BASE + 0x10_0000, offset=0, filesz=0, memsz=0)
    yield good("empty-load", "an empty PT_LOAD behind the others", phdrs=(TEXT, DATA, empty))
    yield good("odd-align", "p_align is no power of two: ignored", phdrs=(replace(TEXT, align=0x3001), DATA))
    shared = replace(DATA, offset=0x400, vaddr=BASE + 0x400, memsz=0x100, flags=R | W | X)
    yield good("shared-page", "two segments in one page", phdrs=(TEXT, shared))
    yield good("phdrs-at-end", "program headers behind everything, in no segment", phoff=0x780)
    other = (Phdr(type=PT_NOTE, offset=0x7FFF, vaddr=0, filesz=U64_MAX, memsz=0), TEXT, DATA)
    yield good("broken-note", "PT_NOTE is nonsense, but is not looked at", phdrs=other)
    yield good(
        "large-align",
        "position-independent, aligned to 2 MiB",
        type=ET_DYN,
        entry=TEXT_OFFSET,
        phdrs=(replace(pie[0], align=0x20_0000), pie[1]),
    )


def cases() -> Iterator[Case]:
    """All files."""
    for group in (not_elf, identity, header, segments, entries, interpreters, good_files):
        yield from group()


def main() -> int:
    """Write the corpus."""
    if len(sys.argv) != 2:
        print("usage: make_corpus.py DIRECTORY", file=sys.stderr)
        return 2
    directory = Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    lines = []
    for case in cases():
        path = directory / f"{case.name}.elf"
        path.write_bytes(case.data)
        path.chmod(0o755)
        lines.append(f"{path.name}\t{case.verdict}\t{case.message}\t{case.about}\n")
    (directory / "index.tsv").write_text("".join(lines), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
