"""Plain text in a hundred columns: tables, numbers, and other people's names as they may be shown."""

from collections.abc import Callable
from io import StringIO

from rich.console import Console
from rich.table import Table

COLUMNS = 100


def page(write: Callable[[Console], None]) -> str:
    """What `write` prints, as lines of text."""
    # Names are somebody else's: they are neither markup nor emoji nor colours.
    to = Console(file=StringIO(), width=COLUMNS, color_system=None, markup=False, highlight=False, emoji=False)
    with to.capture() as capture:
        write(to)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def table(*headings: str, counts: tuple[str, ...] = ()) -> Table:
    """A table without lines; `counts` are headings after the others, of columns that hold numbers."""
    made = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="", show_edge=False)
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for heading in counts:
        made.add_column(heading, justify="right", no_wrap=True)
    return made


def shown(name: str) -> str:
    """A name of somebody's as it may be printed: what would steer a terminal is a question mark."""
    return "".join(letter if letter.isprintable() else "?" for letter in name)


def addresses(listed: str | None) -> str:
    """Addresses as a role has them, with commas between, as they may be printed."""
    return shown(listed or "anywhere").replace(",", ", ")


def access(*, admin: bool, app: bool, enforce_tfa: bool) -> str:
    """The flags of a role or a policy, in words."""
    flags = {"admin": admin, "app": app, "second factor": enforce_tfa}
    return ", ".join(name for name, given in flags.items() if given) or "-"


def count(number: int) -> str:
    """A number for a table."""
    return f"{number:,}" if number else "-"


def number(many: int, of: str) -> str:
    """A number with what it counts: `1 role`, `1,000 roles`."""
    return f"{many:,} {of}" + ("" if many == 1 else "s")


def more(many: int, of: str = "") -> str:
    """How many are left out at the end of a list."""
    return f"… and {number(many, f'more {of}')}" if of else f"… and {many:,} more"
