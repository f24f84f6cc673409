"""Applies a document in one transaction: compares, writes, and runs the tests before the commit."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.core.errors import OperatorError, RollcallError
from app.policy.expectations import PolicyTest, TestFailure
from app.policy_files.changes import RightsChange, changes_to
from app.policy_files.known_names import check_no_secrets, problems
from app.policy_files.policy_document import PolicyDocument
from app.policy_files.stored_rights import read_stored_rights
from app.repositories.commands.row_writes import RowWrite, WriteRows, write_row
from app.repositories.directory import Directory
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.engine.writing import DryRunRollback
from app.repositories.expectations.evaluation import PolicyTestRunner

UNKNOWN_HINT = "Add --allow-unknown if it belongs to a Directus on the same database."


class TestsFailed(OperatorError):
    """Tests fail with the changes of a document, so that nothing was changed."""

    __test__ = False

    def __init__(self, failures: Sequence[TestFailure]) -> None:
        self.failures = tuple(failures)
        super().__init__("\n".join(["the tests fail, so nothing was changed.", *map(str, failures)]))


@dataclass(frozen=True, slots=True)
class Options:
    """How a document is applied.

    With `prune`, roles and policies that it does not describe are deleted. With `allow_unknown`, permissions may name
    collections and fields that Rollcall does not serve. A `dry_run` changes nothing, and lists failing tests in its
    result instead of raising them.
    """

    prune: bool = False
    allow_unknown: bool = False
    dry_run: bool = False


@dataclass(slots=True)
class ApplyOutcome:
    """The changes of a document, the tests that fail with them, and what is probably a mistake."""

    changes: list[RightsChange] = field(default_factory=list)
    failures: list[TestFailure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


class DocumentWriter:
    """Makes the rights of a directory those of documents, through its repositories and with its caller's rights."""

    def __init__(self, directory: Directory, options: Options) -> None:
        self._directory, self._options = directory, options
        self._current: RightsChange | None = None
        """The change that is being written, which an error is about."""

    async def apply(self, document: PolicyDocument, tests: Sequence[PolicyTest] = ()) -> ApplyOutcome:
        """Write the changes of a document, unless the tests fail with them.

        Raises:
            DocumentError: The document refers to what does not exist, or holds a secret; nothing was changed.
            TestsFailed: A test fails; nothing was changed.
            OperatorError: A change is invalid or not allowed; nothing was changed.
        """
        outcome = ApplyOutcome()

        async def write(work: UnitOfWork) -> None:
            outcome.changes, outcome.warnings = await self._changes(document, work), list(document.warnings)
            self._check_names(outcome)
            for self._current in outcome.changes:
                change = self._current
                await write_row(work, RowWrite(change.kind, change.collection, change.key, change.values))
            self._current = None

        async def check(work: UnitOfWork, _: list[object]) -> None:
            outcome.failures = await PolicyTestRunner(work.writer, self._directory.services).failures(tests)
            if self._options.dry_run:
                raise DryRunRollback
            if outcome.failures:
                raise TestsFailed(outcome.failures)

        try:
            await self._directory["policies"].write(WriteRows(write), check)
        except DryRunRollback:
            pass
        except RollcallError as error:
            raise self._located(error) from None
        return outcome

    async def _changes(self, document: PolicyDocument, work: UnitOfWork) -> list[RightsChange]:
        stored = await read_stored_rights(work.writer)
        return changes_to(document, stored, self._directory.services.registry, prune=self._options.prune)

    def _check_names(self, outcome: ApplyOutcome) -> None:
        registry = self._directory.services.registry
        for change in outcome.changes:
            if change.entry is None:
                continue
            check_no_secrets(change.entry, registry)
            for problem in problems(change.entry, registry):
                if not self._options.allow_unknown:
                    raise OperatorError(f"{problem} {UNKNOWN_HINT}")
                outcome.warnings.append(str(problem))

    def _located(self, error: RollcallError) -> OperatorError:
        """Return an error of a write with the place of the document that it is about."""
        if self._current is None:
            return OperatorError(error.text)
        place = f"{self._current.at}: " if self._current.at else ""
        return OperatorError(f"{place}the {self._current.subject} cannot be written: {error.text}")
