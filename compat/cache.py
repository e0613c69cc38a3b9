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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from compat import __version__, native
from compat.errors import CompatError

LIMIT = 4 << 30
STALE_PART_SECONDS = 3600
# Package and library changes that no single input file shows.
GLOBAL_INPUTS = ("/etc/ld.so.cache", "/var/lib/dpkg/status")


def cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "compat"


def cached_image(request: list[object], build: Callable[[Path], dict[str, os.stat_result]]) -> Path:
    """The image for a request; `build` writes it to a path and returns the files that it read."""
    directory = cache_dir()
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        hint = "set XDG_CACHE_HOME to a directory that you can write to"
        raise CompatError(f"cannot make the cache {directory}: {error.strerror}", hint) from error
    key = hashlib.sha256(json.dumps([__version__, *request]).encode()).hexdigest()[:32]
    image, manifest = directory / f"{key}.img", directory / f"{key}.json"
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
            for suffix in (".img", ".json", ".lock"):
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
    try:
        recorded = json.loads(manifest.read_bytes())
        if recorded["tool"] != _tool() or not image.exists():
            return False
        return bool(_identities(recorded["paths"]) == recorded["identities"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _write_manifest(manifest: Path, inputs: dict[str, os.stat_result]) -> None:
    identities = [number for status in inputs.values() for number in (status.st_ino, status.st_ctime_ns)]
    paths = [*inputs, *GLOBAL_INPUTS]
    text = json.dumps({"tool": _tool(), "paths": paths, "identities": identities + _identities(GLOBAL_INPUTS)})
    temporary = manifest.with_suffix(f".{os.getpid()}.part")
    temporary.write_text(text)
    os.replace(temporary, manifest)


def _identities(paths: Sequence[str]) -> list[int]:
    """Inode and time of change, which content, mode, owner and replacement all alter; zeros for what is not there.

    An image of an interpreter has thousands of inputs, and this runs before every start.
    """
    identities: list[int] = []
    for path in paths:
        try:
            status = os.lstat(path)
            identities += (status.st_ino, status.st_ctime_ns)
        except OSError:
            identities += (0, 0)
    return identities


def _tool() -> list[int]:
    """Identity of this tool: its own modules and the kernel."""
    package = Path(__file__).parent
    modules = sorted(path for sub in (".", "erofs", "analysis", "reach", "select") for path in _modules(package / sub))
    return _identities([*modules, str(native.native_dir() / native.KERNEL)])


def _modules(directory: Path) -> Iterator[str]:
    with contextlib.suppress(OSError):
        yield from (entry.path for entry in os.scandir(directory) if entry.name.endswith((".py", ".toml")))


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
