"""Parses a `multipart/form-data` body with files while it is received."""

from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from email.utils import collapse_rfc2231_value

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.core.errors import InvalidPayload
from app.flows.uploads import IncomingFile

MAX_PARTS = 1000
MAX_CHARSET_LENGTH = 50
NULL = "null"
EXTENDED_CHARSETS = frozenset({"utf-8", "iso-8859-1"})
EXTENDED_FILENAME_MESSAGE = "filename* has to be UTF-8 or ISO-8859-1, such as filename*=UTF-8''na%C3%AFve.png"
MALFORMED_MESSAGE = "The form can't be read: it has to be multipart/form-data, with a boundary, up to its end"


@dataclass(slots=True)
class Part:
    """The headers of one part of a form. `filename` is None if it is no file."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    name: str = ""
    filename: str | None = None
    type: str = ""
    charset: str | None = None

    def parse_headers(self) -> None:
        """Set the other attributes from the headers."""
        header = self.headers.get(b"content-disposition", b"")
        _, disposition = parse_options_header(header)
        self.name = disposition.get(b"name", b"").decode(errors="replace")
        if (filename := disposition.get(b"filename")) is not None:
            self.filename = filename.decode(errors="replace")
        if b"*" in header:
            self.filename = _extended_filename(header, self.filename)
        type_, parameters = parse_options_header(self.headers.get(b"content-type"))
        self.type, charset = type_.decode("latin-1"), parameters.get(b"charset", b"").decode("latin-1").lower()
        is_valid = charset.replace("-", "").isalnum() and len(charset) <= MAX_CHARSET_LENGTH
        self.charset = charset if is_valid else None


PART_END = None
Event = Part | bytes | None
"""The start of a part, a chunk of its content, or its end."""


class MultipartEvents:
    """The parser's events in the order of the form."""

    def __init__(self, boundary: bytes) -> None:
        self.queue: deque[Event] = deque()
        self.finished, self._part_count = False, 0
        self._header = b"", b""
        self._part = Part()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": lambda data, start, end: self.queue.append(bytes(data[start:end])),
                "on_part_end": lambda: self.queue.append(PART_END),
                "on_end": self._on_end,
            },
        )

    def feed(self, chunk: bytes) -> None:
        """Parse a chunk of the body.

        Raises:
            InvalidPayload: The form is malformed, or has too many parts.
        """
        with _malformed_as_invalid_payload():
            self._parser.write(chunk)

    def _on_part_begin(self) -> None:
        self._part, self._part_count = Part(), self._part_count + 1
        if self._part_count > MAX_PARTS:
            raise InvalidPayload(f"The form has more than {MAX_PARTS} parts")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header = self._header[0] + data[start:end], b""

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header = self._header[0], self._header[1] + data[start:end]

    def _on_header_end(self) -> None:
        name, value = self._header
        self._part.headers[name.lower()] = value
        self._header = b"", b""

    def _on_headers_finished(self) -> None:
        self._part.parse_headers()
        self.queue.append(self._part)

    def _on_end(self) -> None:
        self.finished = True


class UploadForm:
    """A form of files and of text fields that describe them; the text fields have at most `max_text_size` bytes.

    The text `null` is null, as in Directus, because a form has no other way to say it.

    Raises:
        InvalidPayload: The form is malformed or too large.
    """

    def __init__(self, content_type: bytes, chunks: AsyncIterator[bytes], max_text_size: int) -> None:
        self.values: dict[str, str | None] = {}
        self._chunks, self._text_bytes_left = chunks, max_text_size
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise InvalidPayload(MALFORMED_MESSAGE)
        with _malformed_as_invalid_payload():
            self._events = MultipartEvents(boundary)

    async def files(self) -> AsyncIterator[IncomingFile]:
        """Yield the files, each with the text fields since the previous one; empty file inputs are skipped."""
        while isinstance(part := await self._next_event(), Part):
            if part.filename is None:
                text = await self._read_text()
                self.values[part.name] = None if text.strip() == NULL else text
                continue
            content = self._content()
            if part.filename:
                values, self.values = self.values, {}
                yield IncomingFile(part.filename, part.type, part.charset, values, content)
            async for _ in content:
                pass

    async def _content(self) -> AsyncIterator[bytes]:
        while isinstance(chunk := await self._next_event(), bytes):
            yield chunk

    async def _read_text(self) -> str:
        text = bytearray()
        async for chunk in self._content():
            text += chunk
            self._text_bytes_left -= len(chunk)
            if self._text_bytes_left < 0:
                raise InvalidPayload("The text fields of the form are larger than allowed")
        try:
            return text.decode()
        except UnicodeDecodeError:
            raise InvalidPayload("The text fields of the form have to be UTF-8") from None

    async def _next_event(self) -> Event:
        """Return the next event; PART_END also at the end of the form."""
        while not self._events.queue:
            chunk = await anext(self._chunks, None)
            if chunk is not None:
                self._events.feed(chunk)
            elif self._events.finished:
                return PART_END
            else:
                raise InvalidPayload(MALFORMED_MESSAGE)
        return self._events.queue.popleft()


def _extended_filename(header: bytes, filename: str | None) -> str | None:
    """Return the value of `filename*` in a Content-Disposition (RFC 5987), or `filename` if it lacks one.

    RFC 7578 forbids it in forms, but some clients send nothing else for a name outside ASCII.

    Raises:
        InvalidPayload: It is not encoded as RFC 5987 says, and there is no `filename` either.
    """
    message = Message()
    message["content-disposition"] = header.decode("latin-1")
    values = [value for name, value in message.get_params([], "content-disposition") if name.lower() == "filename"]
    extended = [value for value in values if isinstance(value, tuple)]
    for value in extended:
        if str(value[0]).lower() in EXTENDED_CHARSETS:
            return collapse_rfc2231_value(value) or filename or ""
    if extended and filename is None:
        raise InvalidPayload(EXTENDED_FILENAME_MESSAGE)
    return filename


@contextmanager
def _malformed_as_invalid_payload() -> Iterator[None]:
    try:
        yield
    except FormParserError:
        raise InvalidPayload(MALFORMED_MESSAGE) from None
