"""The page on which a person judges: a server for this machine alone.

It listens on 127.0.0.1. Its address holds a token that is made anew each time, and without it every request is
refused. So is a request that names another host, as a foreign page can make a browser send it (DNS rebinding).
The page shows texts as text (`textContent`), and its Content Security Policy allows its own script alone.
"""

import hmac
import json
import secrets
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lore.feedback.session import OF_KEY, Session
from lore.rendering import html
from stages.core.project.errors import InputError

HOST = "127.0.0.1"
LARGEST = 65_536
"""Most bytes of a request's body."""
TIMEOUT = 20
"""Seconds after which a silent connection is closed."""


class Server(ThreadingHTTPServer):
    """Serves the page of one session, until all pairs are through."""

    daemon_threads = True

    def __init__(self, session: Session, port: int) -> None:
        """`port` 0 stands for any free one. Raises InputError where it is taken."""
        self.session = session
        self.token = secrets.token_urlsafe(24)
        self.nonce = secrets.token_urlsafe(16)
        try:
            super().__init__((HOST, port), Handler)
        except (OSError, OverflowError) as error:
            raise InputError(
                f"port {port}: cannot be used ({error}); name another one with --port, or none"
            ) from None

    @property
    def address(self) -> str:
        """The address for the browser."""
        return f"http://{HOST}:{self.server_address[1]}/{self.token}/"

    def end_soon(self) -> None:
        """End `serve_forever`, from a thread of its own, because it waits for the present request."""
        threading.Thread(target=self.shutdown, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    """Answers GET of the page and of the present pair, and POST of a judgement."""

    server: Server
    timeout = TIMEOUT
    server_version = "lore"
    sys_version = ""

    def do_GET(self) -> None:  # the name that http.server calls
        """Send the page, or the present pair."""
        answers: dict[str, Callable[[], None]] = {"": self.send_page, "pair": self.send_pair}
        self.answer(answers)

    def do_POST(self) -> None:
        """Take a judgement."""
        self.answer({"judge": self.take_judgement})

    def answer(self, answers: dict[str, Callable[[], None]]) -> None:
        """Call what stands under the path behind the token, or refuse the request."""
        port = self.server.server_address[1]
        if self.headers.get("Host") not in (f"{HOST}:{port}", f"localhost:{port}"):
            self.refuse(HTTPStatus.FORBIDDEN, "another host")
            return
        parts = self.path.split("/")
        given = parts[1].encode("utf-8", "replace") if len(parts) == 3 else b""
        if not hmac.compare_digest(given, self.server.token.encode()):
            self.refuse(HTTPStatus.FORBIDDEN, "use the address that lore feedback printed")
            return
        wanted = answers.get(parts[2])
        if wanted is None:
            self.refuse(HTTPStatus.NOT_FOUND, "no such page")
            return
        wanted()

    def send_page(self) -> None:
        """Send the page itself, which holds no pair."""
        text = html.render("feedback.html", nonce=self.server.nonce)
        self.send(HTTPStatus.OK, "text/html; charset=utf-8", text)

    def send_pair(self) -> None:
        """Send the present pair. Where its answers came from is not in it."""
        session = self.server.session
        current = session.current()
        document: dict[str, Any] = {"total": len(session.pairs), "judged": len(session.made)}
        if current is not None:
            number, pair = current
            document |= {"number": number, "question": pair.question}
            document |= {"first": pair.first, "second": pair.second}
        self.send(HTTPStatus.OK, "application/json", json.dumps(document))
        if current is None:
            self.server.end_soon()

    def take_judgement(self) -> None:
        """Keep a judgement: `{"number": 3, "key": "1", "why": ""}`, with key `s` to skip the pair."""
        if self.headers.get("Content-Type") != "application/json":
            self.refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "no JSON")
            return
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > LARGEST:
            self.refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too long")
            return
        try:
            row = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            row = None
        if not is_choice(row):
            self.refuse(HTTPStatus.BAD_REQUEST, "no judgement")
            return
        session = self.server.session
        try:
            if row["key"] == "s":
                taken = session.skip(row["number"])
            else:
                taken = session.judge(row["number"], OF_KEY[row["key"]], row["why"].strip())
        except InputError as error:
            self.refuse(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
            return
        status = HTTPStatus.OK if taken else HTTPStatus.CONFLICT
        self.send(status, "application/json", json.dumps({"taken": taken}))

    def refuse(self, status: HTTPStatus, reason: str) -> None:
        """Send why a request is refused."""
        self.close_connection = True  # a body that was not read must not be taken for a request
        self.send(status, "text/plain; charset=utf-8", reason)

    def send(self, status: HTTPStatus, kind: str, text: str) -> None:
        """Send an answer with the headers that keep the page to itself."""
        nonce = self.server.nonce
        policy = (
            f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
            "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        body = text.encode("utf-8", "replace")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", policy)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log: the path of a request holds the token."""


def is_choice(row: Any) -> bool:
    """Return whether a row says which pair, which key and why."""
    if not isinstance(row, dict) or set(row) != {"number", "key", "why"}:
        return False
    # True is a number to Python, but none that a page sends.
    is_number = isinstance(row["number"], int) and not isinstance(row["number"], bool)
    is_key = isinstance(row["key"], str) and row["key"] in (*OF_KEY, "s")
    return is_number and is_key and isinstance(row["why"], str)
