"""Checks that the root fields of extensions fit into the GraphQL schema, when the server starts."""

from collections.abc import Sequence

from app.core.config import ConfigurationError
from app.graphql.schema import schema, schema_for
from app.graphql.visibility.coordinates import is_shared
from app.policy.root_fields import RootField
from app.query.collection import BUILT_IN


def check_root_fields(fields: Sequence[RootField]) -> None:
    """Check that no root field or type of an extension has a name of Rollcall's, and that the schema can be built.

    Raises:
        ConfigurationError: A name is in use, or Strawberry rejects a field; the message names the module.
    """
    own = {"Query": schema.graphql.query_type, "Mutation": schema.graphql.mutation_type}
    for field in fields:
        root = own[field.kind]
        if root is not None and field.name in root.fields:
            raise _error(field.module, f'Rollcall has a root field "{field.name}" itself')
    for module in dict.fromkeys(field.module for field in fields):
        _build(module, [field for field in fields if field.module == module])
    _build(" and ".join(dict.fromkeys(field.module for field in fields)), fields)


def _build(modules: str, fields: Sequence[RootField]) -> None:
    try:
        types = schema_for(BUILT_IN, tuple(fields)).graphql.type_map
    except Exception as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise _error(modules, f"its GraphQL fields are invalid: {reason or type(error).__name__}") from error
    for name in types.keys() - schema.graphql.type_map.keys():
        if not is_shared(types[name]):
            raise _error(modules, f'the type "{name}" must not begin like one of Rollcall\'s')


def _error(module: str, reason: str) -> ConfigurationError:
    return ConfigurationError(f'The extension "{module}" cannot be used: {reason}.')
