"""Hooks before and after writes: when they run, what they learn, and what they can do."""

import asyncio

import pytest
from sqlalchemy import select, update

from app.core.caller import SYSTEM, Caller
from app.core.errors import FailedValidation, Forbidden, InvalidPayload, RollcallError, UnprocessableContent
from app.core.hashing import verify_password
from app.db.models import Policy, User
from app.extensions.rights import act_as_system
from app.repositories import hooks
from app.testing import open_system
from tests.base_data import caller, uid
from tests.http.test_graphql import ADA, PATH, served
from tests.logs import captured_logs

MASK = "**********"
PERMISSION = {"policy": uid("policy-Staff"), "collection": "directus_users"}


def ada(system):
    return system.directory(caller("ada"))


async def grant(system, action, fields, rule=None):
    await ada(system)["permissions"].create_one({**PERMISSION, "action": action, "fields": fields, "permissions": rule})


async def stored_password(system, key):
    async with system.database.transaction() as connection:
        return await connection.scalar(select(User.password).where(User.id == key))


async def test_hooks_learn_what_is_written_by_whom(hooked, recorder):
    users = ada(hooked)["users"]
    key = await users.create_one(
        {"email": "new@example.com", "tags": ["a", "b"], "last_access": "2024-05-06T07:08:09Z"}
    )
    await users.update_many([uid("vi"), uid("ed")], {"title": "Both"})
    await users.delete_one(key)
    await hooked.finish_hooks()

    values = {"email": "new@example.com", "tags": ["a", "b"], "last_access": "2024-05-06T07:08:09.000Z"}
    events = [("users.create", (), values), ("users.update", (uid("vi"), uid("ed")), {"title": "Both"})]
    assert [(e.name, e.keys, e.payload) for e in recorder.before] == [*events, ("users.delete", (key,), None)]
    assert [(e.name, e.keys, e.payload) for e in recorder.after] == [
        ("users.create", (key,), values),
        *events[1:],
        ("users.delete", (key,), None),
    ]
    who = recorder.after[0].accountability
    assert (who.user, who.role, who.admin, who.ip) == (uid("ada"), uid("role-Administrator"), True, "192.0.2.1")
    assert not who.system
    assert {event.collection for event in recorder.after} == {"directus_users"}


@pytest.mark.parametrize("returns", [True, False])
async def test_a_hook_changes_what_is_written(hooked, recorder, returns):
    async def retitle(event, directory):
        email = event.payload["email"].lower()
        if not returns:
            del event.payload["first_name"]
            event.payload |= {"email": email, "title": "Changed"}
        return {"email": email, "title": "Returned"} if returns else None

    recorder.actions["users.create"] = retitle
    key = await ada(hooked)["users"].create_one({"email": "NEW@example.com", "first_name": "New"})
    await hooked.finish_hooks()
    row = await ada(hooked)["users"].read_one(key, {"fields": ["email", "first_name", "title"]})

    expected = {"email": "new@example.com", "title": "Returned" if returns else "Changed"}
    assert row == {**expected, "first_name": None}
    assert recorder.after[-1].payload == expected


async def test_what_a_hook_leaves_alone_stays_exactly_as_it_was(hooked, recorder):
    async def retitle(event, directory):
        event.payload["title"] = "X"

    recorder.actions["users.update"] = retitle
    values = {
        "theme_light_overrides": '"a text"',
        "tags": ["a,b", "c"],
        "password": "a new password",
        "last_access": "2024-05-06T07:08:09.123Z",
    }
    await ada(hooked)["users"].update_one(uid("vi"), values)
    row = await hooked.directory(SYSTEM)["users"].read_one(uid("vi"), {"fields": [*values, "title"]})
    stored = await stored_password(hooked, uid("vi"))

    assert (row["theme_light_overrides"], row["tags"], row["title"]) == ("a text", ["a,b", "c"], "X")
    assert row["last_access"] == values["last_access"]
    assert verify_password("a new password", stored)


async def test_secrets_are_masked_and_can_be_replaced(hooked, recorder):
    async def replace(event, directory):
        if event.payload.get("first_name") == "Replace":
            event.payload["password"] = "set by the hook"

    recorder.actions["users.create"] = replace
    row = {"email": "new@example.com", "password": "from the client", "token": "a token of the client"}
    key = await ada(hooked)["users"].create_one({**row, "first_name": "Replace"})
    await hooked.finish_hooks()
    stored = await stored_password(hooked, key)

    for event in (*recorder.before, *recorder.after):
        assert (event.payload["password"], event.payload["token"]) == (MASK, MASK)
        assert "client" not in repr(event)
    assert verify_password("set by the hook", stored)


