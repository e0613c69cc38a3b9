"""busybox-static: its applets that need no child process."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.harness import Command, Same, require, sorted_lines

BUSYBOX = "/bin/busybox"

# Applet with arguments; the working directory is the sample folder. A second element: what to do otherwise.
PLAIN = [
    "ls -1",
    "ls -1R tree",
    "ls -1S",
    "sort words.txt",
    "sort -t, -k3,3n -k1,1n table.csv",
    "sort -u -r words.txt",
    "uniq -c words.txt",
    "wc text.txt words.txt noise.bin",
    "head -n 7 text.txt",
    "head -c 1000 noise.bin",
    "tail -n 7 text.txt",
    "tail -c 100 noise.bin",
    "cat -n text.txt",
    "cat noise.bin noise.bin",
    "tac text.txt",
    "rev text.txt",
    "nl text.txt",
    "cut -d, -f2,4 table.csv",
    "cut -c 3-9 text.txt",
    "paste words.txt words.txt",
    "fold -w 20 text.txt",
    "expand text.txt",
    "sed -n -e s/a/A/gp -e 10q text.txt",
    "sed -E s/([a-z]+),(-?[0-9]+)/\\2;\\1/ table.csv",
    "awk -F, {s+=$3;n[length($2)]++}END{print(s);for(i=2;i<10;i++)print(i,n[i])} table.csv",
    'awk BEGIN{for(i=0;i<50000;i++)s+=i*i%7/3;printf("%.6f\\n",s)}',
    "grep -n -i ab.*cd text.txt",
    "grep -c e text.txt",
    "egrep -o [a-z]{8,} words.txt",
    "fgrep -l needle tree/script.sh words.txt",
    "md5sum noise.bin text.txt empty",
    "sha1sum noise.bin text.txt",
    "sha256sum noise.bin text.txt",
    "sha512sum noise.bin",
    "sha3sum noise.bin",
    "crc32 noise.bin",
    "gzip -c text.txt",
    "gunzip -c text.gz",
    "bzip2 -c text.txt",
    "tar -tf archive.tar",
    "tar -xOf archive.tar table.csv",
    "tar -cf - words.txt table.csv",
    "unzip -p archive.zip",
    "unzip -l archive.zip",
    "dd if=noise.bin bs=777 skip=3 count=100 status=none",
    "od -A x -t x1 noise.bin",
    "hexdump -C small.png",
    "xxd small.png",
    "strings -n 6 noise.bin",
    "base64 noise.bin",
    "uuencode noise.bin name",
    "seq 1 3 2000",
    "factor 600851475143 97 1234567890",
    "expr 17 * 3 + 1",
    "cal 2 2024",
    "date -u -d @1700000000",
    "printf %05d:%s:%x\\n 42 text 255",
    "echo -e a\\tb",
    "basename /a/b/c.txt .txt",
    "dirname /a/b/c.txt",
    "readlink tree/link",
    "realpath tree/../tree/link",
    "stat -c %n:%a:%s:%Y:%F text.txt tree tree/link tree/script.sh",
    "test -f text.txt",
    "uname -s",
    "sleep 0.05",
    "mkdir -p /tmp/compat-busybox-a/b/c",
    "cp noise.bin /tmp/compat-busybox-copy",
    "ln -s target /tmp/compat-busybox-link",
    "touch /tmp/compat-busybox-file",
]
FAILING = [
    ("cmp text.txt changed.txt", 1),
    ("diff text.txt changed.txt", 1),
    ("grep nothing-like-this text.txt", 1),
    ("test -d text.txt", 1),
    ("false", 1),
    ("ls /no/such/directory", 1),
    ("cat text.txt none", 1),
    ("gunzip -c text.txt", 1),
]
UNORDERED = [
    "env",
    "find . -type f",
    "find tree -name *-3.txt -size +1k",
    "grep -rn abc tree",
    "find . -type l",
    "find tree -perm -100",
]
FILTERS = [
    "tr a-z A-Z",
    "tr -d aeiou",
    "tee /tmp/compat-busybox-tee",
    "unix2dos",
    "unexpand -a",
    "sort -n",
    "xxd -p",
    "dc",
    "bc",
]
SHELL = r"""
i=0; sum=0
while [ $i -lt 3000 ]; do i=$((i + 1)); sum=$((sum + i * i % 7)); done
echo "$i $sum"
f() { local a=$1; case $a in x*) echo "starts with x: ${a#x}";; *) echo other;; esac; }
f xyz; f abc
echo written > /tmp/compat-busybox-shell; read line < /tmp/compat-busybox-shell; echo "read: $line"
set -- a b c; for word; do printf '[%s]' "$word"; done; echo
trap 'echo leaving' EXIT
exit 5
"""


def command(line: str, data: Path, stdin: bytes = b"") -> Command:
    busybox = require(BUSYBOX, "busybox-static")
    return Command([busybox, *line.split(" ")], stdin=stdin, add=[str(data)], cwd=str(data))


@pytest.fixture(autouse=True)
def no_leftovers() -> None:
    """What earlier native runs wrote to /tmp must not change this one."""
    import shutil

    for path in Path("/tmp").glob("compat-busybox-*"):
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


@pytest.mark.parametrize("line", PLAIN)
def test_applet(line: str, data: Path, same: Same) -> None:
    same(command(line, data))


@pytest.mark.parametrize(("line", "status"), FAILING)
def test_applet_that_fails(line: str, status: int, data: Path, same: Same) -> None:
    same(command(line, data), status=status)


@pytest.mark.parametrize("line", UNORDERED)
def test_applet_in_directory_order(line: str, data: Path, same: Same) -> None:
    same(command(line, data), edit=sorted_lines)


@pytest.mark.parametrize("line", FILTERS)
def test_filter(line: str, data: Path, same: Same) -> None:
    numbers = line in {"dc", "bc"}
    same(
        command(
            line,
            data,
            b"2 3 + p\n" if line == "dc" else b"2^100 + 7\n" if numbers else (data / "text.txt").read_bytes(),
        )
    )


def test_cpio_and_ed_read_standard_input(data: Path, same: Same) -> None:
    same(command("ed text.txt", data, b"1,3p\n$=\nq\n"))
    same(command("cpio -t", data, cpio_archive({"one": b"1", "two/three": b"23"})), stderr=True)


def test_shell_without_children(data: Path, same: Same) -> None:
    busybox = require(BUSYBOX, "busybox-static")
    same(Command([busybox, "sh", "-c", SHELL], add=[str(data)]), status=5)


def cpio_archive(files: dict[str, bytes]) -> bytes:
    """The "newc" format."""
    out = b""
    for number, (name, content) in enumerate([*files.items(), ("TRAILER!!!", b"")]):
        path = name.encode() + b"\0"
        fields = (number, 0o100644, 0, 0, 1, 1_700_000_000, len(content), 0, 0, 0, 0, len(path), 0)
        head = b"070701" + b"".join(b"%08x" % field for field in fields) + path
        out += head + b"\0" * (-len(head) % 4) + content + b"\0" * (-len(content) % 4)
    return out
