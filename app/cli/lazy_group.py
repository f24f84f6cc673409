"""Groups of commands whose module is imported when one of them is run or listed, so that other commands start fast."""

from importlib import import_module
from typing import Any, ClassVar

import typer
from typer.core import TyperGroup
from typer.main import get_group


class LazyGroup(TyperGroup):
    """A group with the commands of the Typer instance `commands` in `module`."""

    module: ClassVar[str]

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands."""
        self._load()
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a name; None if there is none."""
        self._load()
        return super().get_command(ctx, cmd_name)

    def _load(self) -> None:
        if not self.commands:
            self.commands.update(get_group(import_module(self.module).commands).commands)


def lazy_group(module: str, summary: str) -> typer.Typer:
    """Return a group with the commands of a module, described by `summary`."""
    return typer.Typer(cls=type("ModuleGroup", (LazyGroup,), {"module": module}), no_args_is_help=True, help=summary)
