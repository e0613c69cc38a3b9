"""Sources of Debian packages, where the suites are: fetched once by apt-get, without root, and kept."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

from tests.integration.harness import cache_folder, kept


class SuiteError(Exception):
    """A suite cannot be run; the text says why."""


def fetch(package: str) -> Path:
    """The unpacked source, of the release that `/etc/os-release` names."""
    folder = cache_folder() / "sources"
    found = sorted(path for path in folder.glob(f"{package}-*") if path.is_dir())
    if found:
        return found[-1]
    apt_get_source(folder, package)
    return fetch(package)


def fetch_original(package: str) -> Path:
    """What the package's authors released, without Debian's patches: of updates the archive keeps nothing else long."""
    folder = cache_folder() / "sources"
    archive = f"{package}_*.orig.tar.?z"
    if not any(folder.glob(archive)):
        apt_get_source(folder, "--tar-only", package)
    packed = max(folder.glob(archive))
    unpacked = folder / packed.name.removesuffix(packed.suffix).removesuffix(".tar")

    def unpack(target: Path) -> None:
        target.mkdir()
        with tarfile.open(packed) as content:
            content.extractall(target, filter="data")

    kept(unpacked, unpack)
    return next(path for path in unpacked.iterdir() if path.is_dir())


def apt_get_source(folder: Path, *words: str) -> None:
    lists = folder / "lists"
    lists.mkdir(parents=True, exist_ok=True)
    sources = folder / "sources.list"
    sources.write_text("".join(f"deb-src {line}\n" for line in archives()))
    # A list of sources of its own: the machine's configuration is neither needed nor changed.
    options = [f"Dir::Etc::sourcelist={sources}", "Dir::Etc::sourceparts=/nonexistent", f"Dir::State::lists={lists}"]
    options += ["Dir::Cache::pkgcache=", "Dir::Cache::srcpkgcache=", "APT::Sandbox::User="]
    given = [word for option in options for word in ("-o", option)]
    for action in (["update"], ["source", *words]):
        done = subprocess.run(
            ["apt-get", "-q", *given, *action], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise SuiteError(f"apt-get {' '.join(action)}: {done.stderr.strip()}")


def archives() -> list[str]:
    """Where this machine gets its packages from, as lines of sources.list without their first word."""
    pattern = "$(SIGNED_BY)|$(REPO_URI) $(RELEASE) $(COMPONENT)"
    done = subprocess.run(
        ["apt-get", "indextargets", "--format", pattern, "Identifier: Packages"],
        capture_output=True,
        text=True,
        check=False,
    )
    lines = sorted({tuple(line.split("|", 1)) for line in done.stdout.splitlines() if "|" in line})
    if not lines:
        raise SuiteError("apt-get knows no archive: run apt-get update")
    return [f"[signed-by={key}] {place}" if key.startswith("/") else place for key, place in lines]
