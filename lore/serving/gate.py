"""The gate before the application: access, size and time of bodies, and a request's longest time.

It is an ASGI application around another one, so that no path can be reached past it.
"""

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from lore.serving.access import Access, is_loopback
from lore.serving.errors import AUTHENTICATION, SERVER, SERVER_FAULT, ApiError
from lore.serving.limits import Quotas
from lore.serving.metrics import Metrics
from lore.serving.settings import Limits

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOG = logging.getLogger("lore.serving")
WITHOUT_TOKEN = ("/", "/health", "/ready")
"""Paths that say nothing about data: the empty page, and whether the server is up."""
COUNTED = ("/v1/chat/completions", "/v1/completions")
"""Paths that count against the requests of a token."""
KNOWN = (*WITHOUT_TOKEN, *COUNTED, "/v1/models", "/v1/comparison", "/metrics", "/openapi.json")
"""Paths with a number of their own in the metrics. All others share one."""
TOKEN_NAME = "lorekeep.token"  # noqa: S105  # the name of a field
SAFE_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


class Gate:
    """Lets requests through to the application, or refuses them."""

    def __init__(
        self, app: App, access: Access, quotas: Quotas, metrics: Metrics, limits: Limits
    ) -> None:
        self._app = app
        self._access = access
        self._quotas = quotas
        self._metrics = metrics
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            # Nothing here is a web socket. A server closes one that is not accepted.
            await send({"type": "websocket.close", "code": 1008})
            return
        watched = Watched(send, uuid.uuid4().hex)
        began = time.monotonic()
        name = ""
        try:
            async with asyncio.timeout(self._limits.body_seconds + self._limits.seconds):
                name = self._require_access(scope)
                scope[TOKEN_NAME] = name
                if scope["path"] in COUNTED:
                    self._quotas.take_request(name)
                body = await self._body(scope, receive)
                await self._app(scope, Replayed(body, receive), watched)
        except ApiError as error:
            await watched.refuse(error)
        except TimeoutError:
            await watched.refuse(ApiError(504, "the request took too long", SERVER, code="timeout"))
        except Disconnected:
            pass
        except Exception:
            LOG.exception("request %s failed", watched.request_id)
            await watched.refuse(ApiError(500, SERVER_FAULT, SERVER))
        finally:
            path = scope["path"] if scope["path"] in KNOWN else "other"
            self._metrics.requests.labels(path, str(watched.status), name).inc()
            if path in COUNTED:
                self._metrics.seconds.labels(path).observe(time.monotonic() - began)

    def _require_access(self, scope: Scope) -> str:
        """Return the name of the caller's token. Raises ApiError where it has none that is right."""
        if self._access.is_open and not is_loopback(host_of(scope)):
            # A page of another site could have its name lead here (DNS rebinding).
            raise ApiError(
                403,
                "without tokens, only localhost and 127.0.0.1 are answered as names of this server",
                AUTHENTICATION,
                code="wrong_host",
            )
        if scope["path"] in WITHOUT_TOKEN:
            return ""
        name = self._access.name_of(header(scope, b"authorization"))
        if name is None:
            raise ApiError(
                401,
                "no valid token; send the header Authorization: Bearer TOKEN",
                AUTHENTICATION,
                code="invalid_api_key",
            )
        return name

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        """Return the body. Raises ApiError where it is too large, or arrives too slowly."""
        most = self._limits.body_bytes
        too_large = ApiError(
            413, f"the body is larger than {most:,} bytes", code="request_too_large"
        )
        said = header(scope, b"content-length")
        if said is not None and said.isdigit() and int(said) > most:
            raise too_large
        parts = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                while True:
                    event = await receive()
                    if event["type"] == "http.disconnect":
                        raise Disconnected
                    part = event.get("body", b"")
                    size += len(part)
                    if size > most:
                        raise too_large
                    parts.append(part)
                    if not event.get("more_body", False):
                        return b"".join(parts)
        except TimeoutError:
            raise ApiError(
                408,
                f"the body did not arrive within {self._limits.body_seconds:g} s",
                code="timeout",
            ) from None


class Disconnected(Exception):  # noqa: N818  # it is no error
    """The caller went away before the request was complete."""


class Replayed:
    """Hands out a body that was read, then what the server says: that the caller went away."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Event:
        """Return the next event."""
        if self._body is not None:
            body = self._body
            self._body = None
            return {"type": "http.request", "body": body, "more_body": False}
        return await self._receive()


class Watched:
    """Sends answers, adds headers, and knows whether an answer has begun."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status = 0
        """0: the caller went away before an answer began."""

    async def __call__(self, event: Event) -> None:
        """Send an event."""
        if event["type"] == "http.response.start":
            self.status = event["status"]
            headers = list(event.get("headers", []))
            given = {name.lower() for name, _ in headers}
            for name, value in {**SAFE_HEADERS, "x-request-id": self.request_id}.items():
                if name.encode() not in given:
                    headers.append((name.encode(), value.encode()))
            event = {**event, "headers": headers}
        await self._send(event)

    async def refuse(self, error: ApiError) -> None:
        """Answer with an error, unless an answer has begun."""
        if self.status:
            return
        body = json.dumps(error.body(), ensure_ascii=False).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ]
        if error.status in (408, 413):
            # The rest of the body is still on its way.
            headers.append((b"connection", b"close"))
        for name, value in error.headers().items():
            headers.append((name.lower().encode(), value.encode()))
        await self({"type": "http.response.start", "status": error.status, "headers": headers})
        await self({"type": "http.response.body", "body": body})


def host_of(scope: Scope) -> str:
    """Return the name by which a caller addresses the server, without its port: `localhost`, `::1`."""
    name = header(scope, b"host") or ""
    if name.startswith("["):
        return name[1:].partition("]")[0]
    return name.partition(":")[0]


def header(scope: Scope, name: bytes) -> str | None:
    """Return a header of a request, or None. Of several, the first one."""
    for key, value in scope["headers"]:
        if key == name:
            return str(value.decode("latin-1"))
    return None
