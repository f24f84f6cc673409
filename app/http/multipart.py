"""A form with files in it, `multipart/form-data`, read while it comes in."""

from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.core.errors import InvalidPayload
from app.flows.uploads import IncomingFile

MOST_PARTS = 1000
BROKEN = "The form can't be read: it has to be multipart/form-data, with a boundary, up to its end"


@dataclass(slots=True)
class Part:
    """One part of a form: what its headers say of it. `filename` is None where it is no file."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    name: str = ""
    filename: str | None = None
    type: str = ""
    charset: str | None = None

    def parse_headers(self) -> None:
        """Reads the headers."""
        _, about = parse_options_header(self.headers.get(b"content-disposition"))
        self.name = about.get(b"name", b"").decode(errors="replace")
        if (filename := about.get(b"filename")) is not None:
            self.filename = filename.decode(errors="replace")
        type_, parameters = parse_options_header(self.headers.get(b"content-type"))
        self.type, charset = type_.decode("latin-1"), parameters.get(b"charset", b"").decode("latin-1").lower()
        self.charset = charset if charset.replace("-", "").isalnum() and len(charset) <= 50 else None


END = None
Event = Part | bytes | None
"""A part begins, goes on, or ends."""


class MultipartEvents:
    """What the parser says, in its order."""

    def __init__(self, boundary: bytes) -> None:
        self.waiting: deque[Event] = deque()
        self.over, self._parts = False, 0
        self._header = b"", b""
        self._part = Part()
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begins,
                "on_header_field": self._header_named,
                "on_header_value": self._header_valued,
                "on_header_end": self._header_ends,
                "on_headers_finished": self._headers_end,
                "on_part_data": lambda data, start, end: self.waiting.append(bytes(data[start:end])),
                "on_part_end": lambda: self.waiting.append(END),
                "on_end": self._ends,
            },
        )

    def read(self, piece: bytes) -> None:
        """Reads on; raises InvalidPayload for what is no such form."""
        with _understood():
            self._parser.write(piece)

    def _begins(self) -> None:
        self._part, self._parts = Part(), self._parts + 1
        if self._parts > MOST_PARTS:
            raise InvalidPayload(f"A form may have {MOST_PARTS} parts")

    def _header_named(self, data: bytes, start: int, end: int) -> None:
        self._header = self._header[0] + data[start:end], b""

    def _header_valued(self, data: bytes, start: int, end: int) -> None:
        self._header = self._header[0], self._header[1] + data[start:end]

    def _header_ends(self) -> None:
        name, value = self._header
        self._part.headers[name.lower()] = value
        self._header = b"", b""

    def _headers_end(self) -> None:
        self._part.parse_headers()
        self.waiting.append(self._part)

    def _ends(self) -> None:
        self.over = True


class UploadForm:
    """A form of files and of what is said of them; of texts it takes `most` bytes.

    Raises InvalidPayload for what is no such form.
    """

    def __init__(self, content_type: bytes, pieces: AsyncIterator[bytes], most: int) -> None:
        self.values: dict[str, str] = {}
        self._pieces, self._left = pieces, most
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise InvalidPayload(BROKEN)
        with _understood():
            self._events = MultipartEvents(boundary)

    async def files(self) -> AsyncIterator[IncomingFile]:
        """The files, each with what was said since the one before; a field of a page that is left empty is none."""
        while isinstance(part := await self._next(), Part):
            if part.filename is None:
                self.values[part.name] = await self._text()
                continue
            content = self._content()
            if part.filename:
                said, self.values = self.values, {}
                yield IncomingFile(part.filename, part.type, part.charset, said, content)
            async for _ in content:
                pass

    async def _content(self) -> AsyncIterator[bytes]:
        while isinstance(piece := await self._next(), bytes):
            yield piece

    async def _text(self) -> str:
        text = bytearray()
        async for piece in self._content():
            text += piece
            self._left -= len(piece)
            if self._left < 0:
                raise InvalidPayload("What is said beside the files of a form is larger than allowed")
        try:
            return text.decode()
        except UnicodeDecodeError:
            raise InvalidPayload("What is said beside the files of a form has to be UTF-8") from None

    async def _next(self) -> Event:
        """The next event; END at the end of the form too."""
        while not self._events.waiting:
            piece = await anext(self._pieces, None)
            if piece is not None:
                self._events.read(piece)
            elif self._events.over:
                return END
            else:
                raise InvalidPayload(BROKEN)
        return self._events.waiting.popleft()


@contextmanager
def _understood() -> Iterator[None]:
    try:
        yield
    except FormParserError:
        raise InvalidPayload(BROKEN) from None
