"""Field trees: the `fields` parameter, and what each level of it selects for one caller."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from app.query.collection import Collection, Field
from app.query.filter import UnknownField, split_function

ReadableFields = Callable[[Collection], frozenset[Field]]
"""Returns the fields of a collection that the caller may read, which `*` expands to."""
WILDCARD = "*"


@dataclass(slots=True)
class FieldTree:
    """The selected fields of a row by their response keys, in the requested order."""

    nodes: dict[str, "FieldTree | None"] = field(default_factory=dict)
    """The nested tree of each key; None if the key is only named by itself."""
    leaves: set[str] = field(default_factory=set)
    """The keys that are named by themselves, as `role` is in `role,role.name`."""

    def add(self, path: list[str]) -> None:
        """Add a path such as `["role", "name"]`."""
        key, rest = path[0], path[1:]
        nested = self.nodes.setdefault(key, None)
        if not rest:
            self.leaves.add(key)
            return
        if nested is None:
            nested = self.nodes[key] = FieldTree()
        nested.add(rest)


@dataclass(frozen=True, slots=True)
class FieldExpansion:
    """Expands one level of a field tree for a caller. A key is a field's name, unless `aliases` says otherwise."""

    collection: Collection
    aliases: Mapping[str, str]
    readable_fields: ReadableFields

    def expand(self, tree: FieldTree) -> dict[str, FieldTree | None]:
        """Return the nested tree of each key, in the requested order; None for a value or the key of a related row.

        As in Directus, `*` includes aliases, and related rows are omitted if the caller may not read their collection.

        Raises:
            UnknownField: Only such related rows are selected.
        """
        expanded: dict[str, FieldTree | None] = {}
        for name in tree.nodes:
            for key, nested in self._wildcard(tree) if name == WILDCARD else self._named(tree, name):
                expanded[key] = _merge_trees(expanded.get(key), nested)
        if not expanded and WILDCARD not in tree.nodes:
            raise UnknownField(self.collection, next(iter(tree.nodes)))
        return expanded

    def _wildcard(self, tree: FieldTree) -> Iterator[tuple[str, FieldTree | None]]:
        readable, nested = self.readable_fields(self.collection), tree.nodes[WILDCARD]
        for key in {**self.collection.fields, **self.aliases}:
            member, relation = self._member(key)
            if member not in readable or key in self.collection.wildcard_excluded:
                continue
            if relation is None:
                yield key, None
            elif self._is_traversable(relation):
                yield key, nested
            elif not relation.many:
                yield key, None

    def _named(self, tree: FieldTree, key: str) -> Iterator[tuple[str, FieldTree | None]]:
        _, relation = self._member(key)
        if (
            relation is None
            or self._is_traversable(relation)
            or relation not in self.readable_fields(self.collection)  # an error, like that of an unknown field
        ):
            yield key, tree.nodes[key]
        elif key in tree.leaves and not relation.many:
            yield key, None  # the row's own foreign key

    def _member(self, key: str) -> tuple[Field | None, Field | None]:
        """Return the field that a key stands for, or that it applies a function to, and the relation it follows."""
        name = self.aliases.get(key, key)
        member = self.collection.fields.get(name)
        if member is not None:
            return member, member if member.relation else None
        try:
            return split_function(self.collection, name)[0], None
        except UnknownField:
            return None, None

    def _is_traversable(self, relation: Field) -> bool:
        return bool(self.readable_fields(self.collection.target_of(relation)))


def parse_field_tree(names: Iterable[str]) -> FieldTree:
    """Return the tree of names such as `role.name`."""
    tree = FieldTree()
    for name in names:
        tree.add(name.split("."))
    return tree


def _merge_trees(first: FieldTree | None, second: FieldTree | None) -> FieldTree | None:
    if first is None or second is None:
        return first or second
    nodes = {**first.nodes, **{key: _merge_trees(first.nodes.get(key), tree) for key, tree in second.nodes.items()}}
    return FieldTree(nodes, first.leaves | second.leaves)
