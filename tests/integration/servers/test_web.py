"""Web servers of languages: Python's, Flask, gunicorn, uvicorn, Node.js; with websockets."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.integration.harness import require
from tests.integration.servers.conftest import Both
from tests.integration.servers.http_client import Answer, Client, get
from tests.integration.servers.place import Endpoint, Place, Setup

PROGRAMS = Path(__file__).resolve().parent / "programs"
BODY = random.Random(2).randbytes(3 << 20)
BODY_DIGEST = hashlib.sha256(BODY).hexdigest()


def pieces() -> Any:
    for start in range(0, len(BODY), 50_000):
        yield BODY[start : start + 50_000]


def ready(endpoint: Endpoint) -> None:
    get(endpoint)


def test_pythons_own(both: Both, web_root: Path) -> None:
    python = require("/usr/bin/python3.11", "python3.11")

    def describe(place: Place) -> Setup:
        argv = [python, "-m", "http.server", "--directory", str(web_root), str(place.port())]
        return Setup(argv, add=[str(web_root)], memory="1G")

    def check(endpoint: Endpoint) -> list[Any]:
        answers = [get(endpoint, path) for path in ("/", "/1k.bin", "/100m.bin", "/absent")]
        answers.append(get(endpoint, "/1k.bin", method="HEAD"))
        assert [answer.status for answer in answers] == [200, 200, 200, 404, 200]
        assert answers[2].digest == hashlib.sha256((web_root / "100m.bin").read_bytes()).hexdigest()
        return [answer.summary() for answer in answers]

    both(describe, check, ready=ready)


def check_application(endpoint: Endpoint) -> list[Any]:
    """What `flask_app.py` must do under any server."""
    answers = [get(endpoint, path) for path in ("/", "/stream", "/error", "/absent")]
    assert answers[1].body == b"".join(b"line %d\n" % number for number in range(20))
    with Client(endpoint) as client:
        posted = client.ask("/digest", method="POST", body=BODY)
        assert json.loads(posted.body) == {"length": len(BODY), "sha256": BODY_DIGEST, "chunked": False}
    with ThreadPoolExecutor(4) as pool:
        met = list(pool.map(lambda path: get(endpoint, path).body, ["/together"] * 4))
    assert met == [b"met\n"] * 4
    return [answer.summary() for answer in (*answers, posted)]


def test_flask(both: Both, web_python: Path) -> None:
    app = str(PROGRAMS / "flask_app.py")

    def describe(place: Place) -> Setup:
        return Setup([str(web_python / "bin/python"), app, str(place.port())], add=[str(web_python), app])

    both(describe, check_application, ready=ready)


def test_gunicorn(both: Both, web_python: Path) -> None:
    """The arbiter makes its worker by fork(2), and ends it."""

    def describe(place: Place) -> Setup:
        options = ["--worker-class", "gthread", "--threads", "4", "--worker-tmp-dir", place.state]
        options += ["--bind", f"0.0.0.0:{place.port()}", "--chdir", str(PROGRAMS), "flask_app:app"]
        argv = [str(web_python / "bin/python"), "-m", "gunicorn", *options]
        return Setup(argv, add=[str(web_python), str(PROGRAMS)])

    both(describe, check_application, ready=ready)


def test_uvicorn(both: Both, web_python: Path) -> None:
    def describe(place: Place) -> Setup:
        options = ["--host", "0.0.0.0", "--port", str(place.port()), "--app-dir", str(PROGRAMS), "asgi_app:app"]
        argv = [str(web_python / "bin/python"), "-m", "uvicorn", *options]
        return Setup(argv, add=[str(web_python), str(PROGRAMS)])

    def check(endpoint: Endpoint) -> list[Any]:
        with Client(endpoint) as client:
            answers = [
                client.ask("/path?query"),
                client.ask("/up", method="POST", body=BODY),
                client.ask("/chunks", method="PUT", body=pieces()),
            ]
        assert all(BODY_DIGEST in answer.body.decode() for answer in answers[1:])
        check_websocket(endpoint)
        return [answer.summary() for answer in answers]

    both(describe, check, ready=ready)


def test_node(both: Both, node_modules: Path) -> None:
    node = require(shutil.which("node", path="/usr/bin:/bin") or "/usr/bin/node", "nodejs")

    def describe(place: Place) -> Setup:
        script = str(PROGRAMS / "server.js")
        argv = [node, script, str(place.port())]
        return Setup(argv, env={"NODE_PATH": str(node_modules)}, add=[script, str(node_modules)], memory="1G")

    def check(endpoint: Endpoint) -> list[Any]:
        with Client(endpoint) as client:
            answers: list[Answer] = [
                client.ask("/"),
                client.ask("/stream"),
                client.ask("/up", method="POST", body=BODY),
                client.ask("/chunks", method="PUT", body=pieces()),
            ]
        assert all(json.loads(answer.body)["sha256"] == BODY_DIGEST for answer in answers[2:])
        check_websocket(endpoint)
        check_everybody(endpoint)
        return [answer.summary() for answer in answers]

    both(describe, check, ready=ready)


def check_websocket(endpoint: Endpoint) -> None:
    """Text comes back reversed, bytes as they are; pings are answered, closing is."""
    with connect(endpoint.url("/socket", "ws"), max_size=None) as socket:
        for text in ("abc", "häß", "x" * 70_000):
            socket.send(text)
            assert socket.recv(timeout=20) == text[::-1]
        socket.send(BODY)
        assert socket.recv(timeout=20) == BODY
        assert socket.ping(b"there?").wait(20)
        for number in range(1000):
            socket.send(f"number {number}")
        assert [socket.recv(timeout=20) for _ in range(1000)] == [f"number {i}"[::-1] for i in range(1000)]
        socket.close(1000, "done")
        assert socket.close_code == 1000


def check_everybody(endpoint: Endpoint) -> None:
    """One message makes a hundred."""
    sockets: list[ClientConnection] = []
    try:
        sockets += [connect(endpoint.url("/", "ws")) for _ in range(100)]
        sockets[0].send("everybody")
        assert [socket.recv(timeout=20) for socket in sockets] == ["to all"] * 100
    finally:
        closing = [threading.Thread(target=socket.close) for socket in sockets]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join()
