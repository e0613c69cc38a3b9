"""Numbers and strings as strace writes them."""

from __future__ import annotations

from compat.trace.constants import Family, flags_of, signal_name

U32 = 0xFFFFFFFF
AT_FDCWD = -100
SIGNALS = 64
_ESCAPES = {0x22: '\\"', 0x5C: "\\\\", 0x09: "\\t", 0x0A: "\\n", 0x0B: "\\v", 0x0C: "\\f", 0x0D: "\\r"}
_SPECIAL_BITS = {0o4000: "S_ISUID", 0o2000: "S_ISGID", 0o1000: "S_ISVTX"}
_TYPES = {0o140000: "S_IFSOCK", 0o120000: "S_IFLNK", 0o100000: "S_IFREG", 0o060000: "S_IFBLK"}
_TYPES |= {0o040000: "S_IFDIR", 0o020000: "S_IFCHR", 0o010000: "S_IFIFO"}


def signed(value: int, bits: int = 32) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def address(value: int) -> str:
    return f"{value:#x}" if value else "NULL"


def octal(value: int) -> str:
    """As C's `%#03o`."""
    return f"0{value:o}".rjust(3, "0")


def mode(value: int) -> str:
    """`S_IFREG|0644`."""
    kind = _TYPES.get(value & 0o170000)
    names = [kind] if kind else []
    names += [name for bit, name in _SPECIAL_BITS.items() if value & bit]
    return "|".join([*names, octal(value & (0o777 if kind else ~0o7000))])


def quoted(data: bytes, *, more: bool = False) -> str:
    """A C string; `more`: it goes on."""
    out = []
    for at, byte in enumerate(data):
        if byte in _ESCAPES:
            out.append(_ESCAPES[byte])
        elif 0x20 <= byte < 0x7F:
            out.append(chr(byte))
        else:
            # As short as can be, unless a digit follows.
            digit = at + 1 < len(data) and chr(data[at + 1]) in "01234567"
            out.append(f"\\{byte:03o}" if digit else f"\\{byte:o}")
    return f'"{"".join(out)}"' + ("..." if more else "")


def descriptor(value: int) -> str:
    number = signed(value)
    return "AT_FDCWD" if number == AT_FDCWD else str(number)


def signal_set(bits: int) -> str:
    """`[INT TERM]`, or `~[...]` when most are in it."""
    members = [number for number in range(1, SIGNALS + 1) if bits >> (number - 1) & 1]
    inverted = len(members) > SIGNALS * 2 // 3
    if inverted:
        members = [number for number in range(1, SIGNALS + 1) if number not in members]
    names = " ".join(signal_name(number).removeprefix("SIG") for number in members)
    return f"{'~' if inverted else ''}[{names}]"


def limit(value: int) -> str:
    """Of a resource: `RLIM64_INFINITY`, `8192*1024`, a number."""
    if value == (1 << 64) - 1:
        return "RLIM64_INFINITY"
    return f"{value // 1024}*1024" if value > 1024 and value % 1024 == 0 else str(value)


def flags(family: Family, value: int) -> str:
    return flags_of(family, value)