@pytest.mark.parametrize("through", ["rest", "planned", "full"])
async def test_a_rejected_write_changes_nothing_over_any_api(client, recorder, hooked, through):
    async def reject(event, directory):
        raise UnprocessableContent("Only on Mondays")

    recorder.actions["users.update"] = reject
    key = uid("vi")
    if through == "rest":
        response = await client.patch(f"/users/{key}", json={"title": "X"}, headers=ADA)
        assert response.status_code == 422
    else:
        title, query = ("$title", "mutation ($title: String)") if through == "planned" else ('"X"', "mutation")
        query += f' {{ update_users_item(id: "{key}", data: {{title: {title}}}) {{ title }} }}'
        body = {"query": query, "variables": {"title": "X"} if through == "planned" else None}
        for _ in range(2):
            response = await client.post(PATH, json=body, headers=ADA)
    (error,) = response.json()["errors"]

    assert error["extensions"]["reason"] == "Only on Mondays"
    assert await ada(hooked)["users"].read_one(key, {"fields": ["title"]}) == {"title": "Viewer"}
    assert recorder.after == []


async def test_events_are_the_same_over_graphql_and_rest(client, recorder):
    await client.patch(f"/users/{uid('vi')}", json={"title": "A"}, headers={**ADA, "user-agent": "probe"})
    for title in ("B", "C"):
        query = f'mutation {{ update_users_item(id: "{uid("vi")}", data: {{title: "{title}"}}) {{ title }} }}'
        await client.post(PATH, json={"query": query}, headers={**ADA, "user-agent": "probe"})
    me = "mutation ($title: String) { update_users_me(data: {title: $title}) { title } }"
    for title in ("D", "E"):
        await client.post(PATH, json={"query": me, "variables": {"title": title}}, headers=ADA)
    await asyncio.sleep(0.05)

    events = [(event.name, event.payload) for event in recorder.after]
    assert events == [("users.update", {"title": title}) for title in "ABCDE"]
    assert recorder.after[0].accountability.user_agent == "probe"
    assert recorder.after[-1].keys == (uid("ada"),)


async def test_a_failing_hook_is_a_500_and_logged_without_its_text(client, recorder, hooked):
    async def fail(event, directory):
        raise ValueError(event.payload["title"])

    recorder.actions["users.update"] = fail
    with captured_logs(hooks) as events:
        response = await client.patch(f"/users/{uid('vi')}", json={"title": "very private"}, headers=ADA)

    assert (response.status_code, response.json()["errors"][0]["extensions"]["code"]) == (500, "INTERNAL_SERVER_ERROR")
    (logged,) = events
    assert (logged["event"], logged["hook_event"], logged["error"]) == (
        "extension_hook_failed",
        "users.update",
        "ValueError",
    )
    assert logged["hook"] == "tests.extensions.recorder.Recorder.on_before"
    assert "in fail" in logged["stack"]
    assert "very private" not in repr(logged) + response.text
    assert await ada(hooked)["users"].read_one(uid("vi"), {"fields": ["title"]}) == {"title": "Viewer"}


@pytest.mark.parametrize("result", ["text", 1, [("title", "X")]])
async def test_a_hook_that_returns_anything_else_fails(hooked, recorder, result):
    async def answer(event, directory):
        return result

    recorder.actions["users.update"] = answer
    with pytest.raises(RollcallError) as error:
        await ada(hooked)["users"].update_one(uid("vi"), {"title": "X"})
    assert error.value.status == 500


async def test_a_hanging_hook_ends_with_the_transaction_and_the_next_write_succeeds(writable_db, recorder):
    async def hang(event, directory):
        if event.payload["title"] == "hang":
            await asyncio.Event().wait()

    recorder.actions["users.update"] = hang
    settings = writable_db.settings.model_copy(update={"db_transaction_timeout": 0.2})
    async with served(settings, extensions=[recorder.register]) as client:
        response = await client.patch(f"/users/{uid('vi')}", json={"title": "hang"}, headers=ADA)
        after = await client.patch(f"/users/{uid('vi')}", json={"title": "fine"}, headers=ADA)
        await asyncio.sleep(0.05)

    assert response.status_code == 503
    assert "The write took longer than the 0.2 s allowed" in response.text
    assert after.status_code == 200
    assert [event.payload for event in recorder.after] == [{"title": "fine"}]


