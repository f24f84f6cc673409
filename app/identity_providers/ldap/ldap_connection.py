"""A connection to an LDAP server, with limits of time and size.

It runs on the event loop; only decoding many entries happens in a thread.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from app.core.ldap_settings import LdapSettings
from app.identity_providers.base import ProviderUnavailable
from app.identity_providers.ldap import messages
from app.identity_providers.ldap.messages import LdapEntry, NoLdapMessage, Result, Search

MAX_MESSAGE_BYTES = 1024**2
MAX_RESPONSE_MESSAGES = 2000
"""How many messages may answer one request."""
PAGE_SIZE = 500
"""Servers return no more than some number of entries at a time, Active Directory 1,000."""
SUCCESS = 0
REJECTED = frozenset({19, 32, 34, 48, 49, 50, 53})
"""Codes with which servers reject a bind because of the user or the password (RFC 4511, appendix A.2)."""
NO_SUCH_OBJECT, INVALID_DN, SIZE_LIMIT_EXCEEDED = 32, 34, 4
CODE_NAMES = {
    3: "timeLimitExceeded",
    4: "sizeLimitExceeded",
    8: "strongerAuthRequired",
    10: "referral",
    13: "confidentialityRequired",
    32: "noSuchObject",
    34: "invalidDNSyntax",
    49: "invalidCredentials",
    50: "insufficientAccessRights",
    51: "busy",
    52: "unavailable",
    53: "unwillingToPerform",
}
SEQUENCE_TAG, LONG_FORM = 0x30, 0x80
MAX_LENGTH_BYTES = 4
TLS_SHUTDOWN_SECONDS = 1.0
RESPONSE_TAGS = {
    "bind": frozenset({messages.BIND_RESPONSE}),
    "search": frozenset({messages.SEARCH_ENTRY, messages.SEARCH_REFERENCE, messages.SEARCH_DONE}),
    "StartTLS": frozenset({messages.EXTENDED_RESPONSE}),
}
"""Which responses an operation may have."""


class LdapConnection:
    """A connection on which one operation runs at a time. Every method raises ProviderUnavailable or OSError."""

    def __init__(self, reader: asyncio.StreamReader, transport: asyncio.WriteTransport) -> None:
        self._reader, self._transport, self._number = reader, transport, 0

    async def bind(self, dn: str, password: str) -> bool:
        """Authenticate the connection, and return whether the server accepts the password.

        Raises:
            ValueError: The DN or the password is empty: servers accept that as an anonymous bind (RFC 4513, section
                5.1.2), which proves nothing.
        """
        if not dn or not password:
            raise ValueError("A bind needs a DN and a password")
        self._number += 1
        _, result = await self._send("bind", messages.bind_request(self._number, dn, password))
        if result.code not in REJECTED | {SUCCESS}:
            raise failed("bind", result.code)
        return result.code == SUCCESS

    async def search(self, search: Search) -> tuple[list[LdapEntry], int]:
        """Return the entries that match, and the code of the result. Referrals are not followed."""
        self._number += 1
        entries, result = await self._send("search", messages.search_request(self._number, search))
        return entries, result.code

    async def search_all(self, search: Search, max_entries: int) -> list[LdapEntry]:
        """Return all entries that match, read in pages.

        Raises:
            ProviderUnavailable: The server doesn't return all, or there are more than `max_entries`.
        """
        found: list[LdapEntry] = []
        cookie = b""
        while True:
            self._number += 1
            request = messages.search_request(self._number, search, PAGE_SIZE, cookie)
            entries, result = await self._send("search", request)
            found += entries
            if result.code != SUCCESS:
                raise failed("search", result.code)
            if len(found) > max_entries:
                raise ProviderUnavailable(f"search: more than {max_entries} entries match")
            if not (cookie := result.cookie):
                return found

    async def start_tls(self, context: ssl.SSLContext, host: str) -> None:
        """Continue with TLS. What the server sent before in plain text is dropped: it may be forged."""
        self._number += 1
        _, result = await self._send("StartTLS", messages.start_tls_request(self._number))
        if result.code != SUCCESS:
            raise failed("StartTLS", result.code)
        reader, protocol = _stream()
        transport = await asyncio.get_running_loop().start_tls(
            self._transport, protocol, context, server_hostname=host, ssl_shutdown_timeout=TLS_SHUTDOWN_SECONDS
        )
        if transport is None:
            raise ConnectionResetError
        protocol.connection_made(transport)
        self._reader, self._transport = reader, transport

    def close(self) -> None:
        """End the connection."""
        if not self._transport.is_closing():
            self._transport.write(messages.unbind_request(self._number + 1))
        self._transport.close()

    def abort(self) -> None:
        """End the connection at once, whatever its state."""
        self._transport.abort()

    async def _send(self, operation: str, request: bytes) -> tuple[list[LdapEntry], Result]:
        """Send a request and return the entries and the result with which the server answers."""
        self._transport.write(request)  # at most some KB: no need to wait until the server has read them
        responses = []
        try:
            async for tag, message in self._responses(RESPONSE_TAGS[operation]):
                if tag != messages.SEARCH_REFERENCE:
                    responses.append(message)
            if len(responses) == 1:
                return messages.decode(responses)
            return await asyncio.to_thread(messages.decode, responses)
        except NoLdapMessage:
            raise ProviderUnavailable(f"{operation}: the response is no valid LDAP message") from None

    async def _responses(self, tags: frozenset[int]) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the responses to the last request and their tags, up to its result."""
        for _ in range(MAX_RESPONSE_MESSAGES):
            message = await self._read_message()
            number, tag = messages.header_of(message)
            if number != self._number or tag not in tags:  # 0 is a notice of disconnection
                raise ProviderUnavailable("the server sent an unexpected message, or closes the connection")
            yield tag, message
            if tag not in (messages.SEARCH_ENTRY, messages.SEARCH_REFERENCE):
                return
        raise ProviderUnavailable(f"the server sent more than {MAX_RESPONSE_MESSAGES} messages")

    async def _read_message(self) -> bytes:
        header = await self._reader.readexactly(2)
        tag, length = header
        if tag != SEQUENCE_TAG:
            raise NoLdapMessage
        if length & LONG_FORM:
            if not 1 <= (count := length & ~LONG_FORM) <= MAX_LENGTH_BYTES:
                raise NoLdapMessage
            encoded = await self._reader.readexactly(count)
            header, length = header + encoded, int.from_bytes(encoded)
        if length > MAX_MESSAGE_BYTES:
            raise ProviderUnavailable(f"a message is larger than {MAX_MESSAGE_BYTES} bytes")
        return header + await self._reader.readexactly(length)


