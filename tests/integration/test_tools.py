"""Debian's command-line programs: databases, cryptography, compressors, a compiler, and more."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.harness import Command, Same, require, sorted_lines

LARGE_TABLE = """
pragma journal_mode = delete;
create table t(id integer primary key, name text, value real);
begin;
with recursive n(i) as (select 1 union all select i + 1 from n where i < 100000)
insert into t select i, 'name-' || (i * 7919 % 1000), i * 1.25 from n;
commit;
create index by_name on t(name);
select count(*), sum(value), min(name), max(name) from t;
update t set value = value * 2 where id % 3 = 0;
delete from t where id % 10 = 0;
vacuum;
select name, count(*), total(value) from t group by name order by 2 desc, 1 limit 5;
select json_object('a', json_array(1, 2.5, null)), hex(zeroblob(4)), strftime('%Y', 1700000000, 'unixepoch');
pragma integrity_check;
"""


def test_sqlite3_on_a_file(same: Same, tmp_path: Path) -> None:
    sqlite3 = require("/usr/bin/sqlite3", "sqlite3")
    # The database lies in /tmp in both places, where neither finds the other's.
    place = Path(f"/tmp/compat-sqlite-{tmp_path.name}.db")
    try:
        # Looking for the user's name, the C library asks a name service daemon first.
        same(Command([sqlite3, str(place)], stdin=LARGE_TABLE.encode(), timeout=120), notices=["socket"])
    finally:
        place.unlink(missing_ok=True)


def test_sqlite3_reads_an_added_database(same: Same, work_cache: Path) -> None:
    sqlite3 = require("/usr/bin/sqlite3", "sqlite3")
    database = work_cache / "added.db"
    if not database.exists():
        subprocess.run([sqlite3, database], input=LARGE_TABLE.encode(), check=True, capture_output=True)
    query = "select sum(value) from t; pragma integrity_check;"
    same(Command([sqlite3, "-readonly", str(database), query], add=[str(database)]), notices=["socket"])


@pytest.fixture(scope="session")
def openssl() -> str:
    return require("/usr/bin/openssl", "openssl")


@pytest.mark.parametrize("digest", ["md5", "sha256", "sha3-512", "blake2b512"])
def test_openssl_digest(digest: str, openssl: str, data: Path, same: Same) -> None:
    noise = str(data / "noise.bin")
    same(Command([openssl, "dgst", f"-{digest}", noise], add=[str(data)]))


def test_openssl_encryption(openssl: str, data: Path, same: Same) -> None:
    key = ["-K", "00112233445566778899aabbccddeeff" * 2, "-iv", "0102030405060708090a0b0c0d0e0f10"]
    text = (data / "text.txt").read_bytes()
    sealed = same(Command([openssl, "enc", "-aes-256-cbc", *key], stdin=text)).stdout
    assert same(Command([openssl, "enc", "-d", "-aes-256-cbc", *key], stdin=sealed)).stdout == text
    same(Command([openssl, "enc", "-chacha20", *key, "-base64"], stdin=text))


def test_openssl_key_generation(openssl: str, same: Same) -> None:
    key = same.guest.run(Command([openssl, "genrsa", "2048"]))
    assert key.status == 0, key.stderr
    check = subprocess.run([openssl, "rsa", "-check", "-noout"], input=key.stdout, capture_output=True, check=False)
    assert check.returncode == 0 and b"RSA key ok" in check.stdout + check.stderr
    # And the guest reads its own key as native Linux does.
    same(Command([openssl, "rsa", "-text", "-noout"], stdin=key.stdout))


def test_openssl_speed(openssl: str, same: Same) -> None:
    outcome = same.guest.run(Command([openssl, "speed", "-seconds", "1", "-bytes", "8192", "sha256"], timeout=30))
    assert outcome.status == 0, outcome.stderr
    assert re.search(rb"^sha256 +[\d.]+k", outcome.stdout, re.MULTILINE), outcome.stdout


@pytest.mark.parametrize(
    ("program", "package", "options"),
    [
        ("/usr/bin/xz", "xz-utils", ["-6"]),
        ("/usr/bin/xz", "xz-utils", ["-2", "-T2", "--block-size=200KiB"]),
        ("/usr/bin/zstd", "zstd", ["-10"]),
        ("/usr/bin/zstd", "zstd", ["-3", "-T2"]),
        ("/bin/bzip2", "bzip2", ["-9"]),
        ("/bin/gzip", "gzip", ["-n9"]),
    ],
)
def test_compressor(program: str, package: str, options: list[str], data: Path, same: Same) -> None:
    compressor = require(program, package)
    text = (data / "text.txt").read_bytes() + (data / "noise.bin").read_bytes()
    packed = same(Command([compressor, *options, "-c"], stdin=text)).stdout
    assert same(Command([compressor, "-dc"], stdin=packed)).stdout == text
    same(Command([compressor, "-dc"], stdin=packed[:-20]), status=2 if "bzip2" in program else 1)


def test_compiler_proper(same: Same, data: Path) -> None:
    found = subprocess.run(["gcc", "-print-prog-name=cc1"], capture_output=True, text=True, check=True).stdout.strip()
    cc1 = require(found, "cpp-12")
    source = str(data / "program.c")
    for options in (["-O2"], ["-O0", "-g"]):
        same(Command([cc1, "-quiet", *options, source, "-o", "-"], add=[str(data)], memory="1G", timeout=120))
    same(
        Command([cc1, "-quiet", "-", "-o", "-"], stdin=b"int main(void) { return undeclared; }\n", memory="1G"),
        status=1,
    )


def test_file(same: Same, data: Path) -> None:
    file = require("/usr/bin/file", "file")
    names = sorted(str(path) for path in data.iterdir())
    same(Command([file, *names], add=[str(data)]))
    same(Command([file, "--mime", *names], add=[str(data)]))


def test_jq(same: Same, data: Path) -> None:
    jq = require("/usr/bin/jq", "jq")
    records = str(data / "records.json")
    for query in (
        ".records | length",
        "[.records[] | select(.value > 0.5) | .id] | add",
        ".records[:3]",
        'test("a";"b")',
    ):
        status = 5 if query.startswith("test") else 0
        same(Command([jq, query, records], add=[str(data)]), status=status)


def test_bc(same: Same) -> None:
    bc = require("/usr/bin/bc", "bc")
    program = b"scale=200\n4*a(1)\nfor (i = 0; i < 300; i++) x += i^3\nx\n2^1000\ne(1)\n"
    same(Command([bc, "-lq"], stdin=program))


def test_gdb_version(same: Same) -> None:
    gdb = require("/usr/bin/gdb", "gdb")
    # It asks iconv for the character sets, four times with growing pauses, and does without.
    same(Command([gdb, "--version"], timeout=60))


def test_imagemagick_convert(same: Same, data: Path) -> None:
    convert = require("/usr/bin/convert", "imagemagick")
    image = str(data / "small.png")
    same(Command([convert, image, "-resize", "200%", "-rotate", "30", "-strip", "ppm:-"], add=[str(data)], timeout=60))
    same(
        Command(
            [convert, image, "-colorspace", "gray", "-strip", "-define", "png:exclude-chunk=all", "png:-"],
            add=[str(data)],
        )
    )


def test_ripgrep(same: Same, data: Path) -> None:
    rg = require("/usr/bin/rg", "ripgrep")
    tree = str(data / "tree")
    same(Command([rg, "--sort", "path", "-n", "ab.?c", tree], add=[str(data)]))
    same(Command([rg, "-c", "-j", "4", "z", tree], add=[str(data)]), edit=sorted_lines)
    same(Command([rg, "-l", "needle", tree], add=[str(data)]))
    same(Command([rg, "no such thing", tree], add=[str(data)]), status=1)


def test_program_found_in_path(same: Same) -> None:
    """A bare name, as a user types it."""
    assert shutil.which("gawk", path="/usr/bin:/bin") is not None or require("/usr/bin/gawk", "gawk")
    same(Command(["gawk", "BEGIN { print 6 * 7 }"]))


def test_inotifywait_sees_nothing_in_time(same: Same, tmp_path: Path) -> None:
    inotifywait = require("/usr/bin/inotifywait", "inotify-tools")
    # A folder of its own: elsewhere somebody may just be installing something.
    (tmp_path / "file").touch()
    watch = [inotifywait, "-t", "1", "-e", "create,delete", str(tmp_path)]
    same(Command(watch, add=[str(tmp_path)]), status=2)


@pytest.mark.parametrize("engine", ["libaio", "io_uring", "splice", "vsync"])
def test_fio_verifies_what_it_wrote(engine: str, same: Same, tmp_path: Path) -> None:
    fio = require("/usr/bin/fio", "fio")
    job = ["--name=job", "--thread", "--rw=randwrite", "--bs=4k", "--size=1m", "--iodepth=8", "--verify=crc32c"]
    place = [f"--filename=/tmp/compat-fio-{tmp_path.name}", "--unlink=1", "--verify_state_save=0", "--output=/dev/null"]
    same(Command([fio, f"--ioengine={engine}", *job, *place], memory="512M"))
