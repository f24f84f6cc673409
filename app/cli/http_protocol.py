"""HTTP on a connection, with limits on what a client sends: the size of a head, and the time for heads and bodies."""

import asyncio
from collections.abc import Callable
from enum import Enum, auto
from typing import Any, NamedTuple, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from app.cli.connection_limit import ConnectionLimit
from app.core.config import Settings
from app.http.server_state import CONNECTION, DRAIN, ConnectionOptions

MAX_HEAD_SIZE = 64 * 1024
"""Maximum size of the request line and the headers together, in bytes."""
HEADER_OVERHEAD = len(": \r\n")
MAX_DISCARDED_SIZE = 64 * 1024**2
"""Bytes of a rejected request that are read without being used, so that the client can finish and read the answer."""
LAST_REQUEST_SECONDS = 0.25
"""How long an idle connection stays open when the server stops: a request may be on its way."""
DISCARD_SECONDS = 10.0
"""How long they are read at most."""


class HttpLimits(NamedTuple):
    """Time limits for requests, in seconds and bytes per second."""

    head_timeout: float
    body_timeout: float
    body_min_rate: int

    @classmethod
    def from_settings(cls, settings: Settings) -> "HttpLimits":
        """Return the limits that the settings contain."""
        return cls(settings.http_head_timeout, settings.http_body_timeout, settings.http_body_min_rate)


class _Phase(Enum):
    """What is expected next on a connection."""

    IDLE = auto()
    HEAD = auto()
    BODY = auto()
    END = auto()
    """Nothing: the last answer is written, and the rest of the request is discarded."""


IDLE, HEAD, BODY, END = _Phase  # names of this module, which cost less than members of a class


