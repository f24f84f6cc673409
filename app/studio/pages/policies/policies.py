"""Policies: what each is, and its own fields."""

from typing import Any

from app.core.errors import Forbidden, RollcallError
from app.http.response import Response
from app.studio.form_errors import form_errors
from app.studio.page_numbers import page_number
from app.studio.page_request import PageRequest
from app.studio.pages.policies.permissions import changed_cells, chosen_states, save_cells
from app.studio.policy_editor.policy_form import EDITED, FLAGS, PolicyForm
from app.studio.policy_editor.policy_page import policy_page, read_grid, read_policy, with_all_fields
from app.studio.rights import Rights
from app.studio.routing import Route

PAGE_SIZE = 50
NO_FLAGS = dict.fromkeys(FLAGS, False)
"""The flags that GraphQL requires of a new policy."""


async def list_policies(request: PageRequest) -> Response:
    """Return the policies that the caller may see, with their flags and the number of their holders.

    Raises:
        Forbidden: The caller may not read the keys of policies.
    """
    rights = await request.rights()
    if not rights.may_field("read", "policies", "id"):
        raise Forbidden
    fields = ["id", *rights.fields("read", "policies", EDITED)]
    sort = ", ".join(f'"{name}"' for name in rights.fields("read", "policies", ("name", "id")))
    search, page = request.query.get("search", ""), page_number(request.query.get("page"))
    document = f"""query Policies($search: String, $page: Int) {{
  policies(search: $search, sort: [{sort}], limit: {PAGE_SIZE}, page: $page) {{ {" ".join(fields)} }}
  policies_aggregated(search: $search) {{ countAll }}
}}"""
    data = await request.execute(document, {"search": search or None, "page": page})
    return await request.page(
        "policies/list.html",
        policies=[with_all_fields(row) for row in data["policies"]],
        holders=await _count_holders(request, rights),
        search=search,
        page=page,
        pages=-(-sum(row["countAll"] for row in data["policies_aggregated"]) // PAGE_SIZE),
    )


async def new_policy(request: PageRequest) -> Response:
    """Return the form of a new policy."""
    fields = await _creatable_fields(request)
    role = await _role_to_attach(request, request.query.get("role", ""))
    return await request.page("policies/new.html", values={}, writable=fields, role=role)


async def create_policy(request: PageRequest) -> Response:
    """Create a policy and lead to its page, or attach it to a role and lead back to that."""
    fields, submitted = await _creatable_fields(request), await request.form()
    role = await _role_to_attach(request, submitted.get("role", ""))
    form = PolicyForm.of_submitted(submitted, fields, request.translate)
    if not form.errors:
        try:
            values = {**NO_FLAGS, **form.values}
            return await (_create_for_role(request, role, values) if role else _create(request, values))
        except RollcallError as error:
            form.errors.update(form_errors(error, request.translate))
    context = {"values": form.values, "writable": fields, "role": role}
    return await request.page("policies/new.html", status=422, errors=form.errors, **context)


async def _create(request: PageRequest, values: dict[str, Any]) -> Response:
    document = """mutation Create($data: create_directus_policies_input!) {
  create_policies_item(data: $data) { id }
}"""
    created = (await request.execute(document, {"data": values}))["create_policies_item"]
    # None if the caller may not read it
    return request.redirect(f"/policies/{created['id']}" if created else "/policies", notice="policy-created")


async def _create_for_role(request: PageRequest, role: dict[str, Any], values: dict[str, Any]) -> Response:
    """Create a policy together with the row that attaches it, so that neither exists without the other."""
    document = """mutation CreateForRole($data: create_directus_access_input!) {
  create_access_item(data: $data) { id }
}"""
    await request.execute(document, {"data": {"role": {"id": role["id"]}, "policy": values}})
    return request.redirect(f"/roles/{role['id']}", notice="policy-created-for-role")


async def _role_to_attach(request: PageRequest, key: str) -> dict[str, Any] | None:
    """Return the role that a new policy is attached to; None if there is none, or the caller may not attach to it."""
    rights = await request.rights()
    if not key or len(rights.fields("create", "access", ("role", "policy"))) < 2 or not rights.may("read", "roles"):
        return None
    fields = ["id", *rights.fields("read", "roles", ("name",))]
    document = f"query Role($id: ID!) {{\n  roles_by_id(id: $id) {{ {' '.join(fields)} }}\n}}"
    role: dict[str, Any] | None = (await request.execute(document, {"id": key}))["roles_by_id"]
    return role


async def show_policy(request: PageRequest) -> Response:
    """Return the page of a policy."""
    return await policy_page(request, request.parameters["policy"])


async def update_policy(request: PageRequest) -> Response:
    """Save the changed fields of a policy, and the changed cells of its grid."""
    key, submitted = request.parameters["policy"], await request.form()
    rights = await request.rights()
    rights.require("update", "policies")
    stored, grid = await read_policy(request, key), await read_grid(request, key)
    form = PolicyForm.of_submitted(submitted, rights.fields("update", "policies", EDITED), request.translate)
    cells = changed_cells(grid, submitted) if grid else []
    if not form.errors:
        try:
            await _save(request, key, form.changed(stored))
            await save_cells(request, key, cells)
        except RollcallError as error:
            form.errors.update(form_errors(error, request.translate))
    if form.errors:
        chosen = chosen_states(grid, submitted) if grid and cells else None
        values = {**stored, **form.values}
        return await policy_page(request, key, errors=form.errors, status=422, values=values, chosen=chosen)
    return request.redirect(f"/policies/{key}", notice="policy-saved")


async def _save(request: PageRequest, key: str, changed: dict[str, Any]) -> None:
    document = """mutation Save($id: ID!, $data: update_directus_policies_input!) {
  update_policies_item(id: $id, data: $data) { id }
}"""
    if changed:
        await request.execute(document, {"id": key, "data": changed})


async def delete_policy(request: PageRequest) -> Response:
    """Delete a policy with its permissions, and take it from its holders."""
    key = request.parameters["policy"]
    await request.form()
    (await request.rights()).require("delete", "policies")
    document = "mutation Delete($id: ID!) {\n  delete_policies_item(id: $id) { id }\n}"
    try:
        await request.execute(document, {"id": key})
    except RollcallError as error:
        return await policy_page(request, key, errors=form_errors(error, request.translate), status=error.status)
    return request.redirect("/policies", notice="policy-deleted")


async def _creatable_fields(request: PageRequest) -> list[str]:
    """Return the fields of a new policy that the caller may set.

    Raises:
        Forbidden: The caller may not create policies.
    """
    fields = (await request.rights()).fields("create", "policies", EDITED)
    if not fields:
        raise Forbidden
    return fields


async def _count_holders(request: PageRequest, rights: Rights) -> dict[str, Any] | None:
    """Return the numbers of roles and users, and of everyone, by policy; None if the caller may not read them."""
    if len(rights.fields("read", "access", ("policy", "role", "user"))) < 3:
        return None
    document = """{
  access_aggregated(groupBy: ["policy"], limit: -1) { group countAll count { role user } }
}"""
    counts = {}
    for row in (await request.execute(document))["access_aggregated"]:
        count = row["count"]
        counts[row["group"]["policy"]] = {**count, "everyone": row["countAll"] - count["role"] - count["user"]}
    return counts


ROUTES: tuple[Route, ...] = (
    Route("GET", "/policies", list_policies),
    Route("GET", "/policies/new", new_policy),
    Route("POST", "/policies/new", create_policy),
    Route("GET", "/policies/{policy}", show_policy),
    Route("POST", "/policies/{policy}", update_policy),
    Route("POST", "/policies/{policy}/delete", delete_policy),
)
