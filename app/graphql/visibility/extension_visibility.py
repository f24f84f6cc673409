"""The root fields of extensions in a schema."""

from graphql import GraphQLField

from app.policy.root_fields import RootField

ROOT_FIELD = "root_field"
"""The key of an extension's `RootField` in the metadata of a field."""


def root_field_of(field: GraphQLField) -> RootField | None:
    """Return the root field of an extension that a field of the schema is; None for any other field."""
    definition = field.extensions.get("strawberry-definition")
    spec: RootField | None = definition.metadata.get(ROOT_FIELD) if definition else None
    return spec