def failed(operation: str, code: int) -> ProviderUnavailable:
    """Return the error of an operation that has failed; the server's text is left out, as it may name users."""
    return ProviderUnavailable(f"{operation}: {CODE_NAMES.get(code, 'the server answers with an error')} ({code})")


@asynccontextmanager
async def connect(settings: LdapSettings, context: ssl.SSLContext) -> AsyncIterator[LdapConnection]:
    """Connect for the duration of the block, with TLS as the settings say.

    Raises:
        ProviderUnavailable, OSError, EOFError: It fails.
        TimeoutError: It takes too long.
    """
    async with asyncio.timeout(settings.connect_timeout.total_seconds()):
        connection = await _open(settings, context)
    try:
        yield connection
    except BaseException:
        connection.abort()
        raise
    connection.close()


async def _open(settings: LdapSettings, context: ssl.SSLContext) -> LdapConnection:
    tls: dict[str, Any] = {"ssl": context, "ssl_shutdown_timeout": TLS_SHUTDOWN_SECONDS} if settings.uses_ldaps else {}
    reader, protocol = _stream()
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_connection(lambda: protocol, settings.host, settings.port, **tls)
    connection = LdapConnection(reader, transport)
    if settings.start_tls:
        try:
            await connection.start_tls(context, settings.host)
        except BaseException:
            connection.abort()
            raise
    return connection


def _stream() -> tuple[asyncio.StreamReader, asyncio.StreamReaderProtocol]:
    """Return a reader and the protocol that fills it."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(loop=loop)
    return reader, asyncio.StreamReaderProtocol(reader, loop=loop)
