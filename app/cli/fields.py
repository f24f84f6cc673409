"""`rollcall fields …`: lists, adds and drops custom fields."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import typer

from app.cli.confirmation import confirm
from app.cli.runner import run
from app.core.caller import SYSTEM
from app.core.config import Settings
from app.db.database import Database
from app.query.collection import PREFIX
from app.repositories.directory import Directory
from app.repositories.services import Services
from app.repositories.system.field_types import ALIAS, TYPES

T = TypeVar("T")

commands = typer.Typer()

Collection = Annotated[str, typer.Argument(help="The collection, for example `users`")]
Name = Annotated[str, typer.Argument(help="The name of the field")]


@commands.command("list")
def list_(collection: Annotated[str | None, typer.Argument(help="Only this collection")] = None) -> None:
    """Print every custom field with its type."""
    fields = _run(lambda directory: directory.catalog.custom_fields())
    shown = [field for field in fields if collection is None or field["collection"] == _full_name(collection)]
    for field in shown:
        typer.echo(f"{field['collection'].removeprefix(PREFIX)}\t{field['field']}\t{field['type']}")
    if not shown:
        typer.echo("There are no custom fields.", err=True)


@commands.command()
def add(
    collection: Collection,
    name: Name,
    kind: Annotated[str, typer.Option("--type", help=f"One of {', '.join(TYPES)}")],
    length: Annotated[int | None, typer.Option(help="The most characters of a string")] = None,
    default: Annotated[str | None, typer.Option(help="The value of existing rows, and of new ones without one")] = None,
    note: Annotated[str | None, typer.Option(help="What the field is for")] = None,
    special: Annotated[str | None, typer.Option(help="Specials, separated by commas, for example `conceal`")] = None,
    unique: Annotated[bool, typer.Option("--unique", help="No two rows may have the same value")] = False,
    indexed: Annotated[bool, typer.Option("--indexed", help="Add an index, so that filters are fast")] = False,
) -> None:
    """Add a field to a collection. Running servers serve it with their next request."""
    payload: dict[str, Any] = {"field": name, "type": kind, "meta": {"note": note, "special": special}}
    if kind != ALIAS:
        options = {"max_length": length, "default_value": default}
        flags = {"is_unique": unique, "is_indexed": indexed}
        payload["schema"] = {key: value for key, value in options.items() if value is not None} | flags
    field = _run(lambda directory: directory.field_writer.create(_full_name(collection), payload))
    typer.echo(f"Added {collection}.{field['field']} ({field['type']}).")


@commands.command()
def drop(
    collection: Collection,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation")] = False,
) -> None:
    """Drop a field with its values, after saying how many there are."""
    if not yes:
        values = _run(lambda directory: directory.field_writer.count_values(_full_name(collection), name))
        typer.echo(f"This loses {_counted(values)} of {collection}.{name} for good.")
        confirm("Add --yes to drop it.")
    lost = _run(lambda directory: directory.field_writer.drop(_full_name(collection), name))
    typer.echo(f"Dropped {collection}.{name}; {_counted(lost)} lost.")


def _run(work: Callable[[Directory], Awaitable[T]]) -> T:
    async def with_directory(database: Database, settings: Settings) -> T:
        return await work(Directory(SYSTEM, Services.from_settings(database, settings)))

    return run(with_directory)


def _full_name(collection: str) -> str:
    return collection if collection.startswith(PREFIX) else f"{PREFIX}{collection}"


def _counted(values: int) -> str:
    return "1 value" if values == 1 else f"{values} values"
