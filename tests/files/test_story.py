"""One picture, from its upload to its end, at either door."""

import pytest

from tests.files.uploaders import PICTURES_FOLDER, png
from tests.http.clients import FORBIDDEN, refusal, told


async def over_rest(filing, who, picture):
    return told(await filing.request(who, "PATCH", "/users/me?fields=avatar.id", json={"avatar": picture}))["avatar"][
        "id"
    ]


async def over_graphql(filing, who, picture):
    query = f'mutation {{ update_users_me(data: {{ avatar: "{picture}" }}) {{ avatar {{ id }} }} }}'
    answer = await filing.request(who, "POST", "/graphql/system", json={"query": query})
    return answer.json()["data"]["update_users_me"]["avatar"]["id"]


async def gone_over_rest(filing, who, picture):
    assert (await filing.request(who, "DELETE", f"/files/{picture}")).status_code == 204


async def gone_over_graphql(filing, who, picture):
    query = f'mutation {{ delete_files_item(id: "{picture}") {{ id }} }}'
    answer = await filing.request(who, "POST", "/graphql/system", json={"query": query})
    assert answer.json()["data"] == {"delete_files_item": {"id": picture}}


DOORS = {"rest": (over_rest, gone_over_rest), "graphql": (over_graphql, gone_over_graphql)}


@pytest.mark.parametrize("door", DOORS)
async def test_an_avatar_is_uploaded_shown_to_whom_a_policy_shows_it_and_taken_away(uploaders, door):
    put_on, take_away = DOORS[door]
    picture = told(await uploaders.upload("uma", png(64, 64), "me.png", folder=PICTURES_FOLDER))["id"]

    assert await put_on(uploaders, "uma", picture) == picture
    assert (await uploaders.request("rex", "GET", f"/assets/{picture}")).content == png(64, 64)
    assert refusal(await uploaders.request("vi", "GET", f"/assets/{picture}")) == FORBIDDEN
    assert refusal(await uploaders.request(None, "GET", f"/assets/{picture}")) == FORBIDDEN

    await take_away(uploaders, "uma", picture)

    assert uploaders.stored == []
    assert refusal(await uploaders.request("rex", "GET", f"/assets/{picture}")) == FORBIDDEN
    assert refusal(await uploaders.request("uma", "GET", f"/assets/{picture}")) == FORBIDDEN
