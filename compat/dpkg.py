"""Debian's package database, read directly: who owns a file, what a package holds and needs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_EXECUTABLE_DIRS = tuple(f"{base}/{name}/" for base in ("", "/usr") for name in ("bin", "sbin", "games"))
_FIELD = re.compile(r"^(Package|Status|Source|Version|Architecture|Essential|Pre-Depends|Depends): (.*)$", re.MULTILINE)
_NAME = re.compile(r"^\s*([a-z0-9][a-z0-9+.-]*)")


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    source: str
    essential: bool
    depends: tuple[str, ...]
    version: str = ""
    architecture: str = ""


class Dpkg:
    """Empty where there is no dpkg: every question then has no answer, and no error."""

    def __init__(self, root: str = "/var/lib/dpkg") -> None:
        self._root = Path(root)
        self._files: dict[str, list[str]] = {}

    @cached_property
    def packages(self) -> dict[str, Package]:
        try:
            text = (self._root / "status").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return {}
        found = (_parse(stanza) for stanza in text.split("\n\n"))
        return {package.name: package for package in found if package is not None}

    @cached_property
    def _lists(self) -> dict[str, str]:
        try:
            names = sorted(os.listdir(self._root / "info"))
        except OSError:
            return {}
        lists = (name for name in names if name.endswith(".list"))
        return {name.removesuffix(".list").partition(":")[0]: str(self._root / "info" / name) for name in lists}

    def owners(self, paths: Iterable[str]) -> dict[str, str]:
        """Package by path; a merged /usr makes two spellings of one path, and both are tried."""
        wanted: dict[str, str] = {}
        for path in paths:
            for spelling in (path, path.removeprefix("/usr"), f"/usr{path}"):
                wanted.setdefault(spelling, path)
        owners: dict[str, str] = {}
        for name in self._lists:
            for line in wanted.keys() & set(self.files(name)):
                owners.setdefault(wanted[line], name)
        return owners

    def files(self, package: str) -> list[str]:
        """Paths that a package installs, directories included."""
        if package not in self._files:
            try:
                with open(self._lists[package], encoding="utf-8", errors="surrogateescape") as file:
                    self._files[package] = file.read().splitlines()
            except (OSError, KeyError):
                self._files[package] = []
        return self._files[package]

    def has_programs(self, package: str) -> bool:
        return any(path.startswith(_EXECUTABLE_DIRS) for path in self.files(package))


def _parse(stanza: str) -> Package | None:
    fields: dict[str, str] = dict(_FIELD.findall(stanza))
    if "Package" not in fields or not fields.get("Status", "").endswith(" installed"):
        return None
    # Of alternatives, every installed one counts: which one is used cannot be told from here.
    depends = re.split(r"[,|]", fields.get("Pre-Depends", "") + "," + fields.get("Depends", ""))
    names = (match[1] for match in map(_NAME.match, depends) if match)
    source = fields.get("Source", fields["Package"]).partition(" ")[0]
    return Package(
        name=fields["Package"],
        source=source,
        essential=fields.get("Essential") == "yes",
        depends=tuple(dict.fromkeys(names)),
        version=fields.get("Version", ""),
        architecture=fields.get("Architecture", ""),
    )
