"""Exports: rows as a file, streamed in batches."""

from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime

from app.core.errors import InvalidQuery
from app.http.collection_request import CollectionRequest
from app.http.export_formats import (
    ColumnPath,
    ExportFormat,
    csv_format,
    flat_columns,
    json_format,
    xml_format,
    yaml_format,
)
from app.http.parsing import QueryParameters
from app.http.response import Header, Response
from app.policy.rules import Access
from app.query.parameters import is_grouped
from app.query.payload import parse_key
from app.query.read import Read, RelationSelection
from app.query.results import Row
from app.repositories.engine.batches import KeysetReader

RowBatches = AsyncGenerator[list[Row], None]
Chunks = AsyncGenerator[bytes, None]

BYTE_ORDER_MARK = "\ufeff"
FORMATS: Mapping[str, Callable[[Sequence[ColumnPath]], ExportFormat]] = {
    "csv": csv_format,
    "csv_utf8": lambda columns: csv_format(columns, BYTE_ORDER_MARK),
    "json": lambda _: json_format(),
    "xml": lambda _: xml_format(),
    "yaml": lambda _: yaml_format(),
}
"""The values of `export`: each creates a format from the columns of the file."""


async def export_response(
    request: CollectionRequest, query: QueryParameters, keys: Sequence[object] | None = None
) -> Response:
    """Return the rows that a query selects, or those of `keys`, as a file in the format of its `export`.

    The first batch is read before the response starts, so that an error is an ordinary error response. If a later batch
    fails, the stream raises, so that a part is never mistaken for the whole.

    Raises:
        InvalidQuery: There is no such format.
        RollcallError: What reading the rows raises.
    """
    name = query["export"]
    if not isinstance(name, str) or name not in FORMATS:
        raise InvalidQuery(f'"export" must be one of [{", ".join(FORMATS)}]')
    create_format = FORMATS[name]
    if is_grouped(query):
        rows = flatten_groups(await request.repository.read_by_query(query))
        format_ = create_format(list(flat_columns(rows[0])) if rows else [])
        chunks = _encode(format_, _single_batch(rows))
    else:
        reader = KeysetReader(request.repository, _read_factory(request, query, keys))
        read = await reader.begin()
        format_ = create_format(list(columns(read)))
        chunks = _encode(format_, reader.rows(read))
    stream = _prepend(await anext(chunks), chunks)
    media = f"{format_.media}; charset=utf-8".encode()
    now = request.directory.services.clock()
    disposition = _content_disposition(request.repository.collection.name, now, format_.extension)
    return Response(b"", media=media, headers=(disposition,), stream=stream)


def flatten_groups(rows: list[Row]) -> list[Row]:
    """Return groups in REST's form: the grouping fields beside the aggregates."""
    return [{**(row.pop("group", None) or {}), **row} for row in rows]


def columns(read: Read, parents: ColumnPath = ()) -> Iterator[ColumnPath]:
    """Yield the columns of a query's rows; a to-one relation is replaced by the columns of the related row."""
    for selection in read.select:
        path = (*parents, selection.key)
        if isinstance(selection, RelationSelection) and not selection.field.many:
            yield from columns(selection.read, path)
        else:
            yield path


def _read_factory(
    request: CollectionRequest, query: QueryParameters, keys: Sequence[object] | None
) -> Callable[[Access], Read]:
    repository = request.repository
    collection = repository.collection
    if keys is None:
        return lambda access: repository.query_parser(access).read(collection, query)
    parsed_keys = [parse_key(collection, key) for key in keys]
    unlimited = {"limit": -1, **query}
    return lambda access: repository.restricted_to(
        repository.query_parser(access).read(collection, unlimited), parsed_keys
    )


async def _single_batch(rows: list[Row]) -> RowBatches:
    yield rows


async def _encode(format_: ExportFormat, batches: RowBatches) -> Chunks:
    started = False
    async with aclosing(batches):
        async for rows in batches:
            if rows:
                yield format_.encode(rows, first=not started)
                started = True
    yield (format_.footer if started else format_.empty).encode()


async def _prepend(first: bytes, others: Chunks) -> Chunks:
    async with aclosing(others):
        yield first
        async for chunk in others:
            yield chunk


def _content_disposition(collection: str, now: datetime, extension: str) -> Header:
    filename = f"{collection} {now:%Y%m%d-%H%M%S}.{extension}"
    return b"content-disposition", f'attachment; filename="{filename}"'.encode()
