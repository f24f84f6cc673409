"""Formats plain text of 100 columns: tables and numbers, safe to print."""

from collections.abc import Callable
from io import StringIO

from rich.console import Console
from rich.table import Table

from app.core.terminal import printable

WIDTH = 100


def render(write: Callable[[Console], None]) -> str:
    """Return what `write` prints to a console, as text without trailing spaces."""
    # Names from the database must not be read as markup or emoji.
    console = Console(file=StringIO(), width=WIDTH, color_system=None, markup=False, highlight=False, emoji=False)
    with console.capture() as capture:
        write(console)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def create_table(*headings: str, number_headings: tuple[str, ...] = ()) -> Table:
    """Return a table without borders; columns of numbers come last and are right-aligned."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="", show_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for heading in number_headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def format_ip_access(ip_access: str | None) -> str:
    """Format the IP addresses of a role, which are separated by commas."""
    return printable(ip_access or "anywhere").replace(",", ", ")


def format_flags(*, admin: bool, app: bool, enforce_tfa: bool) -> str:
    """Format the access flags of a role or a policy."""
    flags = {"admin": admin, "app": app, "TFA required": enforce_tfa}
    return ", ".join(name for name, is_set in flags.items() if is_set) or "-"


def format_count(number: int) -> str:
    """Format a number for a table."""
    return f"{number:,}" if number else "-"


def pluralize(count: int, noun: str) -> str:
    """Format a number with its noun, as `1 role` or `1,000 roles`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def format_omitted(count: int, noun: str = "") -> str:
    """Format the number of entries omitted at the end of a list."""
    return f"… and {pluralize(count, f'more {noun}')}" if noun else f"… and {count:,} more"