async def test_what_a_hook_writes_is_validated(hooked, recorder):
    changes = iter([{"email": "not an email"}, {"unknown": 1}, {"id": uid("ed")}, {"role": "nonsense"}])

    async def change(event, directory):
        event.payload |= next(changes)

    recorder.actions["users.update"] = change
    for expected in (FailedValidation, InvalidPayload, InvalidPayload, RollcallError):
        with pytest.raises(RollcallError) as error:
            await ada(hooked)["users"].update_one(uid("vi"), {"title": "X"})
        assert isinstance(error.value, expected) or error.value.code in {"FORBIDDEN", "INVALID_QUERY"}
        assert error.value.status < 500


@pytest.mark.parametrize("field", ["status", "role", "policies"])
async def test_a_hook_gives_a_caller_no_fields_that_its_permissions_do_not_list(hooked, recorder, field):
    await grant(hooked, "update", ["title"])

    async def change(event, directory):
        event.payload[field] = {"status": "suspended", "role": uid("role-Administrator"), "policies": []}[field]

    recorder.actions["users.update"] = change
    with pytest.raises(Forbidden):
        await hooked.directory(caller("ed"))["users"].update_one(uid("vi"), {"title": "X"})


async def test_hooks_run_only_for_rows_that_the_caller_may_write(hooked, recorder):
    await grant(hooked, "update", ["title"], {"status": {"_eq": "suspended"}})
    await grant(hooked, "delete", None, {"status": {"_eq": "suspended"}})
    recorder.before.clear()
    users = hooked.directory(caller("ed"))["users"]
    for write in (
        lambda: users.update_one(uid("vi"), {"title": "X"}),
        lambda: users.update_many([uid("sue"), uid("vi")], {"title": "X"}),
        lambda: users.delete_one(uid("vi")),
        lambda: users.create_one({"email": "new@example.com"}),
        lambda: hooked.directory()["users"].create_one({"email": "new@example.com"}),
    ):
        with pytest.raises(Forbidden):
            await write()
    assert recorder.before == []

    await users.update_one(uid("sue"), {"title": "X"})
    assert [event.keys for event in recorder.before] == [(uid("sue"),)]


async def test_nested_writes_have_events_of_their_own(hooked, recorder):
    role = {"name": "Nested", "users": [{"email": "inner@example.com", "password": "only here"}, uid("vi")]}
    key = await ada(hooked)["roles"].create_one(role)
    await hooked.finish_hooks()

    assert recorder.before[0].name == "roles.create"
    assert recorder.before[0].payload["users"] == [{"email": "inner@example.com", "password": MASK}, uid("vi")]
    assert sorted(recorder.names()) == ["roles.create", "users.create", "users.update"]
    created, updated = (event for event in recorder.after if event.name.startswith("users"))
    assert created.payload == {"email": "inner@example.com", "password": MASK, "role": key}
    assert (updated.keys, updated.payload) == ((uid("vi"),), {"role": key})


async def test_a_hook_can_change_a_nested_row_without_losing_its_secrets(hooked, recorder):
    async def change(event, directory):
        event.payload["users"][0]["title"] = "Nested"

    recorder.actions["roles.create"] = change
    await ada(hooked)["roles"].create_one(
        {"name": "Nested", "users": [{"email": "inner@example.com", "password": "only here"}]}
    )
    async with hooked.database.transaction() as connection:
        title, password = (
            await connection.execute(select(User.title, User.password).where(User.title == "Nested"))
        ).one()

    assert title == "Nested"
    assert verify_password("only here", password)


async def test_fields_that_the_server_sets_are_seen_and_not_changed(hooked, recorder):
    async def change(event, directory):
        if event.payload.get("role"):
            event.payload["role"] = uid("role-Administrator")

    recorder.actions["users.create"] = change
    key = await ada(hooked)["roles"].create_one({"name": "Nested", "users": [{"email": "inner@example.com"}]})
    rows = await ada(hooked)["users"].read_by_query({"filter": {"role": {"_eq": key}}, "fields": ["email"]})

    assert rows == [{"email": "inner@example.com"}]


