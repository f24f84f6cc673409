"""Formats the preview of an upgrade or a revert as plain text."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.padding import Padding

from app.core.terminal import printable
from app.upgrade.difference_kinds import GENERAL_DIFFERENCES, Difference, DifferenceKind, Direction
from app.upgrade.inspection import ROLE_FLAGS
from app.upgrade.revert_preview import RevertPreview
from app.upgrade.text_tables import (
    create_table,
    format_count,
    format_flags,
    format_ip_access,
    format_omitted,
    pluralize,
    render,
)
from app.upgrade.upgrade_preview import UpgradePreview

HEADINGS = {
    Direction.WIDER: "Access that becomes wider",
    Direction.NARROWER: "Access that becomes narrower",
    Direction.DIFFERENT: "Other differences",
}
PUBLIC = "the public"
DRY_RUN_MESSAGE = "This was a dry run: nothing was changed."


def format_upgrade_preview(preview: UpgradePreview) -> str:
    """Format what an upgrade would change for each role, and which access would become wider or narrower."""

    def write(console: Console) -> None:
        _print_summary(preview, console)
        _print_roles(preview, console)
        for direction in Direction:
            _print_differences(preview, direction, console)
        console.print(DRY_RUN_MESSAGE)

    return render(write)


def format_revert_preview(preview: RevertPreview) -> str:
    """Format what a revert would make of each role, and everything that would be lost."""

    def write(console: Console) -> None:
        outcome = preview.outcome
        console.print("This is a Directus 11 database. A revert to Directus 10 would, in one transaction,\n")
        console.print(
            f"- give {pluralize(outcome.roles, 'role')} the access of their own and their ancestors' policies;"
        )
        console.print(
            f"- leave {pluralize(outcome.unchanged, 'permission')} unchanged, copy {outcome.copied:,} for roles that "
            f"share them, and create {outcome.merged:,} by merging several;"
        )
        console.print("- remove policies, and everything Rollcall added.\n")
        table = create_table("Role", "Access", "IP addresses", number_headings=("Policies", "Permissions", "Merged"))
        for role in (*preview.roles, preview.public_role):
            flags = format_flags(admin=role.admin, app=role.app, enforce_tfa=role.enforce_tfa)
            counts = map(format_count, (role.policies, role.permissions, role.merged))
            table.add_row(_role_name(role.name), flags, format_ip_access(role.ip_access), *counts)
        console.print(table)
        _print_omitted(outcome.roles - len(preview.roles), console, "role")
        console.print()
        console.print("What would be lost\n" if outcome.losses else "Nothing would be lost.\n")
        for loss in outcome.losses:
            console.print(Padding(str(loss), (0, 0, 1, 2)))
        console.print(DRY_RUN_MESSAGE)

    return render(write)


def format_missing_columns(names: Iterable[str]) -> str:
    """Format `table.column` and `table` names as one line per table: `directus_users: a, b`."""
    columns: dict[str, list[str]] = {}
    for name in names:
        table, _, column = name.partition(".")
        columns.setdefault(table, []).append(column)
    return "\n".join(
        f"  {table}: {', '.join(filter(None, missing)) or 'the whole table'}" for table, missing in columns.items()
    )


def _print_summary(preview: UpgradePreview, console: Console) -> None:
    *flags, last = ROLE_FLAGS
    roles, permissions = pluralize(preview.role_count, "role"), pluralize(preview.permission_count, "permission")
    console.print("This is a Directus 10 database. An upgrade would, in one transaction,\n")
    console.print(f"- create a policy for each of {roles}, with the same id and name, and the public policy;")
    console.print(f"- move {permissions} from roles to policies, otherwise unchanged;")
    console.print(f"- remove {', '.join(flags)} and {last} from roles, and add parent.\n")


def _print_roles(preview: UpgradePreview, console: Console) -> None:
    table = create_table(
        "Role", "Access", "IP addresses", number_headings=("Permissions", "Users", "Wider", "Narrower")
    )
    for role in preview.roles:
        table.add_row(
            printable(role.name),
            format_flags(admin=role.admin, app=role.app, enforce_tfa=role.enforce_tfa),
            format_ip_access(role.ip_access),
            *map(format_count, (role.permissions, role.users)),
            *_difference_counts(preview, role.id),
        )
    permissions = format_count(preview.public_permission_count)
    table.add_row(PUBLIC, "-", format_ip_access(None), permissions, "-", *_difference_counts(preview, None))
    console.print(table)
    _print_omitted(preview.role_count - len(preview.roles), console, "role")
    console.print()


def _difference_counts(preview: UpgradePreview, role: str | None) -> list[str]:
    return [format_count(preview.by_role[role, direction]) for direction in (Direction.WIDER, Direction.NARROWER)]


def _print_differences(preview: UpgradePreview, direction: Direction, console: Console) -> None:
    console.print(HEADINGS[direction])
    console.print()
    for general in GENERAL_DIFFERENCES:
        if general.direction is direction:
            affected = "Every role with app access" if general.app_only else "Everyone"
            _print_meaning(f"{affected}, {general.action} {general.collection}", general.meaning, console)
            console.print()
    for kind in DifferenceKind:
        if kind.direction is direction and preview.by_kind[kind]:
            _print_meaning(f"{kind.title}: {preview.by_kind[kind]:,}", kind.meaning, console)
            console.print(_differences_table(preview.differences[kind]))
            _print_omitted(preview.by_kind[kind] - len(preview.differences[kind]), console)
            console.print()


def _print_meaning(title: str, meaning: str, console: Console) -> None:
    console.print(Padding(title, (0, 0, 0, 2)))
    console.print(Padding(meaning, (0, 0, 0, 4)))


def _differences_table(differences: Sequence[Difference]) -> Padding:
    """Return a table of differences of one kind, without the columns that are empty for this kind."""
    columns: dict[str, list[str]] = {
        "Role": [_role_name(difference.name) for difference in differences],
        "Collection": [printable(difference.collection or "") for difference in differences],
        "Action": [printable(difference.action or "") for difference in differences],
        "Permissions": [_permission_ids(difference) for difference in differences],
        "Details": [printable(difference.detail).replace(",", ", ").replace("  ", " ") for difference in differences],
    }
    filled = {heading: cells for heading, cells in columns.items() if any(cells)}
    table = create_table(*filled)
    for row in zip(*filled.values(), strict=True):
        table.add_row(*row)
    return Padding(table, (0, 0, 0, 4))


def _permission_ids(difference: Difference) -> str:
    omitted = difference.count - len(difference.ids)
    return ", ".join(map(str, difference.ids)) + (f" and {omitted:,} more" if omitted else "")


def _role_name(name: str | None) -> str:
    return PUBLIC if name is None else printable(name)


def _print_omitted(count: int, console: Console, noun: str = "") -> None:
    if count > 0:
        console.print(format_omitted(count, noun) if noun else Padding(format_omitted(count), (0, 0, 0, 4)))
