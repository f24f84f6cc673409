"""Finds the stored role or policy of each entry and each reference of a document: by id, then by name."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import uuid4

from app.policy_files.policy_document import EntryReference, PolicyEntry, RoleEntry
from app.policy_files.stored_rights import StoredRow

T = TypeVar("T", RoleEntry, PolicyEntry)


@dataclass(frozen=True, slots=True)
class EntryMatch(Generic[T]):
    """An entry with the key of its row; `stored` is None if the row is going to be created."""

    entry: T
    key: str
    stored: StoredRow | None


class Matcher(Generic[T]):
    """Matches the entries of one kind with stored rows.

    An id that is stored decides. Otherwise a name does, if the document has it once: the stored row keeps its own id.
    """

    def __init__(self, kind: str, entries: Sequence[T], rows: Sequence[StoredRow]) -> None:
        self._kind = kind
        self._rows: Mapping[str, StoredRow] = {row["id"]: row for row in rows}
        self._by_name: dict[str, list[StoredRow]] = {}
        for row in rows:
            self._by_name.setdefault(row["name"], []).append(row)
        self._described = {entry.id for entry in entries if entry.id in self._rows}
        counts = Counter(entry.name for entry in entries)
        self.matches: tuple[EntryMatch[T], ...] = tuple(
            self._match(entry, is_unique=counts[entry.name] == 1) for entry in entries
        )
        self._check_distinct()

    @property
    def unmatched(self) -> list[StoredRow]:
        """The stored rows that the document does not describe."""
        matched = {match.key for match in self.matches}
        return [row for row in self._rows.values() if row["id"] not in matched]

    def resolve(self, reference: EntryReference) -> str:
        """Return the key that a reference means, of an entry of the document or of a stored row.

        Raises:
            DocumentError: There is none, or the name is that of several.
        """
        if reference.id is not None:
            if described := [match.key for match in self.matches if reference.id in (match.entry.id, match.key)]:
                return described[0]
            if reference.id in self._rows:
                return reference.id
        keys = {match.key for match in self.matches if match.entry.name == reference.name}
        keys = keys or {row["id"] for row in self._by_name.get(reference.name or "", ())}
        if not keys:
            raise reference.at.error(f"there is no {self._kind} {reference}.")
        if len(keys) > 1:
            raise reference.at.error(f"there are {len(keys)} {self._plural} {reference}. Refer to one by its id.")
        return keys.pop()

    @property
    def _plural(self) -> str:
        return "policies" if self._kind == "policy" else "roles"

    def _match(self, entry: T, *, is_unique: bool) -> EntryMatch[T]:
        if entry.id is not None and entry.id in self._rows:
            return EntryMatch(entry, entry.id, self._rows[entry.id])
        named = [row for row in self._by_name.get(entry.name, ()) if row["id"] not in self._described]
        if len(named) > 1 and is_unique:
            raise entry.at.error(
                f'there are {len(named)} {self._plural} with the name "{entry.name}", none of them with this id. '
                "Give the id of the one that is meant."
            )
        if named and is_unique:
            return EntryMatch(entry, named[0]["id"], named[0])
        return EntryMatch(entry, entry.id or str(uuid4()), None)

    def _check_distinct(self) -> None:
        matched: dict[str, EntryMatch[T]] = {}
        for match in self.matches:
            if (other := matched.setdefault(match.key, match)) is not match:
                raise match.entry.at.error(f"this {self._kind} is the same as that in {other.entry.at}.")
