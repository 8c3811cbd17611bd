"""What hostile clients do to `lore serve`: slow headers, many connections, huge bodies, broken JSON, slow readers.

    PYTHONPATH=. python docs/experiments/serve_hostile.py <folder> [--connections 10000] [--megabytes 1024]

From the project's root. The server is real but for its engine, which says fixed words (tests/lore/serving/
fake_server.py), so what is measured is the server, not a model. Each attack runs against the same server. After it
the server must answer a plain question, no request may be left in flight, and its memory (RSS) is noted. The last
column says what the attacker got. The script fails where an answer does not come, a request is left, a status is
another than expected, or the memory grew by more than 100 MB over all attacks.
"""

import argparse
import contextlib
import http.client
import json
import os
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
QUESTION = "When does iron melt?"
RIGHT = "The melting point of iron is 1538 °C."
TOKEN = "0123456789abcdef0123"  # noqa: S105  # of this test alone
MOST_GROWTH = 100e6
"""Bytes by which the memory may grow over all attacks."""
PATH = "/v1/chat/completions"


class Target:
    """The server under attack."""

    def __init__(self, folder: Path, *settings: str) -> None:
        command = [sys.executable, "-m", "tests.lore.serving.fake_server", str(folder)]
        command += [f"token=test:{TOKEN}", *settings]
        self.log = (folder.parent / f"{folder.name}.log").open("wb")
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE, stderr=self.log, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rpartition(":")[2])

    def stop(self) -> int:
        """End it with SIGTERM, and return its exit code."""
        self.process.terminate()
        code = self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()
        return code

    def memory(self) -> float:
        """Return its resident memory in bytes."""
        return float(psutil.Process(self.process.pid).memory_info().rss)

    def handles(self) -> int:
        """Return how many files and connections it has open."""
        return int(psutil.Process(self.process.pid).num_fds())

    def connect(self) -> socket.socket:
        """Return a connection."""
        made = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return made

    def call(
        self, method: str, path: str, body: bytes | None = None, token: str | None = TOKEN
    ) -> tuple[int, bytes]:
        """Return status and body of a request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def ask(self, question: str = QUESTION, **more: Any) -> tuple[int, Any]:
        """Return status and JSON of a question."""
        body = {"messages": [{"role": "user", "content": question}], **more}
        status, text = self.call("POST", PATH, json.dumps(body).encode())
        return status, json.loads(text)

    def in_flight(self) -> float:
        """Return how many requests wait or are being answered."""
        _, text = self.call("GET", "/metrics")
        for line in text.decode().splitlines():
            if line.startswith("lorekeep_requests_in_flight "):
                return float(line.split()[1])
        raise AssertionError("no such number in /metrics")


def head_of(length: int | None, token: str = TOKEN) -> bytes:
    """Return the headers of a question with a body of some bytes. None: in chunks."""
    lines = [f"POST {PATH} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    lines.append(f"Authorization: Bearer {token}")
    lines.append("Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def body_of(question: str = QUESTION, **more: Any) -> bytes:
    """Return the body of a question."""
    return json.dumps({"messages": [{"role": "user", "content": question}], **more}).encode()


def status_of(connection: socket.socket) -> str:
    """Return the status that comes, or what comes instead."""
    try:
        first = connection.recv(4096)
    except OSError as error:
        return type(error).__name__
    return first.split(b" ")[1].decode() if first.startswith(b"HTTP/") else "closed"


# --- attacks: each returns what the attackers got --------------------------------------------------


def slow_headers(target: Target, options: argparse.Namespace) -> Counter[str]:
    """200 callers send a header byte by byte, and never end it. The server has a place for all but none to spare."""
    connections = [target.connect() for _ in range(200)]
    for number, byte in enumerate(b"GET / HTTP/1.1\r\nX: aaaaaaaaaaaaaaaaaaaaaaaaaaaa"):
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.send(bytes([byte]))
        if number % 10 == 0:
            assert target.ask()[0] == 200, "a plain question is answered meanwhile"
        time.sleep(0.1)
    got = Counter(status_of(connection) for connection in connections)
    close(connections)
    return got


def many_connections(target: Target, options: argparse.Namespace) -> Counter[str]:
    """Thousands of connections that say nothing."""
    connections = []
    got: Counter[str] = Counter()
    for _ in range(options.connections):
        try:
            connections.append(target.connect())
        except OSError as error:
            got[f"refused ({type(error).__name__})"] += 1
    got["connected"] = len(connections)
    got["handles of the server"] = target.handles()
    # A place is free as soon as the deadline for headers has passed.
    assert wait_for(lambda: plain_status(target) == 200), (
        "no answer behind the deadline for headers"
    )
    close(connections)
    return got


def plain_status(target: Target) -> int:
    """Return the status of a plain question, 0 where the connection fails."""
    try:
        return target.ask()[0]
    except (OSError, http.client.HTTPException, ValueError):
        return 0


def huge_body(target: Target, options: argparse.Namespace) -> Counter[str]:
    """A body of a gigabyte, once announced and once in chunks."""
    got: Counter[str] = Counter()
    block = b"x" * 65_536
    blocks = options.megabytes * 16
    for kind, head, piece in (
        ("announced", head_of(len(block) * blocks), block),
        ("in chunks", head_of(None), b"10000\r\n" + block + b"\r\n"),
    ):
        with target.connect() as connection:
            connection.sendall(head)
            sent = 0
            # It is sent until the server hangs up, as an attacker would.
            with contextlib.suppress(OSError):
                for _ in range(blocks):
                    connection.sendall(piece)
                    sent += len(block)
            got[f"{kind}: {status_of(connection)} after {sent >> 20} MB"] += 1
    return got


def wrong_tokens(target: Target, options: argparse.Namespace) -> Counter[str]:
    """1,000 wrong tokens."""
    got: Counter[str] = Counter()
    for number in range(1000):
        wrong = ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "é" * 20][number % 6]
        status, _ = target.call("GET", "/v1/models", token=wrong.encode().decode("latin-1"))
        got[str(status)] += 1
    assert set(got) == {"401"}, got
    return got


def disconnects(target: Target, options: argparse.Namespace) -> Counter[str]:
    """500 callers that go away: before the body is whole, before the answer, and in a stream."""
    got: Counter[str] = Counter()
    for number in range(500):
        body = body_of(stream=number % 3 == 2)
        sent = body[: len(body) // 2] if number % 3 == 0 else body
        connection = target.connect()
        connection.sendall(head_of(len(body)) + sent)
        if number % 3 == 2:
            connection.recv(64)
        if number % 2:
            # A reset instead of a polite end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
        got["gone"] += 1
    return got


def slow_readers(target: Target, options: argparse.Namespace) -> Counter[str]:
    """50 callers ask for a long page again and again on one connection, and read nothing."""
    connections = []
    request = (
        f"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {TOKEN}\r\n\r\n"
    )
    for _ in range(50):
        connection = target.connect()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(1)
        connections.append(connection)
        with contextlib.suppress(OSError):
            connection.sendall(request.encode() * 500)
    assert target.ask()[0] == 200, "a plain question is answered meanwhile"
    got = Counter({"handles while they stall": target.handles()})
    before = target.handles()
    assert wait_for(lambda: target.handles() <= before - 50), "slow readers are cut off"
    got["handles behind the deadline"] = target.handles()
    close(connections)
    return got


BROKEN = [
    b"", b"{", b"nul", b"\xff\xfe\x00", b"[" * 50_000, b"{" * 10_000, b'{"a":' * 10_000, b"NaN", b"1e999",
    b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
    b'{"messages": [{"role": "user", "content": "\\u0000"}]}',
    b'{"messages": [{"role": "user", "content": 9' + b"9" * 5000 + b"}]}",
    b'{"messages": "' + b"x" * 60_000 + b'"}',
    b'{"messages": [], "messages": [{"role": "user"}]}',
    b'{"max_tokens": 1e308, "messages": [{"role": "user", "content": "x"}]}',
    b'{"max_tokens": 99999999999999999999, "messages": [{"role": "user", "content": "x"}]}',
    b'{"model": "' + b"\\u202e" * 100 + b'", "messages": [{"role": "user", "content": "x"}]}',
    b'{"stop": ["' + b"x" * 50_000 + b'"], "messages": [{"role": "user", "content": "x"}]}',
    b'{"user": "' + b"x" * 60_000 + b'", "messages": [{"role": "user", "content": "x"}]}',
]  # fmt: skip
"""Bodies that are no JSON, or strange."""


def broken_bodies(target: Target, options: argparse.Namespace) -> Counter[str]:
    """Bodies that are no JSON, too deep, of the wrong types, or with strange characters; requests that are no HTTP."""
    got: Counter[str] = Counter()
    for body in BROKEN:
        status, text = target.call("POST", PATH, body)
        got[str(status)] += 1
        assert status in (200, 400, 404), (status, body[:60], text[:200])
        assert len(text) < 5000, (len(text), body[:60])
    lines = [
        b"\x16\x03\x01\x02\x00\x01",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x00" * 100,
        b"A" * 100_000,
    ]
    lines += [b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"]
    lines += [b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"]
    lines += [b"GET /%ff%00 HTTP/1.1\r\nHost: x\r\nX: " + b"\xff" * 10 + b"\r\n\r\n"]
    for line in lines:
        with target.connect() as connection:
            with contextlib.suppress(OSError):
                connection.sendall(line)
            got[f"no HTTP: {status_of(connection)}"] += 1
    return got


def long_prompt(target: Target, options: argparse.Namespace) -> Counter[str]:
    """A prompt of 100,000 words."""
    status, answer = target.ask("word " * 100_000)
    assert (status, answer["error"]["code"]) == (413, "request_too_large"), answer
    status, answer = target.ask("word " * 12_000)
    assert (status, answer["error"]["code"]) == (400, "context_length_exceeded"), answer
    return Counter({"413": 1, "400": 1})


def many_at_once(target: Target, options: argparse.Namespace) -> Counter[str]:
    """300 callers at once, of whom 96 have a place (batch and queue)."""
    got: Counter[str] = Counter()
    lock = threading.Lock()

    def call() -> None:
        status = plain_status(target)
        with lock:
            got[str(status)] += 1

    threads = [threading.Thread(target=call) for _ in range(300)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(got) <= {"200", "429"}, got
    return got


Attack = Callable[[Target, argparse.Namespace], Counter[str]]
ATTACKS: dict[str, Attack] = {
    "wrong tokens": wrong_tokens,
    "broken bodies": broken_bodies,
    "prompt of 100,000 words": long_prompt,
    "callers that go away": disconnects,
    "300 callers at once": many_at_once,
    "body of a gigabyte": huge_body,
    "headers byte by byte": slow_headers,
    "callers that read nothing": slow_readers,
    "many connections": many_connections,
}


def close(connections: list[socket.socket]) -> None:
    """Close all connections."""
    for connection in connections:
        connection.close()


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> bool:
    """Return whether a condition holds within some seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def attack_all(folder: Path, options: argparse.Namespace) -> int:
    """Run all attacks, print a row each, and return the number of failures."""
    target = Target(folder / "served", "header_seconds=3", "stall_seconds=5", "said=0.01")
    failures = 0
    try:
        for _ in range(50):  # what the first requests load is no growth
            assert target.ask()[0] == 200
        first = target.memory()
        print("| attack | s | server, MB | handles | what the attackers got |", flush=True)
        print("|---|---|---|---|---|")
        print(f"| none | | {first / 1e6:.0f} | {target.handles()} | |", flush=True)
        for name, attack in ATTACKS.items():
            began = time.monotonic()
            try:
                got = attack(target, options)
                status, answer = target.ask()
                assert (status, answer["choices"][0]["message"]["content"]) == (200, RIGHT), answer
                assert wait_for(lambda: target.in_flight() == 0), "requests are left in flight"
                said = ", ".join(f"{what}: {count}" for what, count in sorted(got.items()))
            except AssertionError as error:
                failures += 1
                said = f"FAILED: {error}"
            seconds = time.monotonic() - began
            cells = [
                name,
                f"{seconds:.0f}",
                f"{target.memory() / 1e6:.0f}",
                str(target.handles()),
                said,
            ]
            print(f"| {' | '.join(cells)} |", flush=True)
        growth = target.memory() - first
        print(f"\nmemory grew by {growth / 1e6:.0f} MB over all attacks")
        failures += growth > MOST_GROWTH
    finally:
        code = target.stop()
    print(f"exit code after SIGTERM: {code}")
    return failures + (code != 0)


def main() -> None:
    """Attack, and exit with 1 where something failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument(
        "folder", type=Path, nargs="?", help="for records and the log; default: a temporary one"
    )
    parser.add_argument("--connections", type=int, default=10_000)
    parser.add_argument("--megabytes", type=int, default=1024)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        raise SystemExit(1 if attack_all(folder.resolve(), options) else 0)


if __name__ == "__main__":
    main()
