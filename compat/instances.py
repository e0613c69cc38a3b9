"""Running instances: where they listen for questions, and how they are asked."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compat.errors import CompatError

TIMEOUT = 2.0
ANSWER_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Instance:
    pid: int
    path: Path


def instance_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the monitors make their sockets, `PID.sock`."""
    runtime = environment.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "compat" if runtime else Path(f"/tmp/compat-{os.getuid()}")  # noqa: S108 - checked below


def find_instances() -> list[Instance]:
    """All that seem to run. A folder that belongs to somebody else is not looked at."""
    folder = instance_folder()
    try:
        if folder.stat().st_uid != os.getuid():
            raise CompatError(f"{folder} belongs to another user", "set XDG_RUNTIME_DIR to a folder of your own")
        names = [path for path in folder.iterdir() if path.suffix == ".sock" and path.stem.isdecimal()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CompatError(f"cannot read {folder}: {error.strerror}") from error
    return sorted((Instance(int(path.stem), path) for path in names), key=lambda instance: instance.pid)


def ask_instance(instance: Instance, command: str) -> dict[str, Any] | None:
    """What the instance answers; None when it is gone and has only left its socket."""
    try:
        answer = _ask(instance, {"command": command})
    except (ConnectionRefusedError, ConnectionResetError, FileNotFoundError, BrokenPipeError):
        return None
    except OSError as error:
        raise CompatError(f"instance {instance.pid} does not answer: {error.strerror or 'timeout'}") from error
    if not answer:
        return None
    with contextlib.suppress(ValueError):
        document = json.loads(answer)
        if isinstance(document, dict):
            return document
    raise CompatError(f"instance {instance.pid} gave no answer that this version of compat understands")


def _ask(instance: Instance, question: dict[str, str]) -> bytes:
    """One line there, one line back."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT)
        connection.connect(str(instance.path))
        connection.sendall(json.dumps(question).encode() + b"\n")
        with connection.makefile("rb") as answer:
            return answer.readline(ANSWER_MAX)
