"""The root fields of extensions."""

from collections.abc import Iterable, Iterator
from typing import Any

import strawberry
from strawberry.extensions import FieldExtension
from strawberry.extensions.field_extension import AsyncExtensionResolver
from strawberry.types.field import StrawberryField

from app.graphql.fields.queries import GraphQLContext
from app.graphql.visibility.extension_visibility import ROOT_FIELD
from app.policy.root_fields import RootField, RootFieldKind

ResolverInfo = strawberry.Info[GraphQLContext, Any]
"""The `info` of a resolver; `info.context.directory` is the caller's directory."""


class CurrentAccess(FieldExtension):
    """Calls a resolver only if its caller still sees the field; a read that it makes checks the rest."""

    async def resolve_async(self, next_: AsyncExtensionResolver, source: Any, info: ResolverInfo, **kwargs: Any) -> Any:
        await info.context.fresh_access()
        return await next_(source, info, **kwargs)


def extension_root_fields(fields: Iterable[RootField], kind: RootFieldKind) -> Iterator[StrawberryField]:
    """Yield new fields of one root type."""
    for spec in fields:
        if spec.kind == kind:
            field: StrawberryField = strawberry.field(
                resolver=spec.function, name=spec.name, metadata={ROOT_FIELD: spec}, extensions=[CurrentAccess()]
            )
            field.python_name = spec.name
            yield field
