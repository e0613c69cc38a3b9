"""For all tests."""

from __future__ import annotations

import signal

# A background job of a shell ignores SIGINT, and children inherit that: tests that interrupt something would wait.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
