"""Attaching policies to a role and detaching them."""

from app.core.errors import Forbidden, RollcallError
from app.http.response import Response
from app.studio.access_end import access_end, change_access_end
from app.studio.page_request import PageRequest
from app.studio.pages.roles.role_page import authorized_role, rejected_action, role_page
from app.studio.policy_editor.change_effects import change_effects
from app.studio.routing import Route

ATTACH = """mutation AttachPolicy($data: create_directus_access_input!) {
  create_access_item(data: $data) { id }
}"""
DETACH = "mutation DetachPolicy($access: ID!) {\n  delete_access_item(id: $access) { id }\n}"


async def attach_policy(request: PageRequest) -> Response:
    """Attach a policy to a role."""
    form = await request.form()
    policy = form.get("policy", "")
    role = (await authorized_role(request, lambda may: may.attach))["id"]
    if not policy:
        return await role_page(request, {"policy": request.translate("Select a policy.")}, 422)
    try:
        data = {"role": {"id": role}, "policy": {"id": policy}, **access_end(form)}
        await request.execute(ATTACH, {"data": data})
    except RollcallError as error:
        return await rejected_action(request, error)
    return request.redirect(f"/roles/{role}", notice="policy-attached")


async def detach_policy(request: PageRequest) -> Response:
    """Detach a policy from a role."""
    access = (await request.form()).get("access", "")
    role = (await authorized_role(request, lambda may: may.detach))["id"]
    try:
        await request.execute(DETACH, {"access": access})
    except RollcallError as error:
        return await rejected_action(request, error)
    return request.redirect(f"/roles/{role}", notice="policy-detached")


async def change_end(request: PageRequest) -> Response:
    """Change until when a policy is attached to a role."""
    form, role = await request.form(), request.parameters["role"]
    try:
        await change_access_end(request, form)
    except RollcallError as error:
        return await rejected_action(request, error)
    return request.redirect(f"/roles/{role}", notice="policy-end-changed")


async def preview_effects(request: PageRequest) -> Response:
    """Return the page of a role with the effects of attaching or detaching a policy, which is not done.

    Raises:
        Forbidden: The caller is no admin.
    """
    form, role = await request.form(), request.parameters["role"]
    access, policy = form.get("access", ""), form.get("policy", "")
    if not (await request.rights()).admin:
        raise Forbidden
    if not access and not policy:
        return await role_page(request, {"policy": request.translate("Select a policy.")}, 422)
    data = {"role": role, "policy": policy, **access_end(form)}
    attached = {"collection": "access", "action": "create", "data": data}
    detached = {"collection": "access", "action": "delete", "key": access}
    try:
        effects = await change_effects(request, [detached if access else attached])
    except RollcallError as error:
        return await rejected_action(request, error)
    return await role_page(request, effects=effects, chosen=policy, chosen_end=form.get("expires", ""))


ROUTES: tuple[Route, ...] = (
    Route("POST", "/roles/{role}/policies/attach", attach_policy),
    Route("POST", "/roles/{role}/policies/detach", detach_policy),
    Route("POST", "/roles/{role}/policies/end", change_end),
    Route("POST", "/roles/{role}/policies/effects", preview_effects),
)
