"""What an upgrade would do, as plain text that is readable in a hundred columns."""

from collections.abc import Iterable, Sequence
from io import StringIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from app.upgrade.form import FLAGS
from app.upgrade.kinds import GENERAL, Difference, Kind, Way
from app.upgrade.survey import Role, Survey

COLUMNS = 100
HEADINGS = {
    Way.WIDER: "Rights that get wider",
    Way.NARROWER: "Rights that get narrower",
    Way.OTHERWISE: "Told otherwise",
}
PUBLIC = "the public"


def report(found: Survey) -> str:
    """What an upgrade would change, role by role, and which rights would be wider or narrower, as lines of text."""
    # Names are somebody else's: they are neither markup nor emoji nor colours.
    to = Console(file=StringIO(), width=COLUMNS, color_system=None, markup=False, highlight=False, emoji=False)
    with to.capture() as capture:
        _head(found, to)
        _roles(found, to)
        for way in Way:
            _rights(found, way, to)
        to.print("This was only a look: nothing was changed.")
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _head(found: Survey, to: Console) -> None:
    to.print("This is a Directus 10 database. An upgrade would, in one transaction,\n")
    to.print(f"- make a policy of each of {_number(found.roles, 'role')}, of the same id and name, and the public one;")
    to.print(
        f"- give {_number(found.permissions, 'permission')} a policy in place of a role, and leave the rest of it;"
    )
    to.print(f"- take {', '.join(FLAGS[:-1])} and {FLAGS[-1]} from roles, and give them a parent.\n")


def _roles(found: Survey, to: Console) -> None:
    table = _table("Role", "Its policy", "Addresses")
    for heading in ("Permissions", "Users", "Wider", "Narrower"):
        table.add_column(heading, justify="right", no_wrap=True)
    for role in found.first:
        table.add_row(
            _shown(role.name),
            _flags(role),
            _shown(role.ip_access or "anywhere").replace(",", ", "),
            *map(_count, (role.permissions, role.users)),
            *_ways(found, role.id),
        )
    table.add_row(PUBLIC, "-", "anywhere", _count(found.public), "-", *_ways(found, None))
    to.print(table)
    _more(found.roles - len(found.first), "role", to)
    to.print()


def _ways(found: Survey, role: str | None) -> list[str]:
    return [_count(found.by_role[role, way]) for way in (Way.WIDER, Way.NARROWER)]


def _rights(found: Survey, way: Way, to: Console) -> None:
    to.print(HEADINGS[way])
    to.print()
    for general in GENERAL:
        if general.way is way:
            whose = "Every role with app access" if general.app_only else "Everybody"
            _told(f"{whose}, {general.action} {general.collection}", general.meaning, to)
            to.print()
    for kind in Kind:
        if kind.way is way and found.by_kind[kind]:
            _told(f"{kind.title}: {found.by_kind[kind]:,}", kind.meaning, to)
            to.print(_listed(found.kept[kind]))
            _more(found.by_kind[kind] - len(found.kept[kind]), "such", to)
            to.print()


def _told(title: str, meaning: str, to: Console) -> None:
    to.print(Padding(title, (0, 0, 0, 2)))
    to.print(Padding(meaning, (0, 0, 0, 4)))


def _listed(differences: Sequence[Difference]) -> Padding:
    """A table of differences of one kind, with the columns that this kind has."""
    shown: dict[str, list[str]] = {
        "Role": [_shown(one.name) if one.name is not None else PUBLIC for one in differences],
        "Collection": [_shown(one.collection or "") for one in differences],
        "Action": [_shown(one.action or "") for one in differences],
        "Permissions": [_ids(one) for one in differences],
        "What": [_shown(one.detail).replace(",", ", ").replace("  ", " ") for one in differences],
    }
    filled = {heading: cells for heading, cells in shown.items() if any(cells)}
    table = _table(*filled)
    for row in zip(*filled.values(), strict=True):
        table.add_row(*row)
    return Padding(table, (0, 0, 0, 4))


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="", show_edge=False)
    for heading in headings:
        table.add_column(heading, overflow="fold")
    return table


def _ids(one: Difference) -> str:
    rest = one.count - len(one.ids)
    return ", ".join(map(str, one.ids)) + (f" and {rest:,} more" if rest else "")


def _flags(role: Role) -> str:
    flags = {"admin": role.admin, "app": role.app, "second factor": role.enforce_tfa}
    return ", ".join(name for name, given in flags.items() if given) or "-"


def _count(number: int) -> str:
    return f"{number:,}" if number else "-"


def _number(count: int, of: str) -> str:
    return f"{count:,} {of}" + ("" if count == 1 else "s")


def _more(count: int, of: str, to: Console) -> None:
    if count > 0:
        to.print(f"    … and {count:,} more" if of == "such" else f"… and {_number(count, f'more {of}')}")


def _shown(text: str) -> str:
    """A name of somebody's as it may be printed: what would steer a terminal is a question mark."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def lines_lacking(names: Iterable[str]) -> str:
    """The columns that are missing, by table: `directus_users: a, b`."""
    tables: dict[str, list[str]] = {}
    for name in names:
        table, _, column = name.partition(".")
        tables.setdefault(table, []).append(column)
    return "\n".join(
        f"  {table}: {', '.join(filter(None, columns)) or 'all of it'}" for table, columns in tables.items()
    )
