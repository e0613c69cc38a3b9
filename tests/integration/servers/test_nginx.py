"""nginx as one process: files, ranges, chunks, TLS, a proxy; asked by Python's client and by curl."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.integration.harness import ENVIRONMENT, require
from tests.integration.servers.conftest import Both, Describe
from tests.integration.servers.http_client import Client, get
from tests.integration.servers.place import Endpoint, Place, Setup

NGINX = "/usr/sbin/nginx"
LARGE = "100m.bin"


def configuration(place: Place, root: Path, authority: Path) -> str:
    plain = place.port("plain")
    return f"""
load_module /usr/lib/nginx/modules/ngx_http_echo_module.so;
daemon off;
master_process off;
user root;
pid {place.state}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 2048; }}
http {{
    access_log off;
    include /etc/nginx/mime.types;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    client_max_body_size 200m;
    client_body_buffer_size 8m;
    client_body_temp_path {place.state}/body;
    proxy_temp_path {place.state}/proxy;
    fastcgi_temp_path {place.state}/fastcgi;
    uwsgi_temp_path {place.state}/uwsgi;
    scgi_temp_path {place.state}/scgi;
    ssl_certificate {authority}/server.pem;
    ssl_certificate_key {authority}/server.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    upstream itself {{ server 127.0.0.1:{plain}; keepalive 8; }}
    server {{
        listen {place.port()};
        listen {place.port("tls")} ssl;
        root {root};
        gzip_types application/octet-stream;
        location /text {{ default_type text/plain; return 200 "hello from $request_method $http_x_name\\n"; }}
        location /moved {{ return 301 /text; }}
        location /zipped/ {{ alias {root}/; gzip on; gzip_min_length 1; }}
        location /through/ {{ proxy_pass http://itself/; }}
        location /unbuffered/ {{ proxy_request_buffering off; proxy_buffering off; proxy_pass http://itself/; }}
    }}
    server {{
        listen 127.0.0.1:{plain};
        root {root};
        location /body {{ echo_read_request_body; echo_request_body; }}
    }}
}}
"""


@pytest.fixture
def nginx(web_root: Path, authority: Path) -> Describe:
    require(NGINX, "nginx-light")

    def describe(place: Place) -> Setup:
        file = place.write("nginx.conf", configuration(place, web_root, authority))
        return Setup([NGINX, "-c", file, "-e", "stderr"], add=[str(web_root), str(authority)], memory="1G")

    return describe


def digest(root: Path, name: str) -> str:
    with open(root / name, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_files(both: Both, nginx: Describe, web_root: Path) -> None:
    def check(endpoint: Endpoint) -> list[Any]:
        with Client(endpoint) as client:
            answers = [client.ask(f"/{name}") for name in ("", "index.html", "1k.bin", "100k.bin")]
            assert answers[2].body == (web_root / "1k.bin").read_bytes()
            assert answers[3].digest == digest(web_root, "100k.bin")
            head = client.ask("/100k.bin", method="HEAD")
            assert (head.body, head.header("content-length")) == (b"", str(100 << 10))
            etag = {"If-None-Match": answers[3].header("etag") or ""}
            answers += [head, client.ask("/absent"), client.ask("/moved"), client.ask("/100k.bin", headers=etag)]
            answers += [client.ask("/text", method="POST", body=b"x" * 5, headers={"X-Name": "me"})]
            assert [answer.status for answer in answers] == [200, 200, 200, 200, 200, 404, 301, 304, 200]
            # All on one connection, and many more.
            for _ in range(500):
                assert client.ask("/1k.bin").body == answers[2].body
            zipped = client.ask("/zipped/index.html", headers={"Accept-Encoding": "gzip"})
            assert zipped.header("content-encoding") == "gzip"
        return [answer.summary() for answer in answers]

    both(nginx, check)


def test_a_large_file(both: Both, nginx: Describe, web_root: Path) -> None:
    curl = require("/usr/bin/curl", "curl")

    def check(endpoint: Endpoint) -> list[bytes]:
        assert get(endpoint, f"/{LARGE}").digest == digest(web_root, LARGE)
        ranges = ["0-0", "1000-1999", f"{(100 << 20) - 5}-", "-7", "0-1,5-6"]
        told = []
        for part in ranges:
            argv = [curl, "-sS", "--fail", "-r", part, endpoint.url(f"/{LARGE}")]
            told.append(subprocess.run(argv, capture_output=True, check=True, timeout=60, env=ENVIRONMENT).stdout)
        assert [len(part) for part in told[:4]] == [1, 1000, 5, 7]
        assert get(endpoint, f"/{LARGE}", headers={"Range": f"bytes={200 << 20}-"}).status == 416
        return told[:4]

    both(nginx, check)


def test_a_client_that_reads_slowly_and_one_that_leaves(both: Both, nginx: Describe, web_root: Path) -> None:
    def check(endpoint: Endpoint) -> None:
        with Client(endpoint) as slow, Client(endpoint) as gone:
            for client in (slow, gone):
                client.connection.request("GET", f"/{LARGE}")
            answer = gone.connection.getresponse()
            assert len(answer.read(1000)) == 1000
            answer.close()
            gone.connection.close()
            # Others are served meanwhile.
            assert get(endpoint, "/100k.bin").digest == digest(web_root, "100k.bin")
            answer, seen = slow.connection.getresponse(), hashlib.sha256()
            while part := answer.read(1 << 20):
                seen.update(part)
            assert seen.hexdigest() == digest(web_root, LARGE)

    both(nginx, check)


def test_uploads_and_the_proxy(both: Both, nginx: Describe, web_root: Path) -> None:
    """The proxy connects through the guest's loopback interface."""
    body = (web_root / "100k.bin").read_bytes() * 20

    def pieces() -> Any:
        for start in range(0, len(body), 10_000):
            yield body[start : start + 10_000]

    def check(endpoint: Endpoint) -> list[Any]:
        answers = []
        for prefix in ("/through", "/unbuffered"):
            with Client(endpoint) as client:
                assert client.ask(f"{prefix}/{LARGE}").digest == digest(web_root, LARGE)
                answers += [client.ask(f"{prefix}/body", method="POST", body=body)]
                answers += [client.ask(f"{prefix}/body", method="POST", body=pieces())]
                answers += [
                    client.ask(f"{prefix}/body", method="POST", body=b"small", headers={"Expect": "100-continue"})
                ]
        digests = {answer.digest for answer in answers if answer.body != b"small"}
        assert digests == {hashlib.sha256(body).hexdigest()}
        return [answer.summary() for answer in answers]

    both(nginx, check)


def test_tls(both: Both, nginx: Describe, web_root: Path, authority: Path) -> None:
    curl = require("/usr/bin/curl", "curl")

    def check(endpoint: Endpoint) -> list[Any]:
        context = ssl.create_default_context(cafile=str(authority / "ca.pem"))
        with Client(endpoint, "tls", context) as client:
            answers = [client.ask(path) for path in ("/1k.bin", "/100k.bin", "/text")]
            version = client.connection.sock.version()
        assert answers[1].digest == digest(web_root, "100k.bin")
        url = f"https://localhost:{endpoint.ports['tls']}/{LARGE}"
        for options in (["--tlsv1.3"], ["--tls-max", "1.2"]):
            argv = [curl, "-sS", "--fail", "--cacert", str(authority / "ca.pem"), *options, url]
            done = subprocess.run(argv, capture_output=True, check=True, timeout=120, env=ENVIRONMENT)
            assert hashlib.sha256(done.stdout).hexdigest() == digest(web_root, LARGE)
        plain = get(Endpoint({"main": endpoint.ports["tls"]}), "/")
        return [version, plain.status, *(answer.summary() for answer in answers)]

    both(nginx, check)


def test_many_connections(both: Both, nginx: Describe) -> None:
    wrk = require("/usr/bin/wrk", "wrk")

    def check(endpoint: Endpoint) -> None:
        argv = [wrk, "-t", "1", "-c", "500", "-d", "2s", endpoint.url("/1k.bin")]
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60, env=ENVIRONMENT)
        assert "Socket errors" not in done.stdout
        assert "Non-2xx" not in done.stdout
        close = [wrk, "-t", "1", "-c", "50", "-d", "1s", "-H", "Connection: close", endpoint.url("/1k.bin")]
        done = subprocess.run(close, capture_output=True, text=True, check=True, timeout=60, env=ENVIRONMENT)
        assert "Non-2xx" not in done.stdout
        assert get(endpoint, "/1k.bin").status == 200

    both(nginx, check)


def test_master_and_workers(both: Both, web_root: Path, authority: Path) -> None:
    """The master starts two workers, which serve, and ends them."""
    require(NGINX, "nginx-light")

    def describe(place: Place) -> Setup:
        text = configuration(place, web_root, authority)
        text = text.replace("master_process off;", "master_process on;\nworker_processes 2;")
        text = text.replace("location /moved", "location /worker { return 200 $pid; }\n        location /moved")
        file = place.write("nginx.conf", text)
        return Setup([NGINX, "-c", file, "-e", "stderr"], add=[str(web_root), str(authority)], memory="1G")

    def check(endpoint: Endpoint) -> list[Any]:
        worker = get(endpoint, "/worker").body
        answers = [get(endpoint, path) for path in ("/100k.bin", "/absent", "/zipped/1k.bin")]
        # It is not the master that answers.
        assert worker != b"1"
        return [answer.summary() for answer in answers]

    both(describe, check)
