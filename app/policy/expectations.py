"""Tests of policies as data: what a user, a role or the public may do, and which rows they see."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

SubjectKind = Literal["public", "role", "user"]


@dataclass(frozen=True, slots=True)
class TestSubject:
    """Whose access is tested: a user by email, a role by name or id, or the public, at an IP address if one matters.

    A role is tested as a user of it who is in no row: `$CURRENT_USER` matches nothing.
    """

    __test__ = False  # pytest collects classes whose names begin with "Test"

    kind: SubjectKind
    name: str = ""
    ip: str | None = None

    def __str__(self) -> str:
        """Return the subject as results name it."""
        text = {"public": "the public", "role": f'role "{self.name}"', "user": self.name}[self.kind]
        return f"{text} at {self.ip}" if self.ip else text


@dataclass(frozen=True, slots=True)
class ActionExpectation:
    """That an action on a collection, on one of its fields or on an item is allowed, or that it is not.

    `item` is a key or, of a user, an email. `payload` holds the values to write. `at` is where the test says so.
    """

    allowed: bool
    action: str
    collection: str
    at: str
    field: str | None = None
    item: str | int | None = None
    payload: Mapping[str, Any] | None = None

    def __str__(self) -> str:
        """Return what is expected to be allowed, or not."""
        target = f"{self.action} {self.collection}{f'.{self.field}' if self.field else ''}"
        item = "" if self.item is None else f" of {self.item}"
        return f"{target}{item}{'' if self.payload is None else ' with this payload'}"


@dataclass(frozen=True, slots=True)
class RowsExpectation:
    """Which rows of a collection that match a filter are seen: their number, or the values of a field of theirs."""

    collection: str
    at: str
    filter: Mapping[str, Any] = field(default_factory=dict)
    count: int | None = None
    field: str = "id"
    values: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class PolicyTest:
    """A test, optionally with a name: what its subject may do and may not do, and which rows it sees."""

    name: str | None
    subject: TestSubject
    at: str
    actions: tuple[ActionExpectation, ...] = ()
    rows: tuple[RowsExpectation, ...] = ()


@dataclass(frozen=True, slots=True)
class TestFailure:
    """An expectation that does not hold, and why; `at` is where the test states it."""

    __test__ = False

    test: PolicyTest
    at: str
    reason: str

    def __str__(self) -> str:
        """Return the failure in one line."""
        name = f'test "{self.test.name}": ' if self.test.name else ""
        return f"{self.at}: {name}{self.reason}"
