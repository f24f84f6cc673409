"""The life of one image, from its upload to its deletion, over REST and over GraphQL."""

import pytest

from tests.files.uploaders import PICTURES_FOLDER, png
from tests.http.clients import FORBIDDEN, data_of, error_of


async def set_avatar_by_rest(server, user, file_id):
    response = await server.request(user, "PATCH", "/users/me?fields=avatar.id", json={"avatar": file_id})
    return data_of(response)["avatar"]["id"]


async def set_avatar_by_graphql(server, user, file_id):
    query = f'mutation {{ update_users_me(data: {{ avatar: "{file_id}" }}) {{ avatar {{ id }} }} }}'
    response = await server.request(user, "POST", "/graphql/system", json={"query": query})
    return response.json()["data"]["update_users_me"]["avatar"]["id"]


async def delete_by_rest(server, user, file_id):
    assert (await server.request(user, "DELETE", f"/files/{file_id}")).status_code == 204


async def delete_by_graphql(server, user, file_id):
    query = f'mutation {{ delete_files_item(id: "{file_id}") {{ id }} }}'
    response = await server.request(user, "POST", "/graphql/system", json={"query": query})
    assert response.json()["data"] == {"delete_files_item": {"id": file_id}}


OPERATIONS = {"rest": (set_avatar_by_rest, delete_by_rest), "graphql": (set_avatar_by_graphql, delete_by_graphql)}


@pytest.mark.parametrize("entry_point", OPERATIONS)
async def test_an_avatar_is_uploaded_read_by_permitted_users_and_deleted(uploaders, entry_point):
    set_avatar, delete_file = OPERATIONS[entry_point]
    file_id = data_of(await uploaders.upload("uma", png(64, 64), "me.png", folder=PICTURES_FOLDER))["id"]

    assert await set_avatar(uploaders, "uma", file_id) == file_id
    assert (await uploaders.request("rex", "GET", f"/assets/{file_id}")).content == png(64, 64)
    assert error_of(await uploaders.request("vi", "GET", f"/assets/{file_id}")) == FORBIDDEN
    assert error_of(await uploaders.request(None, "GET", f"/assets/{file_id}")) == FORBIDDEN

    await delete_file(uploaders, "uma", file_id)

    assert uploaders.stored == []
    assert error_of(await uploaders.request("rex", "GET", f"/assets/{file_id}")) == FORBIDDEN
    assert error_of(await uploaders.request("uma", "GET", f"/assets/{file_id}")) == FORBIDDEN
