"""What the changes of a document would do to everyone's access, by the simulation of changes of rights."""

from collections.abc import Iterable, Iterator, Sequence

from app.core.errors import RollcallError
from app.flows.access.simulated_changes import MAX_CHANGES, Change
from app.flows.access.simulation import AccessSimulation
from app.flows.access.simulation_text import report_lines
from app.policy_files.changes import RightsChange
from app.repositories.directory import Directory


async def effect_lines(changes: Sequence[RightsChange], directory: Directory) -> list[str]:
    """Return who would gain and lose what, or why this is unknown, as lines of text.

    A simulation checks each change by itself, so it may refuse a step although all changes together are allowed.
    """
    if len(changes) > MAX_CHANGES:
        return [f"The effects are not shown: these are more than {MAX_CHANGES} changes."]
    try:
        return list(report_lines(await AccessSimulation(directory).run(list(_simulated(changes)))))
    except RollcallError as error:
        return [f"The effects are not shown: {error.text}"]


def _simulated(changes: Iterable[RightsChange]) -> Iterator[Change]:
    for change in changes:
        keys = () if change.kind == "create" else (change.key,)
        yield Change(change.collection, change.kind, keys, None if change.kind == "delete" else change.values)
