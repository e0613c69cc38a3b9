"""`compat inspect`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from compat.inspection import Inspection

SCHEMA_VERSION = 1


@click.command("inspect", short_help="What is in an image.")
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For programs; see compat/schema/inspect.schema.json.")
@click.option("--files", is_flag=True, help="List every file with its size, hash and package.")
@click.option("--sbom", type=click.Path(path_type=Path), metavar="FILE", help="Write a CycloneDX bill of materials.")
def command(image: Path, sbom: Path | None, *, as_json: bool, files: bool) -> None:
    """Show what IMAGE holds: system calls and components of the kernel, files with hashes, packages, sizes.

    Everything is read from the image, standalone files included; packages are those of the host that made it.
    """
    from compat.inspection import inspect

    found = inspect(image)
    if sbom is not None:
        _write_sbom(found, sbom)
    if as_json:
        print(json.dumps(document(found), indent=1))
    elif sbom is None or files:
        _print(found, with_files=files)


def document(found: Inspection) -> dict[str, object]:
    """As the schema has it."""
    manifest = found.manifest
    return {
        "schema_version": SCHEMA_VERSION,
        "image": str(found.path),
        "size": found.size,
        "standalone": found.standalone,
        "configuration": found.configuration,
        "sizes": {"kernel": asdict(found.kernel), "plans": found.plans_size, "root": found.root_size},
        "planned_files": found.planned_files,
        "kernel": None
        if manifest is None
        else {
            "tool": manifest.tool,
            "sha256": manifest.kernel_sha256,
            "method": manifest.method,
            "of": manifest.of,
            "parts": list(manifest.parts),
            "components": _components(manifest.calls),
        },
        "packages": [asdict(package) for package in manifest.packages] if manifest is not None else [],
        "files": [
            {**asdict(file), "package": file.package.name if file.package is not None else None} for file in found.files
        ],
    }


def _components(calls: tuple[str, ...]) -> dict[str, dict[str, list[str]]]:
    """Calls by component, those in the image and those that could be."""
    from compat import native
    from compat.syscall_table import read_table

    rows = [call for call in read_table(native.native_file(native.TABLE)) if call.has_handler]
    components: dict[str, dict[str, list[str]]] = {}
    for call in sorted(rows, key=lambda call: (call.component, call.name)):
        component = components.setdefault(call.component, {"calls": [], "left_out": []})
        component["calls" if call.name in calls else "left_out"].append(call.name)
    return components


def _write_sbom(found: Inspection, path: Path) -> None:
    from compat.atomic import replacing
    from compat.sbom import make_sbom

    text = make_sbom(found).encode()
    with replacing(path) as fd, open(fd, "wb", closefd=False) as file:
        file.write(text)


def _print(found: Inspection, *, with_files: bool) -> None:
    from compat.units import format_size

    words = [word for name in ("exe", "arg") for word in found.configuration.get(name, [])]
    print(f"{found.path}: {format_size(found.size)}{', runs itself' if found.standalone else ''}")
    print(f"  program: {' '.join(words)}")
    kernel = found.kernel
    sizes = {"code": kernel.text, "constants": kernel.rodata, "variables": kernel.data, "zeros": kernel.bss}
    print("  kernel: " + ", ".join(f"{name} {format_size(size)}" for name, size in sizes.items()))
    print(f"  patch plans: {format_size(found.plans_size)} for {found.planned_files} files")
    regular = [file for file in found.files if file.kind == "file"]
    print(f"  root file system: {format_size(found.root_size)}, {len(found.files)} names, {len(regular)} files")
    _print_manifest(found)
    if with_files:
        for file in found.files:
            owner = file.package.name if file.package is not None else "-"
            what = file.sha256 or (f"-> {file.target}" if file.target is not None else file.kind)
            print(f"  {file.mode:04o} {file.size:>10} {file.path}  {owner}  {what}")


def _print_manifest(found: Inspection) -> None:
    manifest = found.manifest
    if manifest is None:
        print("  no manifest: made by compat run")
        return
    print(f"  calls: {len(manifest.calls)} of {manifest.of} ({manifest.method})", end="")
    print(f", with {', '.join(manifest.parts)}" if manifest.parts else "")
    for name, component in _components(manifest.calls).items():
        calls, left = component["calls"], component["left_out"]
        print(f"    {name} ({len(calls)} of {len(calls) + len(left)}): {' '.join(calls) or 'none'}")
    if manifest.packages:
        packages = (f"{package.name} {package.version}" for package in manifest.packages)
        print(f"  packages: {', '.join(packages)}")
