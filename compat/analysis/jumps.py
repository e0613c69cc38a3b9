"""Indirect jumps of a function, and who may jump to a given instruction."""

from __future__ import annotations

from compat.analysis.decode import Code, direct_target, is_flow, is_indirect_jump, operation, referenced_address
from compat.analysis.elf import ElfFile
from compat.analysis.functions import Functions
from compat.analysis.targets import Targets, table_entries


def is_resolved(elf: ElfFile, code: Code) -> bool:
    """Whether a jump table is known for each of the function's indirect jumps."""
    jumps = sum(is_indirect_jump(line) for line in code.lines)
    if not jumps:
        return True
    mentioned = {address for line in code.lines if (address := referenced_address(line)) is not None}
    tables = sum(any(entry in code.index for entry in table_entries(elf, address)) for address in mentioned)
    return tables >= jumps


class JumpTargets:
    """Decides whether an instruction is a jump target."""

    def __init__(self, functions: Functions, targets: Targets) -> None:
        self._functions = functions
        self._targets = targets

    def __call__(self, address: int) -> bool:
        """Whether anything may jump to the instruction at an address."""
        if address in self._targets.stated:
            return True
        return any(self._is_real(source, address) for source in self._targets.guessed.get(address, ()))

    def _is_real(self, source: int, target: int) -> bool:
        """Whether the bytes at `source`, which read as a jump, may be one: not where known code proves otherwise."""
        function = self._functions.at(source)
        if function is None or function.swept or not function.code.complete:
            return True
        for start in range(source, source - 15, -1):
            number = function.code.index.get(start)
            if number is not None:
                line = function.code.lines[number]
                if operation(line) == "lea":
                    return True
                return is_flow(line) and direct_target(line) in (target, None)
        return True
