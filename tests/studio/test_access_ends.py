"""The end of an attached policy is changed and removed on the pages of users and roles."""

import pytest

from tests.base_data import uid

PAGES = [f"/users/{uid('sam')}", f"/roles/{uid('role-Viewer')}"]
END = "2199-01-02T03:04"


async def attached(browser, page):
    """Attach a policy, and return the id of the access row from the form that changes its end."""
    path = f"{page}/policies" if page.startswith("/users") else f"{page}/policies/attach"
    assert (await browser.post(path, {"policy": uid("policy-App")})).status == 303
    return (await browser.get(page)).html.select(".change-end input[name=access]")[-1]["value"]


@pytest.mark.parametrize("page", PAGES, ids=["user", "role"])
async def test_an_end_is_set_and_removed_again(ada, page):
    access = await attached(ada, page)

    done = await ada.post(f"{page}/policies/end", {"access": access, "expires": END})
    assert done.location == f"/admin{page}?notice=policy-end-changed"
    assert (await ada.get(page)).attribute_at(f"#end-{access}", "value") == END
    assert (await ada.post(f"{page}/policies/end", {"access": access, "expires": ""})).status == 303
    assert (await ada.get(page)).attribute_at(f"#end-{access}", "value") == ""


@pytest.mark.parametrize("page", PAGES, ids=["user", "role"])
async def test_what_is_no_end_and_who_may_not_change_it_are_refused(ada, vi, page):
    access = await attached(ada, page)

    rejected = await ada.post(f"{page}/policies/end", {"access": access, "expires": "tomorrow"})
    assert rejected.status in (400, 422)
    assert rejected.errors
    assert (await vi.post(f"{page}/policies/end", {"access": access, "expires": END})).status in (400, 403)
    assert (await ada.get(page)).attribute_at(f"#end-{access}", "value") == ""
