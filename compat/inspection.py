"""What is in an image, read from the image itself."""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from compat import manifest as manifests
from compat.bootconfig import Tag
from compat.bootconfig import decode as decode_config
from compat.elf_structs import EHDR, PHDR, PT_LOAD
from compat.erofs.reader import DamagedError, Entry, Reader
from compat.errors import CompatError
from compat.image import HEADER_MAGIC
from compat.image_tail import PT_MANIFEST
from compat.manifest import Manifest, PackageInfo
from compat.program import TRAILER_MAGIC

_HEADER = struct.Struct("<8Q")
_TRAILER = struct.Struct("<QQ8s")
_PLANS = struct.Struct("<8sII")
MAX_HEADERS = 64
MAX_CONFIG = 16 << 20
PF_X, PF_W = 1, 2
KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link"}


@dataclass(frozen=True, slots=True)
class FileInfo:
    """One name of the root file system. `target` is a link's, `sha256` a file's."""

    path: str
    kind: str
    mode: int
    size: int
    sha256: str | None
    target: str | None
    package: PackageInfo | None


@dataclass(frozen=True, slots=True)
class KernelSizes:
    """Bytes of the kernel as loaded: code, constants, variables, and those that start as zero."""

    text: int
    rodata: int
    data: int
    bss: int


@dataclass(frozen=True, slots=True)
class Inspection:
    path: Path
    size: int
    standalone: bool
    kernel: KernelSizes
    configuration: dict[str, list[str]]
    plans_size: int
    planned_files: int
    root_size: int
    manifest: Manifest | None
    files: tuple[FileInfo, ...]


def inspect(path: Path) -> Inspection:
    """Reads the whole image; what does not fit together is an error."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise CompatError(f"cannot read {path}: {(error.strerror or str(error)).lower()}") from error
    try:
        return _inspect(path, fd)
    except (DamagedError, ValueError, struct.error, OverflowError) as error:
        raise CompatError(f"{path} is no whole image: {error}") from error
    except OSError as error:
        raise CompatError(f"cannot read {path}: {error.strerror}") from error
    finally:
        os.close(fd)


@contextmanager
def open_root(path: Path) -> Iterator[Reader]:
    """The root file system of an image that was inspected."""
    with path.open("rb") as file:
        fd = file.fileno()
        size = os.fstat(fd).st_size
        base = _image_start(fd, size)
        image = _Image(fd, size, base, _program_headers(fd, base))
        *_, root_at, root_size = _image_header(image, image.loads()[:-2])
        yield Reader(fd, base + image.at(root_at, root_size), root_size)


@dataclass(frozen=True, slots=True)
class _Image:
    fd: int
    size: int
    base: int
    headers: list[tuple[int, ...]]

    def read(self, offset: int, size: int) -> bytes:
        if self.base + offset + size > self.size:
            raise ValueError(f"it ends before {offset + size:#x}")
        return os.pread(self.fd, size, self.base + offset)

    def loads(self) -> list[tuple[int, ...]]:
        return [header for header in self.headers if header[0] == PT_LOAD]

    def at(self, paddr: int, size: int) -> int:
        """The file offset of what is loaded at an address."""
        for _, _, offset, _, start, filesz, _, _ in self.loads():
            if start <= paddr and paddr + size <= start + filesz:
                return offset + paddr - start
        raise ValueError(f"nothing is loaded at {paddr:#x}")


def _inspect(path: Path, fd: int) -> Inspection:
    size = os.fstat(fd).st_size
    base = _image_start(fd, size)
    image = _Image(fd, size, base, _program_headers(fd, base))
    kernel = image.loads()[:-2]
    config_at, config_size, plans_at, plans_size, root_at, root_size = _image_header(image, kernel)
    manifest = _manifest(image)
    reader = Reader(fd, base + image.at(root_at, root_size), root_size)
    return Inspection(
        path=path,
        size=size,
        standalone=base > 0,
        kernel=_kernel_sizes(kernel),
        configuration=_configuration(image.read(image.at(config_at, config_size), min(config_size, MAX_CONFIG))),
        plans_size=plans_size,
        planned_files=_planned_files(image, plans_at, plans_size),
        root_size=root_size,
        manifest=manifest,
        files=tuple(_files(reader, manifest)),
    )


def _image_start(fd: int, size: int) -> int:
    """A standalone file begins with the monitor."""
    if size < _TRAILER.size:
        raise ValueError("it is too short")
    base, _, magic = _TRAILER.unpack(os.pread(fd, _TRAILER.size, size - _TRAILER.size))
    if magic != TRAILER_MAGIC:
        return 0
    if base >= size:
        raise ValueError("its trailer leads nowhere")
    return int(base)


def _program_headers(fd: int, base: int) -> list[tuple[int, ...]]:
    header = EHDR.unpack(os.pread(fd, EHDR.size, base))
    if header[0][:5] != b"\x7fELF\x02" or header[9] != PHDR.size or not 3 <= header[10] <= MAX_HEADERS:
        raise ValueError("it is no ELF file of compat's shape")
    table = os.pread(fd, PHDR.size * header[10], base + header[5])
    if len(table) != PHDR.size * header[10]:
        raise ValueError("its program headers are cut off")
    return list(PHDR.iter_unpack(table))


def _image_header(image: _Image, kernel: list[tuple[int, ...]]) -> list[int]:
    """The kernel's variables begin with it."""
    writable = [header for header in kernel if header[1] & PF_W]
    for _, _, offset, _, _, filesz, _, _ in writable:
        if filesz >= _HEADER.size:
            magic, *values, _flags = _HEADER.unpack(image.read(offset, _HEADER.size))
            if magic == HEADER_MAGIC:
                return values
    raise ValueError("it has no image header")