class LimitedHttpProtocol(HttpToolsProtocol):
    """Uvicorn's protocol, which has no limits of its own on the size of a head or on the time for a request.

    A head over `MAX_HEAD_SIZE` is answered with 431, a slow head or body with 408; then the connection is closed. A
    request that arrives in one piece needs no timer. Before a connection is closed while its client is sending, the
    rest is discarded within bounds: closing at once would reset the connection, and the client would lose the answer.

    For speed, what runs for every request calls uvicorn's methods without `super`, and the attributes are in slots:
    CPython reads attributes more slowly if an instance has more than 30 outside of slots, and uvicorn has almost 30.
    """

    __slots__ = (
        "_body_size",
        "_connection_limit",
        "_discarded_size",
        "_head_size",
        "_limits",
        "_options",
        "_phase",
        "_running",
        "_stall",
        "_timer",
        "_was_paused",
        "connected_at",
    )

    def __init__(self, *args: Any, limits: HttpLimits, connection_limit: ConnectionLimit, **options: Any) -> None:
        super().__init__(*args, **options)
        self._limits, self._connection_limit = limits, connection_limit
        self._phase = HEAD
        self._timer: asyncio.TimerHandle | None = None
        self._head_size = self._body_size = self._discarded_size = 0
        """Bytes of the current head; of the body since the last check of its rate; and discarded."""
        self.connected_at = 0.0
        self._was_paused = False
        """Whether the server let the body wait."""
        self._running: RequestResponseCycle | None = None
        """The request that is being answered, while `cycle` is the latest one, which may have to wait for its turn."""
        self._options = ConnectionOptions()
        self._stall: asyncio.TimerHandle | None = None
        """Ends the connection unless the client reads."""
        self.app_state = {**self.app_state, CONNECTION: self._options}

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.connected_at = self.loop.time()
        self._start_timer(self._limits.head_timeout, self._check_head)
        if len(self.connections) > self._connection_limit.maximum:
            # WebSocket connections count as well, but are closed by their own limits.
            others = [each for each in self.connections if isinstance(each, LimitedHttpProtocol)]
            self._connection_limit.make_room(others, self)

    @property
    def peer_address(self) -> str:
        """The address at the other end, empty if it is unknown."""
        return self.client[0] if self.client else ""

    @property
    def _awaits_head(self) -> bool:
        """Whether no part of a head has arrived since the last complete one, whose scope is the latest then."""
        return self.cycle is not None and self.cycle.scope is self.scope

    @property
    def awaits_client(self) -> bool:
        """Whether the client has yet to send a request, or the rest of one."""
        if self.transport.is_closing():
            return False
        if self._phase is END:
            return True
        is_answered = self.cycle is None or self.cycle.response_complete
        return is_answered or (self._phase is BODY and not self.cycle.response_started)

    def close_for_others(self) -> None:
        """Close the connection in favor of others, at once, with 503 if a part of a request has arrived."""
        is_answered = self._phase is BODY and self.cycle.response_complete
        if self._head_size and self._phase is not END and not is_answered:
            self._reject(503, "The server has too many connections; try again later")
        self.transport.close()  # what the client still sends is not awaited: meanwhile the connection would count

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._stop_stall()
        if self._running is not None and not self._running.response_complete:  # uvicorn notifies only the latest one
            self._running.disconnected = True
            self._running.message_event.set()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._stall is None and self._options.max_stall_seconds is not None:
            self._stall = self.loop.call_later(self._options.max_stall_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_stall()

    def data_received(self, data: bytes) -> None:
        if self._phase is END:
            self._discard(len(data))
            return
        if self._phase is BODY:
            self._body_size += len(data)
            if self.cycle.response_complete:
                self._discard(len(data))
        else:
            self._head_size += len(data)
        HttpToolsProtocol.data_received(self, data)
        cycle = self.cycle
        if self._phase is IDLE and self._timer is None and not cycle.response_complete and cycle.scope is self.scope:
            return  # as almost always: a whole request has arrived in one piece (`_awaits_head`, without a call)
        self._after_data()

    def on_headers_complete(self) -> None:
        if self._head_size > MAX_HEAD_SIZE and self._parsed_head_size() > MAX_HEAD_SIZE:
            raise ValueError  # ends the parsing of this piece of data; the answer is in `send_400_response`
        HttpToolsProtocol.on_headers_complete(self)
        self._phase, self._body_size = BODY, 0
        if not self.pipeline:
            self._running = self.cycle

    def on_message_complete(self) -> None:
        HttpToolsProtocol.on_message_complete(self)
        self._phase, self._head_size = IDLE, 0

    def on_response_complete(self) -> None:
        if self.pipeline:
            self._running = self.pipeline[-1][0]
        HttpToolsProtocol.on_response_complete(self)
        if self._phase is BODY and self.cycle.response_complete and not self.transport.is_closing():
            self._start_timer(DISCARD_SECONDS, self.transport.close)

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the WebSocket protocol, whose limits apply from now on."""
        super().handle_websocket_upgrade()
        self._stop_timer()
        self._phase = END

    def send_400_response(self, msg: str) -> None:
        """Answer a request that cannot be parsed, or whose head is too large."""
        if self._phase is not BODY and self._head_size > MAX_HEAD_SIZE:
            self._reject_head()
        else:
            self._reject(400, msg)

    def shutdown(self) -> None:
        """Let the connection end after the response to its request, or after a moment if it has none."""
        if (drain := self.app_state.get(DRAIN)) is not None:  # ends responses that would go on
            drain()
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(LAST_REQUEST_SECONDS, super().shutdown)
        else:
            super().shutdown()

    def end(self) -> None:
        """Close the connection after the last answer; what the client is still sending is discarded before."""
        if self._phase is not BODY or not self.transport.can_write_eof():
            self.transport.close()
        elif not self.transport.is_closing():
            self._phase = END
            self.transport.write_eof()
            self.flow.resume_reading()
            self._start_timer(DISCARD_SECONDS, self.transport.close)

    def _after_data(self) -> None:
        """Start or stop the timer for what the client has to send next."""
        if self._phase is END or self.transport.is_closing():
            return
        if self._phase is BODY:
            self._was_paused |= self.flow.read_paused
            if not isinstance(self.cycle.transport, _EndingTransport):
                self.cycle.transport = cast("asyncio.Transport", _EndingTransport(self))
                self._start_timer(self._limits.body_timeout, self._check_body)
        elif self._phase is IDLE and self._awaits_head:
            self._stop_timer()
            if self.cycle.response_complete:  # before the end of the body; uvicorn's timer was stopped by the rest
                self._start_timer(self.timeout_keep_alive, self.transport.close)
        elif self._head_size > MAX_HEAD_SIZE:
            self._reject_head()
        elif self._phase is IDLE:
            self._phase = HEAD
            self._start_timer(self._limits.head_timeout, self._check_head)

    def _check_head(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:  # the head of a pipelined request
            self._start_timer(self._limits.head_timeout, self._check_head)
        elif self._head_size == 0:  # nothing was sent, as by browsers that connect in advance
            self.transport.close()
        else:
            self._reject(408, f"The head of a request has to arrive within {self._limits.head_timeout:g} seconds")

    def _check_body(self) -> None:
        limits, size, waited = self._limits, self._body_size, self._was_paused
        waited |= self.flow.read_paused or self.cycle.waiting_for_100_continue
        if not waited and size < limits.body_min_rate * limits.body_timeout:
            self._reject(408, f"A body has to arrive with at least {limits.body_min_rate} bytes per second")
            return
        self._body_size, self._was_paused = 0, self.flow.read_paused
        self._start_timer(limits.body_timeout, self._check_body)

    def _reject_head(self) -> None:
        self._reject(431, f"The head of a request can have at most {MAX_HEAD_SIZE} bytes")

    def _reject(self, status: int, message: str) -> None:
        """Answer for the application, unless its answer has started, and close the connection."""
        if self.transport.is_closing() or self._phase is END:
            return
        cycle = self.cycle
        if cycle is None or cycle.response_complete or (self._phase is BODY and not cycle.response_started):
            self.transport.write(_plain_answer(status, message))
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
        self._phase = BODY  # the client may be sending
        self.end()

    def _discard(self, size: int) -> None:
        self._discarded_size += size
        if self._discarded_size > MAX_DISCARDED_SIZE:
            self.transport.close()

    def _parsed_head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + HEADER_OVERHEAD for name, value in self.headers)

    def _stop_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def _start_timer(self, seconds: float, callback: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, callback)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _EndingTransport:
    """The transport of a request whose body is arriving: closing it ends the connection gently."""

    def __init__(self, protocol: LimitedHttpProtocol) -> None:
        self._protocol = protocol
        self.write, self.is_closing = protocol.transport.write, protocol.transport.is_closing

    def close(self) -> None:
        self._protocol.end()


def _plain_answer(status: int, message: str) -> bytes:
    retry = "retry-after: 1\r\n" if status == 503 else ""
    headers = f"content-type: text/plain; charset=utf-8\r\ncontent-length: {len(message)}\r\n{retry}"
    return STATUS_LINE[status] + f"{headers}connection: close\r\n\r\n{message}".encode("ascii")
