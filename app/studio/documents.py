"""Executes GraphQL documents in-process: pages ask for what any client of the API could ask for."""

from dataclasses import dataclass, field
from typing import Any

from graphql import GraphQLError

from app.core.errors import GraphQLValidation, MultipleErrors, RollcallError
from app.graphql.schema import RollcallSchema
from app.repositories.directory import Directory


@dataclass(frozen=True, slots=True)
class Document:
    """A GraphQL document with its variables."""

    text: str
    variables: dict[str, Any] = field(default_factory=dict, repr=False)


async def execute(schema: RollcallSchema, directory: Directory, document: Document) -> dict[str, Any]:
    """Return the data of a document.

    Raises:
        RollcallError: The first error, or all of them as `MultipleErrors`.
    """
    result = await schema.execute(document.text, document.variables, directory)
    if not result.errors:
        return result.data or {}
    errors: list[RollcallError] = []
    for error in result.errors:
        original = error.original_error
        if isinstance(original, RollcallError):
            errors.append(original)
        elif original is not None and not isinstance(original, GraphQLError):  # that is one about a variable's value
            raise original
        else:
            errors.append(GraphQLValidation([{"message": error.message}]))
    raise errors[0] if len(errors) == 1 else MultipleErrors(errors)
