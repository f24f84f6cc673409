"""`rollcall indexes …`: suggests, builds and drops optional indexes for large directories."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, TypeVar, cast, get_args

import typer

from app.cli.confirmation import confirm
from app.cli.system_directory import run_with_directory
from app.core.errors import OperatorError
from app.db.base import POSTGRESQL
from app.db.database import Database
from app.db.optional_indexes import ExistingIndex
from app.flows import index_management as flow
from app.flows.index_management import IndexRequest, Suggestions
from app.query.collection import PREFIX
from app.query.sql_indexes import PURPOSES, TEXT_PURPOSES, Purpose
from app.repositories.directory import Directory

T = TypeVar("T")

commands = typer.Typer()

Collection = Annotated[str, typer.Argument(help="The collection, by default `users`")]
Kinds = Annotated[
    list[str] | None, typer.Option("--kind", help=f"Only this kind, one of {', '.join(PURPOSES)}; repeatable")
]
Sorts = Annotated[
    list[str] | None, typer.Option("--sort", help="A further field to sort by, `-` for descending; repeatable")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation")]
NO_TRIGRAMS = "SQLite has no index for `search` and the `contains` filters: they read every row."
BYTES_PER_MEBIBYTE = 1 << 20


@commands.command()
def suggest(collection: Collection = "users", kind: Kinds = None, sort: Sorts = None) -> None:
    """Print the indexes that make a large collection faster, and which of them exist."""

    async def find(database: Database, request: IndexRequest) -> tuple[str, Suggestions]:
        return database.dialect, await flow.suggest_indexes(database, request)

    dialect, found = _run(collection, kind, sort, find)
    for index in found.indexes:
        state = _state(found.existing.get(index.name))
        typer.echo(f"{index.name}\t{index.purpose}\t{index.fields}\t{state}")
    for purpose in dict.fromkeys(index.purpose for index in found.indexes):
        typer.echo(f"{purpose}: for {PURPOSES[purpose]}", err=True)
    if dialect != POSTGRESQL:
        typer.echo(NO_TRIGRAMS, err=True)
    elif flow.needs_trigrams(found.missing) and not found.has_trigrams:
        typer.echo("`create` also creates the extension pg_trgm.", err=True)


@commands.command()
def create(collection: Collection = "users", kind: Kinds = None, sort: Sorts = None, yes: Yes = False) -> None:
    """Build the suggested indexes that are missing. On PostgreSQL the server can keep writing meanwhile."""
    missing = _run(collection, kind, sort, flow.suggest_indexes).missing
    if not missing:
        typer.echo("No suggested index is missing.")
        return
    if not yes:
        typer.echo("\n".join(f"{index.name}\t{index.purpose}\t{index.fields}" for index in missing))
        typer.echo("Each takes space, and makes writes slower.")
        confirm("Add --yes to build them.")
    _run(collection, kind, sort, _create_missing)


@commands.command()
def drop(
    names: Annotated[list[str] | None, typer.Argument(help="Names of indexes; by default all that exist")] = None,
    yes: Yes = False,
) -> None:
    """Drop optional indexes. No response changes; some become slower."""
    existing = run_with_directory(lambda directory: flow.list_indexes(directory.services.database))
    chosen = _chosen(existing, names)
    if not chosen:
        typer.echo("There are no optional indexes.")
        return
    if not yes:
        typer.echo("\n".join(chosen))
        confirm("Add --yes to drop them.")

    async def drop_each(directory: Directory) -> None:
        for name in chosen:
            await flow.drop_index(directory.services.database, name)
            typer.echo(f"Dropped {name}.")

    run_with_directory(drop_each)


async def _create_missing(database: Database, request: IndexRequest) -> None:
    found = await flow.suggest_indexes(database, request)
    if flow.needs_trigrams(found.missing) and not found.has_trigrams:
        await flow.create_trigram_extension(database)
        found = await flow.suggest_indexes(database, request)
    for index in found.missing:
        await flow.create_index(database, index)
        typer.echo(f"Built {index.name}.")
    await flow.update_statistics(database, request.collection.name)


def _run(
    collection: str,
    kinds: Sequence[str] | None,
    sorts: Sequence[str] | None,
    work: Callable[[Database, IndexRequest], Awaitable[T]],
) -> T:
    purposes = [_purpose(kind) for kind in kinds or ()]

    async def with_request(directory: Directory) -> T:
        registry, name = directory.services.registry, f"{PREFIX}{collection.removeprefix(PREFIX)}"
        if name not in registry:
            raise OperatorError(f"There is no collection {collection}.")
        database = directory.services.database
        if database.dialect != POSTGRESQL and purposes and set(purposes) <= set(TEXT_PURPOSES):
            raise OperatorError(f"{NO_TRIGRAMS} Use PostgreSQL for a large directory.")
        return await work(database, IndexRequest(registry[name], purposes, tuple(sorts or ())))

    return run_with_directory(with_request)


def _purpose(kind: str) -> Purpose:
    for purpose in get_args(Purpose):
        if purpose == kind:
            return cast(Purpose, purpose)
    raise OperatorError(f"There is no kind {kind}. Use one of {', '.join(PURPOSES)}.")


def _chosen(existing: Sequence[ExistingIndex], names: Sequence[str] | None) -> list[str]:
    known = [index.name for index in existing]
    for name in names or ():
        if name not in known:
            raise OperatorError(f"There is no optional index {name}.")
    return list(names or known)


def _state(index: ExistingIndex | None) -> str:
    if index is None:
        return "missing"
    if not index.is_valid:
        return "incomplete: build it again"
    return "exists" if index.size is None else f"exists ({index.size / BYTES_PER_MEBIBYTE:.1f} MiB)"
