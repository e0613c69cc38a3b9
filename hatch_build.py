"""Build hook: compiles the Rust parts and puts them into the wheel."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class NativeBuildHook(BuildHookInterface):
    """Runs for wheels, editable ones too; a source distribution holds the sources instead."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        del version
        if self.target_name != "wheel":
            return
        root = Path(self.root)
        sys.path.insert(0, str(root))
        from compat._build import build_native

        build_native(root, root / "compat" / "_native")
        build_data["artifacts"] += ["/compat/_native/*"]
        build_data["pure_python"] = False
        # No extension module: any Python will do, but the programs are for this machine.
        build_data["tag"] = "py3-none-linux_x86_64"
