"""HTTP/1.1 with what uvicorn leaves to a proxy: deadlines for headers and for readers, and a bound on connections.

- Headers that arrive byte by byte hold a connection for `header_seconds` at most (the "slow loris").
- A caller that reads nothing of what was sent is cut off after `stall_seconds`.
- A connection beyond `connections` is told so and closed at once. Those that are open go on. uvicorn's own
  limit would refuse their requests too, as soon as idle connections take all places.
"""

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from lore.serving.errors import SERVER, ApiError
from lore.serving.settings import Limits

BUSY = ApiError(
    503, "too many connections are open; try again in 1 s", SERVER, code="busy", retry_after=1
)


def refusal(error: ApiError) -> bytes:
    """Return a whole response that refuses, and says that the connection ends with it."""
    body = json.dumps(error.body()).encode()
    lines = [f"HTTP/1.1 {error.status} Service Unavailable", "content-type: application/json"]
    for name, value in error.headers().items():
        lines.append(f"{name.lower()}: {value}")
    lines += [f"content-length: {len(body)}", "connection: close", "", ""]
    return "\r\n".join(lines).encode("ascii") + body


def protocol_of(limits: Limits) -> type[H11Protocol]:
    """Return the protocol with a server's limits. uvicorn makes one for every connection."""
    told = refusal(BUSY)

    class Guarded(H11Protocol):
        """One connection."""

        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            self._headers_due: asyncio.TimerHandle | None = None
            self._reading_due: asyncio.TimerHandle | None = None

        # uvicorn declares a narrower transport than asyncio does.
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            if len(self.connections) > limits.connections:
                transport.write(told)
                transport.close()
                return
            self._await_headers()

        def connection_lost(self, exc: Exception | None) -> None:
            self._cancel()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self.cycle is not None and not self.cycle.response_complete:
                # A request has come. Its body and its answer have deadlines in the gate.
                self._cancel_headers()
            else:
                self._await_headers()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            if self.transport.get_write_buffer_size() > 0:
                self._await_reading()

        def pause_writing(self) -> None:
            super().pause_writing()
            self._await_reading()

        def resume_writing(self) -> None:
            super().resume_writing()
            self._cancel_reading()

        def _await_headers(self) -> None:
            if self._headers_due is None:
                self._headers_due = self.loop.call_later(
                    limits.header_seconds, self.transport.abort
                )

        def _await_reading(self) -> None:
            if self._reading_due is None:
                self._reading_due = self.loop.call_later(limits.stall_seconds, self._end_unread)

        def _end_unread(self) -> None:
            self._reading_due = None
            if self.transport.get_write_buffer_size() > 0:
                self.transport.abort()

        def _cancel_headers(self) -> None:
            if self._headers_due is not None:
                self._headers_due.cancel()
                self._headers_due = None

        def _cancel_reading(self) -> None:
            if self._reading_due is not None:
                self._reading_due.cancel()
                self._reading_due = None

        def _cancel(self) -> None:
            self._cancel_headers()
            self._cancel_reading()

    return Guarded
