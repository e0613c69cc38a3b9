"""HTTP servers of run-times with threads and garbage collectors: Java's own, Tomcat, Netty; OCaml's and Haskell's."""

from __future__ import annotations

import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.harness import kept, require
from tests.integration.servers.conftest import Both
from tests.integration.servers.http_client import Answer, Client, get
from tests.integration.servers.place import Endpoint, Place, Setup
from tests.integration.servers.test_web import BODY, check_application, pieces, ready
from tests.integration.test_runtimes import JAVA_FILES, JAVA_HOME

PROGRAMS = Path(__file__).resolve().parent / "programs"
JARS = Path("/usr/share/java")
NETTY = tuple(
    f"netty-{part}" for part in ("common", "buffer", "transport", "resolver", "codec", "codec-http", "handler")
)
TOMCAT = ("tomcat10-embed-core", "jakarta-annotation-api")
PACKAGES = {**dict.fromkeys(NETTY, "libnetty-java"), TOMCAT[0]: "libtomcat10-embed-java"}
JAVA_SERVERS = {"PlainServer": (), "TomcatServer": TOMCAT, "NettyServer": NETTY}
OCAML_PATHS = "/etc/ocamlfind.conf"
STATIC_FILES = "/usr/lib/ocaml/ocsigenserver/ext/staticmod/staticmod.cmxs"
CPUS = pytest.mark.parametrize("cpus", [1, 2])


def jar(name: str) -> str:
    """The file itself: what leads to it has another name with every version."""
    path = JARS / f"{name}.jar"
    if not path.exists():
        require(str(path), PACKAGES.get(name, f"lib{name}-java"))
    return str(path.resolve())


@pytest.fixture(scope="session")
def java_servers(work_cache: Path) -> Path:
    """The Java programs, compiled."""
    return compiled_servers(work_cache)


def compiled_servers(cache: Path) -> Path:
    require(str(JAVA_HOME / "bin/java"), "openjdk-17-jdk-headless")
    sources = sorted((PROGRAMS / "java").glob("*.java"))
    path = ":".join(jar(name) for name in (*TOMCAT, *NETTY))

    def make(folder: Path) -> None:
        subprocess.run([JAVA_HOME / "bin/javac", "-d", folder, "-cp", path, *sources], check=True, timeout=120)

    newest = max(source.stat().st_mtime_ns for source in sources)
    return kept(cache / f"java-servers-{newest}", make)


def java_server(name: str, classes: Path, place: Place) -> Setup:
    jars = [jar(needed) for needed in JAVA_SERVERS[name]]
    options = ["-Xmx256m", "-cp", ":".join([str(classes), *jars])]
    argv = [str(JAVA_HOME / "bin/java"), *options, name, str(place.port()), f"{place.state}/tomcat"]
    return Setup(argv, add=[*JAVA_FILES, str(classes), *jars], memory="1G")


@CPUS
@pytest.mark.parametrize("name", JAVA_SERVERS)
def test_java(name: str, cpus: int, both: Both, java_servers: Path) -> None:
    def describe(place: Place) -> Setup:
        return replace(java_server(name, java_servers, place), cpus=cpus)

    def check(endpoint: Endpoint) -> list[Any]:
        with Client(endpoint) as client:
            chunked = client.ask("/digest", method="POST", body=pieces())
            # The connection is still good.
            assert client.ask("/").body == b"It works\n"
        assert json.loads(chunked.body)["length"] == len(BODY)
        return [*check_application(endpoint), chunked.summary()]

    both(describe, check, ready=ready)


@pytest.fixture(scope="session")
def small_root(work_cache: Path) -> Path:
    return static_files(work_cache)


def static_files(cache: Path) -> Path:
    def make(folder: Path) -> None:
        folder.mkdir()
        (folder / "index.html").write_text("It works\n")
        (folder / "1m.bin").write_bytes(bytes(range(256)) * 4096)

    return kept(cache / "small-root", make)


def ocsigen(place: Place, root: Path) -> Setup:
    program = require("/usr/bin/ocsigenserver.opt", "ocsigenserver")
    text = f"""<ocsigen><server>
<port>0.0.0.0:{place.port()}</port><user></user><group></group>
<logdir>{place.state}</logdir><datadir>{place.state}</datadir><commandpipe>{place.state}/pipe</commandpipe>
<charset>utf-8</charset><mimefile>/etc/mime.types</mimefile>
<extension module="{STATIC_FILES}"/>
<host hostfilter="*" defaulthostname="server.test"><static dir="{root}"/></host>
</server></ocsigen>
"""
    argv = [program, "-c", place.write("ocsigenserver.conf", text)]
    return Setup(argv, add=[str(root), "/etc/mime.types", OCAML_PATHS, STATIC_FILES])


