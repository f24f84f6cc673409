"""The report of a simulation as lines of text."""

from collections.abc import Iterator

from app.flows.access.simulation_report import ActionChange, Effect, RowCounts, SimulationReport

LOCKOUTS = {
    "active": "can no longer sign in",
    "any_access": "loses all access",
    "admin_access": "loses admin access",
    "app_access": "loses app access",
}
STANDINGS = {"admin_access": "admin access", "app_access": "app access", "enforce_tfa": "required two-factor setup"}


def report_lines(report: SimulationReport) -> Iterator[str]:
    """Yield a report as lines: a summary, then each effect with what it consists of."""
    affected = f"{_count(report.roles_total, 'role')} and {_count(report.users_total, 'user')}"
    yield (
        f"{_count(report.changes, 'change')} would affect {affected}." if report.effects else "No access would change."
    )
    if report.last_admin is not None:
        yield f"Change {report.last_admin.change} would be refused: {report.last_admin.message}."
    yield from (f"The changes would be refused, because a test fails: {reason}." for reason in report.failed_tests)
    if report.locked_out_total:
        yield f"{_count(report.locked_out_total, 'user')} would lose all access."
    for effect in report.effects:
        yield ""
        yield f"{holders(effect)}:"
        yield from (f"  {line}" for line in _effect_lines(effect))
    hidden = report.effects_total - len(report.effects)
    if hidden:
        yield ""
        yield f"{_count(hidden, 'other effect')} not listed."


def holders(effect: Effect) -> str:
    """Return whom an effect concerns, in words."""
    parts = []
    if effect.roles_total:
        names = ", ".join(f'"{role.name}"' for role in effect.roles)
        parts.append(
            f"{'Role' if effect.roles_total == 1 else 'Roles'} {names}{_more(effect.roles_total, effect.roles)}"
        )
    if effect.public:
        parts.append("The public")
    if effect.users_total:
        ids = ", ".join(effect.users)
        parts.append(f"{_count(effect.users_total, 'user')} ({ids}{_more(effect.users_total, effect.users)})")
    return "; ".join(parts)


def _effect_lines(effect: Effect) -> Iterator[str]:
    yield from (f"! {LOCKOUTS[name]}" for name in effect.lockouts if name in LOCKOUTS)
    for name, text in STANDINGS.items():
        before, after = getattr(effect.before, name), getattr(effect.after, name)
        if before != after and name not in effect.lockouts and effect.after.active:
            yield f"{'+' if after else '-'} {text}"
    if effect.before.addresses != effect.after.addresses and effect.after.any_access:
        yield f"~ from {', '.join(effect.after.addresses)} only" if effect.after.addresses else "~ from every address"
    if effect.before.expires != effect.after.expires and effect.after.any_access:
        yield f"~ until {effect.after.expires}" if effect.after.expires else "~ without an end"
    if not effect.after.admin_access and (effect.after.any_access or not effect.before.admin_access):
        yield from map(_action_line, effect.actions)  # an admin may do everything


def _action_line(one: ActionChange) -> str:
    sign = "~" if one.allowed_before and one.allowed_after else "+" if one.allowed_after else "-"
    text = f"{sign} {one.action} {one.collection}"
    details = list(_details(one))
    return f"{text}: {'; '.join(details)}" if details else text


def _details(one: ActionChange) -> Iterator[str]:
    if one.fields_gained:
        yield f"gains {', '.join(one.fields_gained)}"
    if one.fields_lost:
        yield f"loses {', '.join(one.fields_lost)}"
    if one.rows is not None:
        yield _rows(one.rows)
    for change in one.field_rows:
        if change.rows is not None:
            yield f"{', '.join(change.fields)} on {_rows(change.rows)}"
    if one.values_changed:
        yield "other validation or presets"
    if not one.rows_counted:
        yield "rows not counted"
    elif one.rows is not None and one.rows_depend_on_user:
        yield "rows depend on the user"


def _rows(rows: RowCounts) -> str:
    change = f" (+{rows.gained}, -{rows.lost})" if rows.gained or rows.lost else ""
    return f"{_count(rows.after, 'row')}{change}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _more(total: int, listed: tuple[object, ...]) -> str:
    return f" and {total - len(listed)} more" if total > len(listed) else ""
