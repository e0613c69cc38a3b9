"""Room at QEMU's published ports for clients that come at once.

QEMU's user-mode network listens with a backlog of 1. Of fifty clients that connect at once the host's kernel takes two,
the others try again after pauses that double, all at the same moments: some stay out for minutes, and a load that waits
for each of them does not come to its end. No option changes that, but listen(2) on a socket that listens already sets
its backlog, and a duplicate of QEMU's socket will do for it.
"""

from __future__ import annotations

import ctypes
import os
import socket
import stat
import subprocess
import sys
import time

BACKLOG = 4096
PAUSE_SECONDS = 0.01
# Not in Python's `os`; its number on x86-64.
PIDFD_GETFD = 438


def widen(process: subprocess.Popen[bytes], ports: int) -> None:
    """Waits for QEMU to listen on that many TCP ports and gives each more room. Returns early when QEMU ends."""
    done: set[int] = set()
    try:
        pidfd = os.pidfd_open(process.pid)
        try:
            while len(done) < ports and process.poll() is None:
                done |= {fd for fd in _sockets(process.pid) - done if _widen_one(pidfd, fd)}
                time.sleep(PAUSE_SECONDS)
        finally:
            os.close(pidfd)
    except OSError as error:
        # It may also have ended meanwhile, and who waits for it is about to know.
        time.sleep(PAUSE_SECONDS)
        if process.poll() is None:
            print(
                f"compat: QEMU takes two new connections at a time, more may wait for minutes ({error.strerror})",
                file=sys.stderr,
            )


def _sockets(pid: int) -> set[int]:
    folder = f"/proc/{pid}/fd"
    found = set()
    for name in os.listdir(folder):
        try:
            is_socket = stat.S_ISSOCK(os.stat(f"{folder}/{name}").st_mode)
        except FileNotFoundError:
            # Closed since.
            continue
        if is_socket:
            found.add(int(name))
    return found


def _widen_one(pidfd: int, fd: int) -> bool:
    """False: it is not, or not yet, a port that somebody listens on."""
    libc = ctypes.CDLL(None, use_errno=True)
    own = libc.syscall(PIDFD_GETFD, pidfd, fd, 0)
    if own < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"pidfd_getfd: {os.strerror(number)}")
    with socket.socket(fileno=own) as duplicate:
        if duplicate.family != socket.AF_INET or duplicate.type != socket.SOCK_STREAM:
            return False
        if not duplicate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return False
        duplicate.listen(BACKLOG)
        return True
