"""Whether a program makes pseudo-terminals: an image of one that does not leaves them out."""

from __future__ import annotations

import os
from collections.abc import Sequence

from compat.reach.model import Reach
from compat.syscall_table import Call

# What the kernel calls the part.
PART = "ptys"
IOCTL = "ioctl"
# Without one of these nobody gets at the other side: TIOCSPTLCK, TIOCGPTN, TIOCGPTPEER.
REQUESTS = frozenset({0x40045431, 0x80045430, 0x5441})
MASTER = "/dev/ptmx"
# They name it for posix_openpt(3), whoever calls that; unlockpt(3) then makes the request.
C_LIBRARIES = ("libc.so.6", "libc.musl-x86_64.so.1", "ld-musl-x86_64.so.1")


def uses_ptys(reach: Reach, table: Sequence[Call]) -> bool:
    """By a request that only a pseudo-terminal's user makes, or by the name of the device in a file of its own."""
    uses = [reach.calls[call.nr] for call in table if call.name == IOCTL and call.nr in reach.calls]
    if any(detail.kind == "ioctl.request" and detail.value in REQUESTS for use in uses for detail in use.details):
        return True
    own = (names for file, names in reach.paths.items() if os.path.basename(file) not in C_LIBRARIES)
    return bool(uses) and any(MASTER in names for names in own)
