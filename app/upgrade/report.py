"""What an upgrade would do, or going back, as plain text."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.padding import Padding

from app.upgrade.difference_kinds import GENERAL, Difference, DifferenceKind, Direction
from app.upgrade.inspection import FLAGS
from app.upgrade.revert_preview import RevertPreview
from app.upgrade.text_tables import access, addresses, count, more, number, page, shown, table
from app.upgrade.upgrade_preview import UpgradePreview

HEADINGS = {
    Direction.WIDER: "Rights that get wider",
    Direction.NARROWER: "Rights that get narrower",
    Direction.OTHERWISE: "Told otherwise",
}
PUBLIC = "the public"
ONLY_A_LOOK = "This was only a look: nothing was changed."


def report(found: UpgradePreview) -> str:
    """What an upgrade would change, role by role, and which rights would be wider or narrower, as lines of text."""

    def write(to: Console) -> None:
        _head(found, to)
        _roles(found, to)
        for way in Direction:
            _rights(found, way, to)
        to.print(ONLY_A_LOOK)

    return page(write)


def report_back(found: RevertPreview) -> str:
    """What going back would make of each role, and all that it would lose, as lines of text."""

    def write(to: Console) -> None:
        done = found.outcome
        to.print("This is a Directus 11 database. Going back to 10 would, in one transaction,\n")
        to.print(f"- give {number(done.roles, 'role')} the rights of all their policies and their ancestors';")
        to.print(
            f"- keep {number(done.kept, 'permission')} as they are, copy {done.copied:,} for roles that share them, "
            f"and make {done.merged:,} of several each;"
        )
        to.print("- take policies away, and what Rollcall added.\n")
        roles = table("Role", "Its access", "Addresses", counts=("Policies", "Permissions", "Of several"))
        for role in (*found.first, found.public):
            flags = access(admin=role.admin, app=role.app, enforce_tfa=role.enforce_tfa)
            numbers = map(count, (role.policies, role.permissions, role.merged))
            roles.add_row(_name(role.name), flags, addresses(role.ip_access), *numbers)
        to.print(roles)
        _more(done.roles - len(found.first), to, "role")
        to.print()
        to.print("What would be lost\n" if done.losses else "Nothing would be lost.\n")
        for loss in done.losses:
            to.print(Padding(str(loss), (0, 0, 1, 2)))
        to.print(ONLY_A_LOOK)

    return page(write)


def _head(found: UpgradePreview, to: Console) -> None:
    to.print("This is a Directus 10 database. An upgrade would, in one transaction,\n")
    to.print(f"- make a policy of each of {number(found.roles, 'role')}, of the same id and name, and the public one;")
    to.print(f"- give {number(found.permissions, 'permission')} a policy in place of a role, and leave the rest of it;")
    *flags, last = FLAGS
    to.print(f"- take {', '.join(flags)} and {last} from roles, and give them a parent.\n")


def _roles(found: UpgradePreview, to: Console) -> None:
    roles = table("Role", "Its policy", "Addresses", counts=("Permissions", "Users", "Wider", "Narrower"))
    for role in found.first:
        roles.add_row(
            shown(role.name),
            access(admin=role.admin, app=role.app, enforce_tfa=role.enforce_tfa),
            addresses(role.ip_access),
            *map(count, (role.permissions, role.users)),
            *_ways(found, role.id),
        )
    roles.add_row(PUBLIC, "-", addresses(None), count(found.public), "-", *_ways(found, None))
    to.print(roles)
    _more(found.roles - len(found.first), to, "role")
    to.print()


def _ways(found: UpgradePreview, role: str | None) -> list[str]:
    return [count(found.by_role[role, way]) for way in (Direction.WIDER, Direction.NARROWER)]


def _rights(found: UpgradePreview, way: Direction, to: Console) -> None:
    to.print(HEADINGS[way])
    to.print()
    for general in GENERAL:
        if general.way is way:
            whose = "Every role with app access" if general.app_only else "Everybody"
            _told(f"{whose}, {general.action} {general.collection}", general.meaning, to)
            to.print()
    for kind in DifferenceKind:
        if kind.way is way and found.by_kind[kind]:
            _told(f"{kind.title}: {found.by_kind[kind]:,}", kind.meaning, to)
            to.print(_listed(found.kept[kind]))
            _more(found.by_kind[kind] - len(found.kept[kind]), to)
            to.print()


def _told(title: str, meaning: str, to: Console) -> None:
    to.print(Padding(title, (0, 0, 0, 2)))
    to.print(Padding(meaning, (0, 0, 0, 4)))


def _listed(differences: Sequence[Difference]) -> Padding:
    """A table of differences of one kind, with the columns that this kind has."""
    columns: dict[str, list[str]] = {
        "Role": [_name(one.name) for one in differences],
        "Collection": [shown(one.collection or "") for one in differences],
        "Action": [shown(one.action or "") for one in differences],
        "Permissions": [_ids(one) for one in differences],
        "What": [shown(one.detail).replace(",", ", ").replace("  ", " ") for one in differences],
    }
    filled = {heading: cells for heading, cells in columns.items() if any(cells)}
    rows = table(*filled)
    for row in zip(*filled.values(), strict=True):
        rows.add_row(*row)
    return Padding(rows, (0, 0, 0, 4))


def _ids(one: Difference) -> str:
    rest = one.count - len(one.ids)
    return ", ".join(map(str, one.ids)) + (f" and {rest:,} more" if rest else "")


def _name(name: str | None) -> str:
    return PUBLIC if name is None else shown(name)


def _more(many: int, to: Console, of: str = "") -> None:
    if many > 0:
        to.print(more(many, of) if of else Padding(more(many), (0, 0, 0, 4)))


def lines_lacking(names: Iterable[str]) -> str:
    """The columns that are missing, by table: `directus_users: a, b`."""
    columns: dict[str, list[str]] = {}
    for name in names:
        of, _, column = name.partition(".")
        columns.setdefault(of, []).append(column)
    return "\n".join(f"  {of}: {', '.join(filter(None, missing)) or 'all of it'}" for of, missing in columns.items())
