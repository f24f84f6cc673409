"""A write transaction whose statements are spans of a trace."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from app.core.bindings import Bindings
from app.db.connection import Row
from app.db.statement import CompiledStatement
from app.db.transaction import BoundStatement, WriteTransaction
from app.tracing.tracer import Tracer

T = TypeVar("T")


class TracedWriteTransaction(WriteTransaction):
    """A write transaction with a tracer."""

    def __init__(self, *arguments: Any, tracer: Tracer) -> None:
        super().__init__(*arguments)
        self._tracer = tracer

    async def fetch_and_commit(self, statement: CompiledStatement, bindings: Bindings, decode: Callable[[Row], T]) -> T:
        if self.postgresql:
            return await super().fetch_and_commit(statement, bindings, decode)
        with self._tracer.statement(self.dialect.name, statement.text):
            return await super().fetch_and_commit(statement, bindings, decode)

    async def _run(self, *statements: BoundStatement) -> Sequence[Row]:
        with self._tracer.statement(self.dialect.name, *(text for text, _ in statements)):
            return await super()._run(*statements)