@CPUS
def test_ocaml(cpus: int, both: Both, small_root: Path) -> None:
    """ocsigenserver, native code with Lwt, which reads files by threads."""

    def check(endpoint: Endpoint) -> list[Any]:
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda path: get(endpoint, path), ["/index.html", "/1m.bin"] * 4))
        answers.append(get(endpoint, "/absent"))
        assert answers[1].body == (small_root / "1m.bin").read_bytes()
        assert [answer.status for answer in answers[-2:]] == [200, 404]
        return [summary(answer) for answer in answers]

    both(lambda place: replace(ocsigen(place, small_root), cpus=cpus), check, ready=ready)


JOURNAL = """2024-01-01 food
    expenses:food  $10
    assets:cash

2024-02-01 wages
    assets:bank  $1000
    income:salary
"""


@pytest.fixture(scope="session")
def journal(work_cache: Path) -> Path:
    return written_journal(work_cache)


def written_journal(cache: Path) -> Path:
    """With the same name in both places, since the answers name it."""

    def make(folder: Path) -> None:
        folder.mkdir()
        (folder / "work.journal").write_text(JOURNAL)

    return kept(cache / "journal", make) / "work.journal"


def hledger(place: Place, journal: Path) -> Setup:
    program = require("/usr/bin/hledger-web", "hledger-web")
    options = ["--serve-api", "--host", "0.0.0.0", "--port", str(place.port())]
    return Setup([program, *options, "-f", str(journal)], add=[str(journal)], memory="1G")


@CPUS
def test_haskell(cpus: int, both: Both, journal: Path) -> None:
    """hledger-web, which is Warp over GHC's run-time."""

    def check(endpoint: Endpoint) -> list[Any]:
        paths = ["/version", "/accountnames", "/transactions", "/prices", "/accounts", "/absent"]
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda path: get(endpoint, path), paths * 5))
        assert json.loads(answers[1].body)[:2] == ["assets", "assets:bank"]
        return [summary(answer) for answer in answers]

    both(lambda place: replace(hledger(place, journal), cpus=cpus), check, ready=ready)


ERLANG = Path("/usr/lib/erlang")
YAWS = "/usr/lib/yaws"


def yaws(place: Place, root: Path) -> Setup:
    """Without the shell scripts around the virtual machine."""
    emulator = next(ERLANG.glob("erts-*/bin/beam.smp"), ERLANG / "erts/bin/beam.smp")
    program, binaries = require(str(emulator), "yaws"), str(emulator.parent)
    text = f"""logdir = {place.state}
ebin_dir = {place.state}
pick_first_virthost_on_nomatch = true
<server server.test>
 port = {place.port()}
 listen = 0.0.0.0
 docroot = {root}
</server>
"""
    options = ["-noshell", "-noinput", "-pa", f"{YAWS}/ebin", "-conf", place.write("yaws.conf", text)]
    start = ["-root", str(ERLANG), "-bindir", binaries, "-progname", "erl", "--", "-home", place.state, "--"]
    env = {"ROOTDIR": str(ERLANG), "BINDIR": binaries, "EMU": "beam", "PROGNAME": "erl", "HOME": place.state}
    argv = [program, "-S", "2:2", "--", *start, *options, "-yaws", "id", "test", "-s", "yaws"]
    return Setup(argv, env=env, add=[str(root), str(ERLANG), YAWS, "/usr/share/yaws"], memory="1G")


@CPUS
def test_erlang(cpus: int, both: Both, small_root: Path) -> None:
    def check(endpoint: Endpoint) -> list[Any]:
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda path: get(endpoint, path), ["/index.html", "/1m.bin"] * 4))
        assert answers[1].body == (small_root / "1m.bin").read_bytes()
        # Its page names the port, which is not the same in both places.
        return [*(summary(answer) for answer in answers), get(endpoint, "/absent").status]

    both(lambda place: replace(yaws(place, small_root), cpus=cpus), check, ready=ready)


def summary(answer: Answer) -> Any:
    """Without what is made up for each answer."""
    status, headers, length, digest = answer.summary()
    headers = tuple((name, value) for name, value in headers if name != "set-cookie")
    return status, headers, length, digest
