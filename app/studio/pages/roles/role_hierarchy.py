"""The roles that a caller can see, as a tree."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.core.errors import Forbidden
from app.studio.page_request import PageRequest

LISTED_FIELDS = ("name", "description")
NO_ROLE = ""
"""The key of users without a role among the counts."""
DIRECTUS_TEXT_KEY = "$t:"
INDENTATION = "\N{EM SPACE}"


@dataclass(slots=True, eq=False)
class RoleNode:
    """A role in the tree; `users` is the number of its users, None if the caller cannot see it."""

    id: str
    name: str
    description: str
    parent: str | None
    users: int | None
    children: list["RoleNode"] = field(default_factory=list)


class RoleHierarchy:
    """Roles and their parents. A role whose parent the caller cannot see is at the top."""

    def __init__(self, rows: Iterable[Mapping[str, Any]], counts: Mapping[str, int] | None = None) -> None:
        self.counts = counts
        self._nodes = {row["id"]: self._node(row) for row in rows}
        for node in self._nodes.values():
            if node.parent in self._nodes:
                self._nodes[node.parent].children.append(node)
        self.roots = self._cut_cycles()
        """The roles at the top, and one role of each stored cycle, so that none is missing."""

    def __len__(self) -> int:
        return len(self._nodes)

    @property
    def users_without_role(self) -> int | None:
        """The number of users without a role, None if the caller cannot see it."""
        return None if self.counts is None else self.counts.get(NO_ROLE, 0)

    def levels(self) -> Iterator[tuple[int, RoleNode]]:
        """Yield all roles from the top, each with its depth and after its parent."""
        for root in self.roots:
            yield from self._below(root)

    def get(self, role: str | None) -> RoleNode | None:
        """Return a role, None if the caller cannot see it."""
        return self._nodes.get(role or "")

    def ancestors(self, role: str) -> list[RoleNode]:
        """Return the roles from which a role inherits, the nearest first."""
        found: dict[str, RoleNode] = {}
        node = self.get(role)
        while node is not None and (node := self.get(node.parent)) and node.id not in found and node.id != role:
            found[node.id] = node
        return list(found.values())

    def parent_options(self, role: str | None, none: str) -> list[tuple[str, str]]:
        """Return the options of a select for the parent: all but the role itself and its descendants."""
        node = self.get(role)
        excluded = {below.id for _, below in self._below(node)} if node else set()
        options = [(each.id, INDENTATION * level + each.name) for level, each in self.levels()]
        return [("", none), *(option for option in options if option[0] not in excluded)]

    def _cut_cycles(self) -> list[RoleNode]:
        """Return the roots, and make each stored cycle a tree below one of its roles."""
        roots = [node for node in self._nodes.values() if node.parent not in self._nodes]
        reached = {node.id for root in roots for _, node in self._below(root)}
        for node in self._nodes.values():
            if node.id not in reached:
                self._nodes[node.parent or ""].children.remove(node)
                roots.append(node)
                reached |= {below.id for _, below in self._below(node)}
        return roots

    def _node(self, row: Mapping[str, Any]) -> RoleNode:
        users = None if self.counts is None else self.counts.get(row["id"], 0)
        parent = (row.get("parent") or {}).get("id")
        return RoleNode(row["id"], role_name(row), description_text(row), parent, users)

    def _below(self, root: RoleNode) -> Iterator[tuple[int, RoleNode]]:
        """Yield a role and its descendants with their depths, each once, even in a stored cycle."""
        pending, seen = [(0, root)], set()
        while pending:
            level, node = pending.pop()
            if node.id not in seen:
                seen.add(node.id)
                yield level, node
                pending += [(level + 1, child) for child in reversed(node.children)]


def role_name(row: Mapping[str, Any] | None) -> str:
    """Return what a page calls a role: its name, or its id if the caller cannot see the name; empty without a role."""
    return "" if row is None else str(row.get("name") or row["id"])


def description_text(row: Mapping[str, Any]) -> str:
    """Return a description; empty for the keys that Directus stores instead of the texts of its first rows."""
    text = row.get("description") or ""
    return "" if text.startswith(DIRECTUS_TEXT_KEY) else text


async def read_hierarchy(request: PageRequest, *, with_counts: bool = False) -> RoleHierarchy:
    """Return the roles that the caller can see, with the numbers of their users if the caller can see all of them.

    Raises:
        Forbidden: The caller cannot see roles.
    """
    rights = await request.rights()
    if not rights.may_field("read", "roles", "id"):
        raise Forbidden
    fields = ["id", *rights.fields("read", "roles", LISTED_FIELDS)]
    if rights.may_field("read", "roles", "parent"):
        fields.append("parent { id }")
    sort = "name" if "name" in fields else "id"
    counts = ""
    if with_counts and rights.shows_all_rows("users", ["id", "role"]):
        counts = 'users_aggregated(groupBy: ["role"], limit: -1) { group count { id } }'
    data = await request.execute(
        f'query Roles {{\n  roles(sort: ["{sort}"], limit: -1) {{ {" ".join(fields)} }}\n  {counts}\n}}'
    )
    groups = data.get("users_aggregated")
    return RoleHierarchy(data["roles"], None if groups is None else _counts(groups))


def _counts(groups: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    return {each["group"].get("role") or NO_ROLE: int(each["count"]["id"]) for each in groups}