async def test_a_failed_or_tried_write_has_no_event_after_it(hooked, recorder):
    users = ada(hooked)["users"]
    with pytest.raises(RollcallError):
        await users.create_many([{"email": "new@example.com"}, {"email": "ada@example.com"}])
    await users.dry_run(users.create_command([{"email": "new@example.com"}]))
    await hooked.finish_hooks()

    assert len(recorder.before) == 3
    assert recorder.after == []


async def test_a_hook_that_changes_access_runs_the_write_alone_and_events_after_it_once(hooked, recorder):
    async def change(event, directory):
        event.payload["status"] = "suspended"

    recorder.actions["users.update"] = change
    await ada(hooked)["users"].update_one(uid("vi"), {"title": "X"})
    await hooked.finish_hooks()

    assert recorder.names() == ["users.update"]
    with pytest.raises(UnprocessableContent):
        await ada(hooked)["users"].update_one(uid("ada"), {"title": "X"})


async def test_events_after_a_write_that_was_run_again_happen_once(hooked, recorder):
    if hooked.database.dialect == "sqlite":
        pytest.skip("on SQLite nobody else writes meanwhile")
    await grant(hooked, "update", ["title"])

    async def change_rights(event, directory):
        if len(recorder.before) == 1:
            async with hooked.database.transaction() as connection:
                await connection.execute(update(Policy).where(Policy.id == uid("policy-Staff")).values(app_access=True))

    recorder.actions["users.update"] = change_rights
    await hooked.finish_hooks()
    recorder.before.clear()
    recorder.after.clear()
    await hooked.directory(caller("ed"))["users"].update_one(uid("vi"), {"title": "X"})
    await hooked.finish_hooks()

    assert len(recorder.before) == 2
    assert recorder.names() == ["users.update"]


async def test_a_failing_hook_after_a_write_is_logged_and_undoes_nothing(writable_db, recorder):
    def register(extend):
        @extend.after("users.update")
        async def fail(event, directory):
            raise UnprocessableContent(event.payload["title"])

        recorder.register(extend)

    with captured_logs(hooks) as events:
        async with open_system(writable_db.settings, extensions=[register]) as system:
            await ada(system)["users"].update_one(uid("vi"), {"title": "very private"})
            row = await ada(system)["users"].read_one(uid("vi"), {"fields": ["title"]})

    assert row == {"title": "very private"}
    assert [event["event"] for event in events] == ["extension_hook_failed"]
    assert "very private" not in repr(events)
    assert recorder.names() == ["users.update"]


async def test_a_slow_hook_after_a_write_does_not_delay_the_response_and_is_finished_at_shutdown(writable_db):
    finished = []

    def register(extend):
        @extend.after("users.update")
        async def slow(event, directory):
            await asyncio.sleep(0.3)
            finished.append(event.name)

    async with served(writable_db.settings, extensions=[register]) as client:
        response = await client.patch(f"/users/{uid('vi')}", json={"title": "X"}, headers=ADA)
        assert (response.status_code, finished) == (200, [])
    assert finished == ["users.update"]


async def test_a_hook_after_a_write_may_write_and_one_before_it_may_only_read(writable_db, recorder):
    def register(extend):
        @extend.after("users.create")
        async def welcome(event, directory):
            system = await act_as_system(directory)
            await system["users"].update_one(event.keys[0], {"title": "Welcome"})

        @extend.before("users.delete")
        async def write(event, directory):
            assert await directory["users"].read_one(event.keys[0], {"fields": ["title"]}) == {"title": "Welcome"}
            await directory["users"].update_one(event.keys[0], {"title": "Goodbye"})

        recorder.register(extend)

    with captured_logs(hooks) as events:
        async with open_system(writable_db.settings, extensions=[register]) as system:
            key = await ada(system)["users"].create_one({"email": "new@example.com"})
            await system.finish_hooks()
            with pytest.raises(RollcallError):
                await ada(system)["users"].delete_one(key)

    who = {event.name: event.accountability for event in recorder.after}
    assert who.keys() == {"users.create", "users.update"}
    assert (who["users.update"].system, who["users.update"].user) == (True, uid("ada"))
    assert [event["error"] for event in events] == ["WriteInHookError"]


