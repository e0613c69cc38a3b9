"""A bill of materials of an image: CycloneDX, in JSON."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from compat.inspection import FileInfo, Inspection
from compat.manifest import PackageInfo


def make_sbom(image: Inspection) -> str:
    """Debian packages with the files of theirs that are in the image; files of no package; the kernel."""
    root = _root(image)
    by_package: dict[PackageInfo | None, list[FileInfo]] = {}
    for file in image.files:
        if file.kind == "file":
            by_package.setdefault(file.package, []).append(file)
    own = by_package.pop(None, [])
    components = [_package(package, files) for package, files in by_package.items() if package is not None]
    bom = Bom(components=[*_kernel(image), *components, *map(_file, own)])
    # The same image gives the same document, but for the library's own order of things, which is sorted.
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_OID, "".join(sorted(file.sha256 or "" for file in image.files)))
    bom.metadata = BomMetaData(component=root, timestamp=_time(image))
    bom.register_dependency(root, bom.components)
    return json.dumps(json.loads(JsonV1Dot6(bom).output_as_string()), indent=1) + "\n"


def _root(image: Inspection) -> Component:
    names = image.configuration.get("exe", [image.path.name])
    return Component(name=names[0], type=ComponentType.APPLICATION, bom_ref="image")


def _time(image: Inspection) -> datetime:
    return datetime.fromtimestamp(image.path.stat().st_mtime, UTC)


def _kernel(image: Inspection) -> Iterable[Component]:
    manifest = image.manifest
    if manifest is None:
        return []
    properties = [
        Property(name="compat:calls", value=str(len(manifest.calls))),
        *(Property(name="compat:part", value=part) for part in manifest.parts),
    ]
    return [
        Component(
            name="compat-kernel",
            version=manifest.tool,
            type=ComponentType.OPERATING_SYSTEM,
            bom_ref="kernel",
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=manifest.kernel_sha256)],
            properties=properties,
        )
    ]


def _package(package: PackageInfo, files: Iterable[FileInfo]) -> Component:
    qualifiers = {"arch": package.architecture} if package.architecture else None
    purl = PackageURL("deb", "debian", package.name, package.version or None, qualifiers)
    return Component(
        name=package.name,
        version=package.version or None,
        type=ComponentType.LIBRARY,
        purl=purl,
        bom_ref=purl.to_string(),
        properties=[Property(name="debian:source", value=package.source)],
        components=map(_file, files),
    )


def _file(file: FileInfo) -> Component:
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=file.sha256)] if file.sha256 else []
    return Component(name=file.path, type=ComponentType.FILE, bom_ref=f"file:{file.path}", hashes=hashes)
