"""Lays two threads side by side and tells where they part."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest

from compat.diff.normal import Normal, Normalizer
from compat.diff.strace import Trace

CONTEXT = 4
# difflib needs the square of this in the worst case.
WINDOW = 4000


@dataclass(frozen=True)
class Divergence:
    """One place. `native` or `guest` is None where the other side alone made a call."""

    # "result", "arguments", "only natively", "only in the guest".
    kind: str
    thread: int
    # Numbers of the calls in their threads.
    at: tuple[int, int]
    native: Normal | None
    guest: Normal | None
    context: tuple[Normal, ...] = ()


def compare(native: Trace, guest: Trace) -> Iterator[Divergence]:
    """All divergences: thread by thread, each in the order of its calls."""
    alone = len(native.threads) <= 1 and len(guest.threads) <= 1
    sides = [
        [normalizer.calls(calls, alone=alone) for calls in trace.threads.values()]
        for trace, normalizer in ((native, Normalizer(native)), (guest, Normalizer(guest)))
    ]
    for thread, (ours, theirs) in enumerate(zip_longest(*sides, fillvalue=[])):
        yield from _compare_thread(thread, ours, theirs)


def _compare_thread(thread: int, native: Sequence[Normal], guest: Sequence[Normal]) -> Iterator[Divergence]:
    """In windows: what belongs together is never far apart."""
    at_native = at_guest = 0
    while at_native < len(native) or at_guest < len(guest):
        ours, theirs = native[at_native : at_native + WINDOW], guest[at_guest : at_guest + WINDOW]
        matcher = SequenceMatcher(None, [call.key for call in ours], [call.key for call in theirs], autojunk=False)
        blocks = matcher.get_matching_blocks()
        last = at_native + WINDOW >= len(native) and at_guest + WINDOW >= len(guest)
        end = (len(ours), len(theirs))
        if not last and len(blocks) > 1:
            # What is behind the last match may match in the next window.
            end = (blocks[-2].a + blocks[-2].size, blocks[-2].b + blocks[-2].size)
        done = (0, 0)
        for block in blocks:
            stop = (min(block.a, end[0]), min(block.b, end[1]))
            for at in range(done[0], stop[0]):
                where = (at_native + at, at_guest + done[1])
                yield Divergence("only natively", thread, where, ours[at], None, _context(native, at_native + at))
            for at in range(done[1], stop[1]):
                where = (at_native + stop[0], at_guest + at)
                context = _context(native, at_native + stop[0])
                yield Divergence("only in the guest", thread, where, None, theirs[at], context)
            for offset in range(block.size):
                pair = ours[block.a + offset], theirs[block.b + offset]
                where = (at_native + block.a + offset, at_guest + block.b + offset)
                kind = _difference(*pair)
                if kind is not None:
                    yield Divergence(kind, thread, where, *pair, _context(native, where[0]))
            done = (block.a + block.size, block.b + block.size)
        at_native, at_guest = at_native + end[0], at_guest + end[1]


def _difference(native: Normal, guest: Normal) -> str | None:
    if "?" in {native.result, guest.result}:
        # The end may come before the call returns or after.
        return None
    if native.result != guest.result:
        return "result"
    return "arguments" if native.args != guest.args else None


def _context(calls: Sequence[Normal], at: int) -> tuple[Normal, ...]:
    return tuple(calls[max(0, at - CONTEXT) : at])
