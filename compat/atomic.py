"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from compat.errors import CompatError


@contextlib.contextmanager
def replacing(path: Path, *, executable: bool = False) -> Iterator[int]:
    """A descriptor of a temporary file beside `path` that takes its name at the end, or vanishes on any failure."""
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():
        raise CompatError(f"cannot write {path}: it is a directory or a special file")
    with _ending_by_exception():
        try:
            fd, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        except OSError as error:
            raise CompatError(f"cannot write {path}: {error.strerror}") from error
        try:
            yield fd
            os.fchmod(fd, (0o777 if executable else 0o666) & ~_umask())
            os.replace(name, path)
        except OSError as error:
            _remove(name)
            raise CompatError(f"cannot write {path}: {error.strerror}") from error
        except BaseException:
            _remove(name)
            raise
        finally:
            os.close(fd)


def _remove(name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(name)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


@contextlib.contextmanager
def _ending_by_exception() -> Iterator[None]:
    """SIGTERM and SIGHUP end the block like Ctrl-C does, so that the temporary file goes."""

    def stop(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    old = {}
    with contextlib.suppress(ValueError):  # not the main thread: the default action stands
        old = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
