"""The one place that talks to capstone: instructions as small tuples, details only where asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache

import capstone
from capstone import x86_const as x86

from compat.analysis.model import AnalysisError

Line = tuple[int, int, str, str]
"""Address, size, mnemonic and operands of one instruction, as capstone prints them."""

_ENDS = frozenset({"ret", "retf", "iret", "iretq", "jmp", "ljmp", "ud2", "ud0", "hlt", "int3"})
_PADDING = frozenset({"nop", "int3"})
# What compilers never emit in user code, but what data often decodes to.
_IMPLAUSIBLE = frozenset(
    "in out insb insd outsb outsd cli sti iret iretd iretq retf retfq ljmp lcall int int1 sysenter sysexit sysret "
    "sysretq rdmsr wrmsr lgdt lidt lldt ltr lmsw clts invd wbinvd invlpg enter xlatb cmc loop loope loopne".split()
)
_RAX = frozenset({"rax", "eax", "ax", "al", "ah"})
# Instructions that change at most their first operand, and those that change no general register at all.
_SETS_FIRST = frozenset(
    "mov movabs movsxd movsx movzx lea xor sub add and or not neg shl shr sar pop "
    "movd movq movaps movups movdqa movdqu pxor por pinsrq pinsrd punpcklqdq movhps".split()
)
_SETS_NONE = frozenset({"nop", "push", "test", "cmp", "bt", "endbr64"})
_RIP_OPERAND = re.compile(r"\[rip ([+-]) (\w+)\]$")
_TABLE_OPERAND = re.compile(r"\[\w+\*8 \+ (0x[0-9a-f]+)\]$")
_FLOW_GROUPS = frozenset(
    {
        capstone.CS_GRP_JUMP,
        capstone.CS_GRP_CALL,
        capstone.CS_GRP_RET,
        capstone.CS_GRP_INT,
        capstone.CS_GRP_IRET,
        capstone.CS_GRP_PRIVILEGE,
        capstone.CS_GRP_BRANCH_RELATIVE,
    }
)
_NOT_MOVABLE = frozenset(
    {"syscall", "cpuid", "ud2", "ud0", "ud1", "int3", "hlt", "endbr64", "endbr32", "xbegin", "xabort"}
)


@cache
def _decoder(*, detail: bool) -> capstone.Cs:
    engine = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
    engine.detail = detail
    return engine


class Budget:
    """How many bytes of code may be decoded for a file: a hostile one may have functions that overlap without end."""

    def __init__(self, left: int) -> None:
        self._left = left

    def spend(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise AnalysisError("too much code lies in several functions at once")


def sweep(code: bytes, address: int) -> Iterator[Line]:
    """Decode one instruction after the other, up to the first bytes that are none."""
    lines: Iterator[Line] = _decoder(detail=False).disasm_lite(code, address)
    return lines


def operation(line: Line) -> str:
    """The mnemonic without prefixes such as `lock` or `notrack`."""
    return line[2].rpartition(" ")[2]


def is_flow(line: Line) -> bool:
    """Whether the instruction may continue elsewhere, calls included."""
    name = operation(line)
    return name.startswith(("j", "call", "loop", "ret", "iret", "xbegin", "ljmp", "lcall"))


def ends_flow(line: Line) -> bool:
    """Whether the instruction never continues with the next one."""
    return operation(line) in _ENDS


def is_padding(line: Line) -> bool:
    """Whether the instruction only fills space."""
    return operation(line) in _PADDING or (line[2], line[3]) == ("xchg", "ax, ax")


def is_plausible(line: Line) -> bool:
    """Whether a compiler emits such an instruction for a user program."""
    return operation(line) not in _IMPLAUSIBLE and line[2:] != ("add", "byte ptr [rax], al")


def direct_target(line: Line) -> int | None:
    """Where a direct jump or call goes."""
    if not is_flow(line) or not line[3][:1].isdigit():
        return None
    name = operation(line)
    if name.startswith("ret") or " " in line[3]:
        return None
    return int(line[3], 0)


def is_indirect_jump(line: Line) -> bool:
    """Whether the instruction jumps through a register or a table; GOT slots, `jmp *slot(%rip)`, are tail calls."""
    return operation(line) == "jmp" and direct_target(line) is None and "[rip" not in line[3]


def referenced_address(line: Line) -> int | None:
    """The address that a rip-relative `lea` yields, or that of an absolute jump table."""
    if operation(line) == "lea" and (match := _RIP_OPERAND.search(line[3])):
        return line[0] + line[1] + int(match[1] + match[2], 0)
    if operation(line) in ("jmp", "mov") and (match := _TABLE_OPERAND.search(line[3])):
        return int(match[1], 0)
    return None


@dataclass(frozen=True, slots=True)
class Detail:
    """What must be known of an instruction before it is moved or skipped over."""

    movable: bool
    rip_disp: int | None
    """Offset of a rip-relative displacement within the instruction."""


def detail(code: bytes, address: int) -> Detail:
    """Decode one instruction completely."""
    insn = next(_decoder(detail=True).disasm(code, address, 1), None)
    if insn is None:
        return Detail(movable=False, rip_disp=None)
    name = insn.mnemonic.rpartition(" ")[2]
    rip_disp = None
    movable = name not in _NOT_MOVABLE and not _FLOW_GROUPS.intersection(insn.groups)
    for operand in insn.operands:
        registers = {operand.mem.base, operand.mem.index} if operand.type == x86.X86_OP_MEM else {operand.reg}
        if x86.X86_REG_EIP in registers:
            movable = False
        elif x86.X86_REG_RIP in registers:
            rip_disp = insn.disp_offset
            movable = movable and insn.disp_size == 4
    return Detail(movable, rip_disp)


def constant_rax(line: Line) -> int | None:
    """The constant that the instruction leaves in rax."""
    name = operation(line)
    destination, _, source = line[3].partition(", ")
    if destination not in ("eax", "rax"):
        return None
    if name == "xor" and source == destination:
        return 0
    if name in ("mov", "movabs") and source.lstrip("-")[:1].isdigit():
        return int(source, 0) & 0xFFFF_FFFF
    return None


def keeps_rax(line: Line) -> bool:
    """Whether rax is certain to be the same when the next instruction starts.

    Only well-known instructions count: capstone's own lists of written registers have gaps (cmpxchg).
    """
    name = operation(line)
    if name in _SETS_NONE or (name.startswith("j") and direct_target(line) is not None and name != "jmp"):
        return True
    known = name in _SETS_FIRST or name.startswith(("cmov", "set"))
    return known and line[3].partition(",")[0] not in _RAX


@dataclass(frozen=True, slots=True)
class Code:
    """A function decoded from start to end."""

    start: int
    end: int
    lines: list[Line]
    complete: bool
    """Whether instructions fill the range exactly and every direct jump within it meets one of them."""
    index: dict[int, int] = field(default_factory=dict)
    targets: frozenset[int] = frozenset()
    """Where its direct jumps and calls go, within itself."""


def decode_function(code: bytes, start: int) -> Code:
    """Decode a function and check that the decoding makes sense."""
    lines = list(sweep(code, start))
    end = start + len(code)
    complete = bool(lines) and lines[-1][0] + lines[-1][1] == end
    index = {line[0]: number for number, line in enumerate(lines)}
    everywhere = {target for line in lines if (target := direct_target(line)) is not None}
    targets = frozenset(target for target in everywhere if start <= target < end)
    complete = complete and all(meets(lines, index, target) for target in targets)
    return Code(start, end, lines, complete, index, targets)


def meets(lines: list[Line], index: dict[int, int], target: int) -> bool:
    """Whether a jump target is an instruction, or one whose `lock` prefix the jump leaves out."""
    if target in index:
        return True
    before = index.get(target - 1)
    return before is not None and lines[before][2].startswith("lock")
