"""What an image says of itself: the choice that its kernel was linked for, and the packages that its files came from.

JSON, compressed, in a program header of its own (`PT_MANIFEST`). Equal images have equal manifests: there is no date.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

from compat import __version__
from compat.dpkg import Dpkg
from compat.erofs import Layout
from compat.select.model import Selection

VERSION = 1
# Of a damaged image no more than this is unpacked.
MAX_SIZE = 64 << 20


@dataclass(frozen=True, slots=True)
class PackageInfo:
    name: str
    version: str
    architecture: str
    source: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """`owners` names the package of a path, as an index into `packages`."""

    tool: str
    program: str
    scripts: tuple[str, ...]
    kernel_sha256: str
    method: str
    calls: tuple[str, ...]
    of: int
    parts: tuple[str, ...]
    packages: tuple[PackageInfo, ...] = ()
    owners: Mapping[str, int] = field(default_factory=dict)


def describe(
    program: str, scripts: Iterable[str], kernel_sha256: str, selection: Selection, layout: Layout, dpkg: Dpkg
) -> Manifest:
    sources = {item.path.decode(errors="surrogateescape"): item.node.source for item in layout.placed}
    owners = dpkg.owners(source for source in sources.values() if source is not None)
    owner_of = {path: owners[source] for path, source in sources.items() if source is not None and source in owners}
    names = sorted(set(owner_of.values()) & dpkg.packages.keys())
    numbers = {name: number for number, name in enumerate(names)}
    return Manifest(
        tool=__version__,
        program=program,
        scripts=tuple(scripts),
        kernel_sha256=kernel_sha256,
        method=selection.method,
        calls=tuple(sorted(selection.calls)),
        of=selection.of,
        parts=selection.parts,
        packages=tuple(_package(dpkg, name) for name in names),
        owners={path: numbers[name] for path, name in sorted(owner_of.items()) if name in numbers},
    )


def _package(dpkg: Dpkg, name: str) -> PackageInfo:
    package = dpkg.packages[name]
    return PackageInfo(package.name, package.version, package.architecture, package.source)


def encode(manifest: Manifest) -> bytes:
    text = json.dumps({"version": VERSION, **asdict(manifest)}, sort_keys=True, separators=(",", ":"))
    return zlib.compress(text.encode(), 9)


def decode(blob: bytes) -> Manifest:
    """A malformed manifest is a ValueError."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(blob, MAX_SIZE)
        if not unpacker.eof:
            raise ValueError("the manifest is cut off")
        fields = json.loads(text)
        if fields.pop("version") != VERSION:
            raise ValueError("a manifest of another version")
        fields["packages"] = tuple(PackageInfo(**package) for package in fields["packages"])
        for name in ("scripts", "calls", "parts"):
            fields[name] = tuple(map(str, fields[name]))
        manifest = Manifest(**fields)
    except (zlib.error, TypeError, KeyError, AttributeError) as error:
        raise ValueError(str(error)) from error
    if not all(isinstance(at, int) and 0 <= at < len(manifest.packages) for at in manifest.owners.values()):
        raise ValueError("an owner that is no package")
    return manifest