def _kernel_sizes(kernel: list[tuple[int, ...]]) -> KernelSizes:
    text = rodata = data = bss = 0
    for _, flags, _, _, _, filesz, memsz, _ in kernel:
        if flags & PF_X:
            text += filesz
        elif flags & PF_W:
            data += filesz
            bss += memsz - filesz
        else:
            rodata += filesz
    return KernelSizes(text, rodata, data, bss)


def _configuration(blob: bytes) -> dict[str, list[str]]:
    """Texts by the names of their tags."""
    texts = {Tag.EXE, Tag.ARG0, Tag.ARG, Tag.ENV, Tag.CWD, Tag.HOSTNAME, Tag.NET}
    found: dict[str, list[str]] = {}
    for tag, data in decode_config(blob):
        if tag in texts:
            found.setdefault(Tag(tag).name.lower(), []).append(data.decode(errors="backslashreplace"))
    return found


def _planned_files(image: _Image, at: int, size: int) -> int:
    if size < _PLANS.size:
        return 0
    return int(_PLANS.unpack(image.read(image.at(at, size), _PLANS.size))[1])


def _manifest(image: _Image) -> Manifest | None:
    for kind, _, offset, _, _, filesz, _, _ in image.headers:
        if kind == PT_MANIFEST:
            return manifests.decode(image.read(offset, filesz))
    return None


def _files(reader: Reader, manifest: Manifest | None) -> Iterator[FileInfo]:
    hashes: dict[int, str] = {}
    for entry in reader.walk():
        path = entry.path.decode(errors="surrogateescape")
        owner = manifest.owners.get(path) if manifest is not None else None
        package = manifest.packages[owner] if manifest is not None and owner is not None else None
        kind = KINDS.get(stat.S_IFMT(entry.mode), "other")
        if kind == "file" and entry.nid not in hashes:
            hashes[entry.nid] = reader.sha256(entry)
        target = b"".join(reader.content(entry)).decode(errors="backslashreplace") if kind == "link" else None
        yield FileInfo(
            path=_text(entry),
            kind=kind,
            mode=stat.S_IMODE(entry.mode),
            size=entry.size,
            sha256=hashes[entry.nid] if kind == "file" else None,
            target=target,
            package=package,
        )


def _text(entry: Entry) -> str:
    return entry.path.decode(errors="backslashreplace")
