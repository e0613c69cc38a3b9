"""PostgreSQL, which forks a process for each client, and MariaDB, which has threads; with their own clients."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.harness import ENVIRONMENT, kept, require
from tests.integration.servers.conftest import Both
from tests.integration.servers.place import Endpoint, Place, Setup

POSTGRES = Path("/usr/lib/postgresql/15")
POSTGRES_FILES = (str(POSTGRES), "/usr/share/postgresql", "/usr/share/zoneinfo", "/bin/sh")
# It does not run as root.
NOBODY = ("/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
CLIENTS, TRANSACTIONS = 4, 50
MARIADB_FILES = ("/usr/share/mysql",)


def told(argv: list[str], text: str = "") -> str:
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, timeout=120, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def native_data() -> Iterator[Path]:
    """Below no directory that is closed to the user that PostgreSQL runs as."""
    folder = Path(tempfile.mkdtemp(prefix="compat-postgres-", dir="/tmp"))
    # initdb, as that user, makes the directory in it.
    folder.chmod(0o777)
    yield folder / "data"
    shutil.rmtree(folder, ignore_errors=True)


def psql(endpoint: Endpoint, text: str) -> str:
    options = ["-h", endpoint.host, "-p", str(endpoint.port), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-AtX"]
    return told([require("/usr/bin/psql", "postgresql-client-15"), *options], text)


def postgres_ready(endpoint: Endpoint) -> None:
    assert psql(endpoint, "select 1") == "1\n"


def test_postgres(both: Both, native_data: Path) -> None:
    """The guest makes the cluster itself, so initdb and what it starts run there as well."""
    require(str(POSTGRES / "bin/postgres"), "postgresql-15")

    def describe(place: Place) -> Setup:
        data = native_data if place.name == "native" else Path("/tmp/data")
        make = f"{POSTGRES}/bin/initdb -D {data} -A trust -U postgres -E UTF8 --locale=C >/dev/null"
        serve = f"exec {POSTGRES}/bin/postgres -D {data} -k {data} -h 0.0.0.0 -p {place.port()} -c fsync=off"
        user = NOBODY if os.geteuid() == 0 else ()
        script = f"{make} && {serve}"
        return Setup([*user, "/bin/sh", "-c", script], add=POSTGRES_FILES, memory="1G", cpus=2)

    def check(endpoint: Endpoint) -> list[str]:
        made = psql(
            endpoint,
            """create table numbers as select n, repeat(md5(n::text), 20) as text from generate_series(1, 50000) n;
            create index on numbers (n); create index on numbers using hash (text); analyze;
            select count(*), sum(length(text)), md5(string_agg(text, '' order by n)) from numbers;
            begin; delete from numbers where n % 2 = 0; select count(*) from numbers; rollback;
            set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; set min_parallel_table_scan_size = 0;
            explain (costs off) select count(*) from numbers; select count(*) from numbers;
            create function twice(n int) returns int language plpgsql as 'begin return 2 * n; end';
            select sum(twice(n)) from numbers where n < 100; vacuum full numbers;
            """,
        )
        with ThreadPoolExecutor(CLIENTS) as pool:
            text = "select pg_sleep(0.2); select count(*) from numbers where n < {}"
            counts = list(pool.map(lambda n: psql(endpoint, text.format(n)), range(1, 2 * CLIENTS)))
        bench = [require("/usr/bin/pgbench", "postgresql-15"), "-h", endpoint.host, "-p", str(endpoint.port)]
        told([*bench, "-U", "postgres", "-i", "-q", "postgres"])
        told([*bench, "-U", "postgres", "-c", str(CLIENTS), "-j", "2", "-t", str(TRANSACTIONS), "postgres"])
        sums = psql(
            endpoint,
            "select count(*), sum(delta) = (select sum(abalance) from pgbench_accounts) from pgbench_history",
        )
        assert sums == f"{CLIENTS * TRANSACTIONS}|t\n"
        return [made, *counts]

    both(describe, check, ready=postgres_ready)


def mariadb(endpoint: Endpoint, text: str) -> str:
    options = ["-h", endpoint.host, "-P", str(endpoint.port), "-u", "root", "--batch", "--no-defaults"]
    program = require("/usr/bin/mariadb", "mariadb-client-core")
    return told([program, options[-1], *options[:-1]], text)


def mariadb_ready(endpoint: Endpoint) -> None:
    assert "10.11" in mariadb(endpoint, "select version()")


@pytest.fixture(scope="session")
def system_tables(work_cache: Path) -> Path:
    program = require("/usr/bin/mariadb-install-db", "mariadb-server-core")

    def make(folder: Path) -> None:
        options = ["--no-defaults", f"--datadir={folder}", "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run([program, *options], capture_output=True, check=True, timeout=120)

    return kept(work_cache / "mariadb-system-tables", make)


def test_mariadb(both: Both, system_tables: Path, tmp_path: Path) -> None:
    program = require("/usr/sbin/mariadbd", "mariadb-server-core")

    def describe(place: Place) -> Setup:
        data = system_tables
        if place.name == "native":
            data = tmp_path / "data"
            shutil.copytree(system_tables, data)
        options = [f"--datadir={data}", f"--port={place.port()}", f"--socket={place.state}/s", "--bind-address=0.0.0.0"]
        root = ["--user=root"] if os.geteuid() == 0 else []
        argv = [program, "--no-defaults", *options, "--innodb-flush-log-at-trx-commit=0", *root]
        return Setup(argv, add=[str(system_tables), *MARIADB_FILES], memory="1G")

    def check(endpoint: Endpoint) -> list[str]:
        made = mariadb(
            endpoint,
            """create database d; use d; create table t (a int primary key auto_increment, b varchar(200), key (b));
            insert into t (b) select sha2(seq, 256) from seq_1_to_20000; select count(*), sum(crc32(b)) from t;
            begin; delete from t where a % 2 = 0; select count(*) from t; rollback; select count(*) from t;
            create table m (a int) engine=aria; insert into m select a from t; select sum(a) from m; optimize table t;
            """,
        )
        with ThreadPoolExecutor(CLIENTS) as pool:
            add = "use d; insert into t (b) select concat('x', seq) from seq_1_to_500; select sleep(0.1)"
            list(pool.map(lambda _: mariadb(endpoint, add), range(CLIENTS)))
        return [made, mariadb(endpoint, "select count(*) from d.t; check table d.t, d.m extended")]

    both(describe, check, ready=mariadb_ready)