async def test_every_way_to_write_several_rows_has_events(client, recorder):
    by_query = {"query": {"filter": {"title": {"_eq": "A"}}, "limit": -1}, "data": {"title": "B"}}
    each = [{"id": uid("ann"), "title": "C"}, {"id": uid("kit"), "title": "D"}]
    vi_and_ed = [uid("vi"), uid("ed")]
    for body in ({"keys": vi_and_ed, "data": {"title": "A"}}, by_query, each):
        response = await client.patch("/users", json=body, headers=ADA)
        assert response.status_code == 200, response.text
    await client.patch("/settings", json={"project_name": "Hooked"}, headers=ADA)
    await client.request("DELETE", "/users", json=vi_and_ed, headers=ADA)
    await asyncio.sleep(0.05)
    events = [(event.name, set(event.keys), event.payload) for event in recorder.after]

    assert events.pop(4)[::2] == ("settings.create", {"project_name": "Hooked"})
    assert events == [
        ("users.update", set(vi_and_ed), {"title": "A"}),
        ("users.update", set(vi_and_ed), {"title": "B"}),
        ("users.update", {uid("ann")}, each[0]),
        ("users.update", {uid("kit")}, each[1]),
        ("users.delete", set(vi_and_ed), None),
    ]


async def test_rows_that_a_nested_write_creates_unlinks_and_deletes_have_events(hooked, recorder):
    roles, users = ada(hooked)["roles"], ada(hooked)["users"]
    await users.update_one(uid("vi"), {"policies": {"create": [{"policy": uid("policy-App")}]}})
    (access,) = await ada(hooked)["access"].get_keys_by_query({"filter": {"user": {"_eq": uid("vi")}}})
    await users.update_one(uid("vi"), {"policies": {"delete": [access]}})
    await roles.update_one(uid("role-Viewer"), {"users": []})
    await users.upsert_many([{"id": uid("vi"), "title": "X"}, {"email": "new@example.com"}])
    await hooked.finish_hooks()

    events = [(event.name, event.keys) for event in recorder.after if event.name != "users.create"]
    assert sorted(events) == sorted(
        [
            ("access.create", (access,)),
            ("access.delete", (access,)),
            ("roles.update", (uid("role-Viewer"),)),
            *[("users.update", (uid("vi"),))] * 4,
        ]
    )
    assert recorder.names().count("users.create") == 1
    assert ("users.update", {"role": None}) in [(event.name, event.payload) for event in recorder.after]


async def test_a_slow_hook_after_a_write_is_stopped_and_the_next_one_runs(writable_db, recorder, monkeypatch):
    monkeypatch.setattr(hooks, "AFTER_HOOK_SECONDS", 0.05)

    def register(extend):
        @extend.after("users.update")
        async def hang(event, directory):
            await asyncio.Event().wait()

        recorder.register(extend)

    with captured_logs(hooks) as events:
        async with open_system(writable_db.settings, extensions=[register]) as system:
            await ada(system)["users"].update_one(uid("vi"), {"title": "X"})
            await system.finish_hooks()

    assert [(event["event"], event["error"]) for event in events] == [("extension_hook_failed", "TimeoutError")]
    assert recorder.names() == ["users.update"]


async def test_a_hook_that_hangs_at_shutdown_is_cancelled(writable_db, monkeypatch):
    monkeypatch.setattr(hooks, "SHUTDOWN_SECONDS", 0.05)

    def register(extend):
        @extend.after("users.update")
        async def hang(event, directory):
            await asyncio.Event().wait()

    with captured_logs(hooks) as events:
        async with open_system(writable_db.settings, extensions=[register]) as system:
            await ada(system)["users"].update_one(uid("vi"), {"title": "X"})

    assert [(event["event"], event["count"]) for event in events] == [("extension_hooks_cancelled", 1)]


async def test_uploads_have_events_with_what_the_server_determined(client, recorder):
    response = await client.post("/files", files={"file": ("a.txt", b"content", "text/plain")}, headers=ADA)
    assert response.status_code == 200, response.text
    await asyncio.sleep(0.05)

    (event,) = recorder.after
    assert event.name == "files.create"
    assert event.payload["filename_download"] == "a.txt"
    assert event.payload["type"] == "text/plain"


async def test_the_public_has_accountability_without_a_user(hooked, recorder):
    await ada(hooked)["permissions"].create_one(
        {"policy": uid("policy-Public"), "collection": "directus_users", "action": "create", "fields": ["email"]}
    )
    await hooked.directory(Caller(ip="192.0.2.9"))["users"].create_one({"email": "new@example.com"})
    who = recorder.before[-1].accountability

    assert (who.user, who.role, who.admin, who.system, who.ip) == (None, None, False, False, "192.0.2.9")


async def test_a_directory_without_extensions_has_no_hooks(readonly_db):
    assert readonly_db.services.hooks is None
