"""Rows as a file to be kept: streamed, however many they are."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime

from app.core.errors import InvalidQuery
from app.http.collection_request import CollectionRequest
from app.http.export_formats import ExportFormat, Path, csv_format, flat_names, json_format, xml_format, yaml_format
from app.http.parsing import QueryParameters
from app.http.response import Header, Response
from app.policy.rules import Access
from app.query.payload import parse_key
from app.query.read import Read, RelationSelection
from app.query.results import Row
from app.repositories.engine.batches import KeysetReader

Rows = AsyncGenerator[list[Row], None]
Pieces = AsyncGenerator[bytes, None]

BOM = "\ufeff"
FORMATS: Mapping[str, Callable[[Sequence[Path]], ExportFormat]] = {
    "csv": csv_format,
    "csv_utf8": lambda columns: csv_format(columns, BOM),
    "json": lambda _: json_format(),
    "xml": lambda _: xml_format(),
    "yaml": lambda _: yaml_format(),
}
"""What `export` may ask for, by the columns that a file has."""


async def export_response(
    call: CollectionRequest, query: QueryParameters, keys: Sequence[object] | None = None
) -> Response:
    """The rows that a query finds, or those with such keys, as the file that its `export` asks for.

    The first of them are read before anything is answered: what is refused is an error like any other. Where it is
    refused later, the stream raises, so that a part never looks like the whole.
    """
    wanted = query["export"]
    if not isinstance(wanted, str) or wanted not in FORMATS:
        raise InvalidQuery(f'"export" must be one of [{", ".join(FORMATS)}]')
    kind = FORMATS[wanted]
    if query.get("aggregate"):
        rows = flatten_groups(await call.repository.read_by_query(query))
        told = kind(list(flat_names(rows[0])) if rows else [])
        pieces = _pieces(told, _all_at_once(rows))
    else:
        batches = KeysetReader(call.repository, _question(call, query, keys))
        asked = await batches.begin()
        told = kind(list(columns(asked)))
        pieces = _pieces(told, batches.rows(asked))
    stream = _begun(await anext(pieces), pieces)
    media = f"{told.media}; charset=utf-8".encode()
    named = _named(call.repository.collection.name, call.directory.services.clock(), told.ending)
    return Response(b"", media=media, headers=(named,), stream=stream)


def flatten_groups(rows: list[Row]) -> list[Row]:
    """Groups as REST tells them: what they have in common stands beside what was counted."""
    return [{**(row.pop("group", None) or {}), **row} for row in rows]


def columns(asked: Read, before: Path = ()) -> Iterator[Path]:
    """The columns of a question's rows, with those of the row that a relation leads to in its stead."""
    for item in asked.select:
        here = (*before, item.key)
        if isinstance(item, RelationSelection) and not item.field.many:
            yield from columns(item.read, here)
        else:
            yield here


def _question(
    call: CollectionRequest, query: QueryParameters, keys: Sequence[object] | None
) -> Callable[[Access], Read]:
    repository = call.repository
    collection = repository.collection
    if keys is None:
        return lambda access: repository.parameters(access).read(collection, query)
    wanted = [parse_key(collection, key) for key in keys]
    given = {"limit": -1, **query}
    return lambda access: repository.restricted_to(repository.parameters(access).read(collection, given), wanted)


async def _all_at_once(rows: list[Row]) -> Rows:
    yield rows


async def _pieces(told: ExportFormat, batches: Rows) -> Pieces:
    begun = False
    async with aclosing(batches):
        async for rows in batches:
            if rows:
                yield told.told(rows, first=not begun)
                begun = True
    yield (told.tail if begun else told.nothing).encode()


async def _begun(first: bytes, others: Pieces) -> Pieces:
    async with aclosing(others):
        yield first
        async for piece in others:
            yield piece


def _named(collection: str, now: datetime, ending: str) -> Header:
    name = f"{collection} {now:%Y%m%d-%H%M%S}.{ending}"
    return b"content-disposition", f'attachment; filename="{name}"'.encode()
