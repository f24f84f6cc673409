"""The end of an access row, as forms that attach a policy submit it."""

from collections.abc import Mapping

from app.studio.page_request import PageRequest

CHANGE_END = """mutation ChangeEnd($id: ID!, $data: update_directus_access_input!) {
  update_access_item(id: $id, data: $data) { id }
}"""


def access_end(form: Mapping[str, str]) -> dict[str, str]:
    """Return the submitted end as a value of the access row; nothing without one."""
    end = form.get("expires", "").strip()
    return {"expires": end} if end else {}


async def change_access_end(request: PageRequest, form: Mapping[str, str]) -> None:
    """Give the access row of a form the submitted end, or none.

    Raises:
        RollcallError: The caller may not change it, or the end is no moment.
    """
    data = {"expires": None, **access_end(form)}
    await request.execute(CHANGE_END, {"id": form.get("access"), "data": data})
