"""What the whole directory must always be: never without an admin who can get in, never beyond its limits."""

from sqlalchemy import Integer, text

from app.core.errors import LimitExceeded, UnprocessableContent
from app.core.ip_addresses import ip_matches
from app.db.base import Csv
from app.repositories.engine.context import WriteContext
from app.repositories.services import UserLimits

ADMINS = text(
    """
    WITH RECURSIVE reached(role, policy) AS (
        SELECT a.role, a.policy FROM directus_access a JOIN directus_policies p ON p.id = a.policy
        WHERE p.admin_access AND a.role IS NOT NULL
        UNION
        SELECT r.id, reached.policy FROM directus_roles r JOIN reached ON r.parent = reached.role
    )
    SELECT DISTINCT p.ip_access FROM directus_policies p WHERE p.admin_access AND (
        EXISTS (
            SELECT 1 FROM directus_users u JOIN reached ON reached.role = u.role
            WHERE reached.policy = p.id AND u.status = 'active'
        )
        OR EXISTS (
            SELECT 1 FROM directus_access a JOIN directus_users u ON u.id = a."user"
            WHERE a.policy = p.id AND u.status = 'active'
        )
    )
    """
).columns(ip_access=Csv)
"""Where the policies are in force that make an active user an admin."""

COUNTS = text(
    """
    WITH RECURSIVE tree(role, ancestor) AS (
        SELECT id, id FROM directus_roles
        UNION
        SELECT tree.role, r.parent FROM tree JOIN directus_roles r ON r.id = tree.ancestor WHERE r.parent IS NOT NULL
    ),
    held(person, admin, app) AS (
        SELECT u.id, p.admin_access, p.app_access FROM directus_users u JOIN tree ON tree.role = u.role
        JOIN directus_access a ON a.role = tree.ancestor JOIN directus_policies p ON p.id = a.policy
        UNION ALL
        SELECT a."user", p.admin_access, p.app_access FROM directus_access a
        JOIN directus_policies p ON p.id = a.policy WHERE a."user" IS NOT NULL
    ),
    kinds AS (
        SELECT u.id, max(CASE WHEN held.admin THEN 2 WHEN held.app THEN 1 ELSE 0 END) AS kind
        FROM directus_users u LEFT JOIN held ON held.person = u.id WHERE u.status = 'active' GROUP BY u.id
    )
    SELECT coalesce(sum(CASE kind WHEN 2 THEN 1 ELSE 0 END), 0) AS admins,
        coalesce(sum(CASE kind WHEN 1 THEN 1 ELSE 0 END), 0) AS apps,
        coalesce(sum(CASE kind WHEN 0 THEN 1 ELSE 0 END), 0) AS apis
    FROM kinds
    """
).columns(admins=Integer, apps=Integer, apis=Integer)


async def check_last_admin(work: WriteContext) -> None:
    """Raises UnprocessableContent where no active admin is left, or none who could get in from where this comes."""
    if not work.affected.admins:
        return
    places = [row[0] for row in await work.writer.rows(work.writer.prepare(ADMINS))]
    if not places:
        raise UnprocessableContent("Cannot remove the last admin user from the system")
    ip = work.caller.ip
    if ip is not None and not any(not place or ip_matches(ip, place) for place in places):
        raise UnprocessableContent("Cannot lock the last admin user out: no admin policy is in force at your address")


async def check_user_limits(work: WriteContext) -> None:
    """Raises LimitExceeded where there are more active users of a kind than the settings allow."""
    limits = work.services.users
    if not work.affected.counts or limits == UserLimits():
        return
    admins, apps, apis = (await work.writer.rows(work.writer.prepare(COUNTS)))[0]
    kinds = (
        ("Active Admin users", admins, limits.admins),
        ("Active App users", apps, limits.apps),
        ("Active API users", apis, limits.apis),
    )
    for kind, count, most in kinds:
        if most is not None and count > most:
            raise LimitExceeded(kind)
