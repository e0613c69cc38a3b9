"""Builds small shared objects from assembly and shows their plan by label.

A label `site_x` stands on a `syscall`; `Built["site_x"]` is its record, its `LeftSite`, or None when it does not
count as a real site.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from elftools.elf.elffile import ELFFile

from compat.analysis import FilePlan, LeftSite, SiteRecord, plan_patches


@dataclass(frozen=True)
class Built:
    """A file, its plan, and the file offsets of its labels."""

    path: Path
    plan: FilePlan
    labels: dict[str, int]

    def __getitem__(self, label: str) -> SiteRecord | LeftSite | None:
        offset = self.labels[label]
        found: list[SiteRecord | LeftSite] = [*self.plan.records, *self.plan.left]
        return next((entry for entry in found if entry.site == offset), None)

    def record(self, label: str) -> SiteRecord:
        """The record of a site that must have one."""
        entry = self[label]
        assert isinstance(entry, SiteRecord), entry
        return entry

    def left(self, label: str) -> str:
        """The reason why a real site was left."""
        entry = self[label]
        assert isinstance(entry, LeftSite), entry
        return entry.reason


def function(name: str, body: str, *, cfi: bool = True, align: int = 16) -> str:
    """A function in assembly, with an FDE unless told otherwise."""
    begin, end = (".cfi_startproc", ".cfi_endproc") if cfi else ("", "")
    return f"""
    .p2align {align.bit_length() - 1}, 0x90
    .globl {name}
    .type {name}, @function
{name}:
    {begin}
{body}
    {end}
    .size {name}, . - {name}
"""


def build(folder: Path, assembly: str, *flags: str, strip: bool = False) -> Built:
    """Assemble, link and plan."""
    source, target, full = folder / "case.S", folder / "case.so", folder / "case.full.so"
    source.write_text(f".text\n{assembly}\n.section .note.GNU-stack\n")
    base = ["gcc", "-nostdlib", "-Wl,--build-id", "-o", str(full), str(source)]
    subprocess.run([*base, *(flags or ("-shared",))], check=True)
    labels = labels_of(full)
    command = ["strip", "-s"] if strip else ["strip", "--strip-symbol=unused", "--wildcard", "-N", "site_*"]
    subprocess.run([*command, "-o", str(target), str(full)], check=True)
    return Built(target, plan_patches(target), labels)


def labels_of(path: Path) -> dict[str, int]:
    """File offsets of all symbols."""
    with path.open("rb") as file:
        elf = ELFFile(file)
        segments = [segment.header for segment in elf.iter_segments("PT_LOAD")]
        found = {}
        for symbol in elf.get_section_by_name(".symtab").iter_symbols():
            for segment in segments:
                distance = symbol["st_value"] - segment["p_vaddr"]
                if 0 <= distance < segment["p_filesz"] and symbol["st_shndx"] != "SHN_UNDEF":
                    found[symbol.name] = distance + segment["p_offset"]
        return found
