"""Images that `compat run PROGRAM` made, kept by what went into them.

Beside each image lies a manifest with the identity of every input file; the image serves as long as all are unchanged.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from compat import __version__, native
from compat.errors import CompatError
from compat.inputs import cache_folder, identities, is_current, manifest_text, tool_identity

LIMIT = 4 << 30
STALE_PART_SECONDS = 3600
# Package and library changes that no single input file shows.
GLOBAL_INPUTS = ("/etc/ld.so.cache", "/var/lib/dpkg/status")


def cache_dir() -> Path:
    return Path(cache_folder())


def cached_image(request: list[object], build: Callable[[Path], dict[str, os.stat_result]]) -> Path:
    """The image for a request; `build` writes it to a path and returns the files that it read."""
    directory = cache_dir()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        hint = "set XDG_CACHE_HOME to a directory that you can write to"
        raise CompatError(f"cannot make the cache {directory}: {error.strerror}", hint) from error
    key = hashlib.sha256(json.dumps([__version__, *request]).encode()).hexdigest()[:32]
    image, manifest = directory / f"{key}.img", directory / f"{key}.inputs"
    if _is_current(image, manifest):
        with contextlib.suppress(OSError):
            os.utime(image)
        return image
    with _locked(directory / f"{key}.lock"):
        if not _is_current(image, manifest):
            manifest.unlink(missing_ok=True)
            inputs = build(image)
            _write_manifest(manifest, inputs)
            prune(directory, keep=image)
    return image


def prune(directory: Path, keep: Path, limit: int | None = None) -> None:
    """Removes the longest unused images above the limit, and what interrupted runs left."""
    limit = _limit() if limit is None else limit
    images = []
    for entry in os.scandir(directory):
        with contextlib.suppress(FileNotFoundError):
            status = entry.stat()
            if entry.name.endswith(".img"):
                images.append((status.st_mtime_ns, status.st_blocks * 512, entry.path))
            elif entry.name.endswith(".part") and status.st_mtime < time.time() - STALE_PART_SECONDS:
                os.unlink(entry.path)
    total = sum(size for _, size, _ in images)
    for _, size, path in sorted(images):
        if total <= limit:
            return
        if path != str(keep):
            for suffix in (".img", ".inputs", ".lock"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path.removesuffix(".img") + suffix)
            total -= size


def _limit() -> int:
    text = os.environ.get("COMPAT_CACHE_LIMIT", "")
    if not text:
        return LIMIT
    from compat.units import parse_size

    return parse_size(text)


def _is_current(image: Path, manifest: Path) -> bool:
    return is_current(str(image), str(manifest), _tool())


def _write_manifest(manifest: Path, inputs: dict[str, os.stat_result]) -> None:
    numbers = [number for status in inputs.values() for number in (status.st_ino, status.st_ctime_ns)]
    text = manifest_text(_tool(), [*inputs, *GLOBAL_INPUTS], numbers + identities(GLOBAL_INPUTS))
    temporary = manifest.with_suffix(f".{os.getpid()}.part")
    temporary.write_bytes(text)
    os.replace(temporary, manifest)


def _tool() -> str:
    return tool_identity(native.native_path(native.KERNEL))


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One process builds an image, others wait for it."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise CompatError(f"cannot write to the cache: {path}: {error.strerror}") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)
