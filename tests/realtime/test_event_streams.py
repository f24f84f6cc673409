"""GraphQL subscriptions as server-sent events: the protocol graphql-sse in its distinct connections mode."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest

from app.core.caller import SYSTEM
from app.core.tokens import sign_access_token
from tests.base_data import static_token, uid
from tests.http.test_graphql import served
from tests.realtime.event_streams import EVENT_STREAM, PATH, EventReader, event_stream, events_of, http_client
from tests.realtime.sockets import SUBSCRIBE, graphql_client, serving, subscribed
from tests.realtime.test_events import write

VI, ADA, ED = static_token("vi"), static_token("ada"), uid("ed")
pytestmark = pytest.mark.one_database

SIMPLE = "subscription { directus_users_mutated { key } }"
COMPLETE = ("complete", None)


@pytest.fixture
def users(restored_db):
    return restored_db.directory(SYSTEM)["users"]


@pytest.mark.parametrize("token", [ADA, VI], ids=["admin", "viewer"])
async def test_create_update_and_delete_of_a_row_in_view_are_next_events(server, users, token):
    key = str(uuid4())
    async with event_stream(server, token) as stream:
        await subscribed(server, 1)
        await users.create_one({"id": key, "email": "new@example.com", "title": "New", "role": uid("role-Viewer")})
        created = await stream.next()
        await users.update_one(key, {"title": "Newer"})
        updated = await stream.next()
        await users.delete_one(key)
        deleted = await stream.next()

    assert created == {"key": key, "event": "create", "data": {"id": key, "title": "New"}}
    assert updated == {"key": key, "event": "update", "data": {"id": key, "title": "Newer"}}
    assert deleted == {"key": key, "event": "delete", "data": None}


async def test_a_get_request_subscribes_as_an_event_source_of_a_browser_does(server, users):
    parameters = {"query": SUBSCRIBE, "variables": '{"event": "update"}', "access_token": VI}
    async with http_client(server) as http, http.stream("GET", PATH, params=parameters) as response:
        stream = EventReader(response)
        await subscribed(server, 1)
        await users.update_one(ED, {"title": "Changed"})

        assert (await stream.next())["data"] == {"id": ED, "title": "Changed"}


async def test_a_stream_is_neither_stored_nor_buffered_nor_compressed(server):
    async with event_stream(server, VI, headers={"Accept-Encoding": "gzip, br"}) as stream:
        headers = stream.response.headers

    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["cache-control"] == "no-store"
    assert headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in headers


async def test_comments_keep_a_quiet_stream_open(shared_db):
    async with serving(shared_db.settings, websockets_heartbeat_period=1) as server, event_stream(server, VI) as stream:
        blocks = [await stream.block() for _ in range(3)]

    assert blocks == [":", ":", ":"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("subscription {", "Syntax Error"),
        ("subscription { directus_users_mutated { nonsense } }", "Cannot query field"),
        ("subscription { a: directus_users_mutated { key } b: directus_users_mutated { key } }", "only one top level"),
        ("subscription { directus_users_mutated { data { email } } }", "Cannot query field 'email'"),
        ("subscription { directus_users_mutated(event: $event) { key } }", "$event"),
        ("{ nonsense }", "Cannot query field"),
        ("query A { server_ping } query B { server_ping }", "operation"),
    ],
)
async def test_an_invalid_operation_is_answered_by_an_error_event(server, query, message):
    async with http_client(server, VI) as http:
        response = await http.post(PATH, json={"query": query})
    (name, result), end = events_of(response.text)

    assert (response.status_code, name, end) == (200, "next", COMPLETE)
    assert message in json.dumps(result["errors"])
    assert "data" not in result


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"content": "no JSON", "headers": {"Content-Type": "application/json"}}, 400),
        ({"content": "{}", "headers": {"Content-Type": "text/plain"}}, 400),
        ({"json": {}}, 400),
        ({"json": []}, 400),
        ({"json": {"query": 5}}, 400),
        ({"json": {"query": SIMPLE, "variables": []}}, 400),
        ({"json": {"query": SIMPLE, "operationName": {}}}, 400),
        ({"method": "GET"}, 400),
        ({"method": "GET", "params": {"query": SIMPLE, "variables": "["}}, 400),
        ({"method": "GET", "params": {"query": "mutation { users_delete { id } }"}}, 405),
        ({"method": "PUT"}, 405),
        ({"method": "DELETE", "params": {"operationId": "1"}}, 405),
        ({"method": "PATCH"}, 405),
        ({"json": {"query": SIMPLE}, "headers": {"Authorization": "Bearer wrong"}}, 401),
        ({"json": {"query": SIMPLE}, "headers": {"Authorization": ""}}, 403),
    ],
)
async def test_a_malformed_or_unauthorized_request_is_answered_with_a_status(server, request_, status):
    async with http_client(server, VI) as http:
        response = await http.request(**{"method": "POST", "url": PATH, **request_})

    assert response.status_code == status
    assert response.headers["content-type"] == "application/json; charset=utf-8"
    assert response.json()["errors"]


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_the_single_connection_mode_is_refused_with_a_reason(server, method):
    async with http_client(server, VI) as http:
        response = await http.request(method, PATH, headers={"Accept": "*/*"})

    assert response.status_code == 405
    assert "distinct connections mode only" in response.text


async def test_queries_and_mutations_are_one_event_each(server, restored_db):
    async with http_client(server, ADA) as http:
        query = await http.post(PATH, json={"query": "{ users_me { title } }"})
        get = await http.get(PATH, params={"query": "{ users_me { title } }"})
        mutation = 'mutation { update_users_me(data: { title: "By event" }) { title } }'
        changed = await http.post(PATH, json={"query": mutation})

    title = ("next", {"data": {"users_me": {"title": "Director"}}})
    assert events_of(query.text) == events_of(get.text) == [title, COMPLETE]
    assert events_of(changed.text) == [("next", {"data": {"update_users_me": {"title": "By event"}}}), COMPLETE]
    assert changed.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        ("text/event-stream", "text/event-stream"),
        ("Text/Event-Stream; q=0.5, multipart/mixed", "text/event-stream"),
        ("text/event-stream, application/json", "text/event-stream"),
        ("application/graphql-response+json, application/json, text/event-stream", "application/graphql-response+json"),
        ("application/json, text/event-stream", "application/json"),
        ("text/event-stream;q=0.9, */*", "application/json"),
        ("text/event-stream;q=0", "application/json"),
        ("text/event-stream;q=x, text/html", "application/json"),
        ("*/*", "application/json"),
    ],
)
async def test_events_are_for_those_who_prefer_them(server, accept, media):
    async with http_client(server, VI) as http:
        response = await http.post(PATH, json={"query": "{ users_me { title } }"}, headers={"Accept": accept})

    assert response.headers["content-type"].partition(";")[0] == media


async def test_a_subscription_without_that_preference_is_refused(server):
    async with http_client(server, VI) as http:
        response = await http.post(PATH, json={"query": SIMPLE}, headers={"Accept": "*/*"})

    assert response.status_code == 400
    assert "text/event-stream" in response.text


@pytest.mark.parametrize("settings", [{}, {"websockets_enabled": True, "websockets_graphql_enabled": False}])
async def test_a_server_without_subscriptions_says_so(shared_db, settings):
    async with served(shared_db.settings.model_copy(update=settings)) as client:
        response = await client.post(
            PATH, json={"query": SIMPLE}, headers={**EVENT_STREAM, "Authorization": f"Bearer {VI}"}
        )
    (name, result), end = events_of(response.text)

    assert (name, end) == ("next", COMPLETE)
    assert "not enabled" in json.dumps(result["errors"])


async def test_a_withdrawn_right_ends_what_it_showed(server, restored_db):
    async with event_stream(server, VI) as stream:
        await subscribed(server, 1)
        await write(
            restored_db,
            'UPDATE directus_permissions SET permissions = \'{"title": {"_eq": "Viewer"}}\' WHERE id = 4;',
        )
        lost = [await stream.next() for _ in range(4)]
        await write(restored_db, "DELETE FROM directus_permissions WHERE id = 4;")

        assert {(row["event"], row["data"]) for row in lost} == {("delete", None)}
        assert await stream.error_code() == "FORBIDDEN"


@pytest.mark.parametrize(
    "change",
    [
        f"UPDATE directus_users SET status = 'suspended' WHERE id = '{uid('vi')}';",
        f"UPDATE directus_users SET token = NULL WHERE id = '{uid('vi')}';",
        f"DELETE FROM directus_users WHERE id = '{uid('vi')}';",
    ],
    ids=["suspended", "without a token", "deleted"],
)
async def test_the_stream_of_a_user_who_may_no_longer_sign_in_ends_at_once(server, restored_db, change):
    async with event_stream(server, VI) as stream:
        await subscribed(server, 1)
        await write(restored_db, change)

        assert await stream.error_code() == "INVALID_CREDENTIALS"


async def test_an_expired_token_ends_the_stream_without_completing_it(server, shared_db):
    secret = shared_db.settings.secret.get_secret_value()
    async with event_stream(server, sign_access_token(secret, uid("vi"), ttl=timedelta(seconds=2))) as stream:
        end = await stream.event()

    assert end is None


async def test_streams_and_websocket_connections_share_their_limits(shared_db):
    limits = {"websockets_user_conn_limit": 2, "websockets_graphql_conn_limit": 3}
    async with serving(shared_db.settings, **limits) as server, graphql_client(server, VI), event_stream(server, VI):
        async with http_client(server, VI) as http:
            of_user = await http.post(PATH, json={"query": SIMPLE})
        async with event_stream(server, ADA), http_client(server, static_token("ed")) as http:
            of_all = await http.post(PATH, json={"query": SIMPLE})

    assert (of_user.status_code, of_all.status_code) == (503, 503)
    assert "Too many connections" in of_user.text


async def test_a_cookie_counts_only_with_a_known_origin(server):
    cookie = {"Cookie": f"directus_session_token={VI}"}
    own, evil = f"http://127.0.0.1:{server.port}", "https://evil.example.com"
    async with event_stream(server, headers={**cookie, "Origin": own}) as stream:
        known = stream.response.status_code
    async with http_client(server) as http:
        refused = await http.get(PATH, params={"query": SIMPLE}, headers={**cookie, "Origin": evil})

    assert (known, refused.status_code) == (200, 403)
    assert "PUBLIC_URL" in refused.text


async def test_a_page_of_an_allowed_origin_may_read_a_stream(shared_db):
    origin = "https://app.example.com"
    async with (
        serving(shared_db.settings, cors_enabled=True, cors_origin=(origin,)) as server,
        event_stream(server, VI, headers={"Origin": origin}) as stream,
    ):
        assert stream.response.headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize("mode", ["public", "handshake", "strict"])
async def test_only_the_public_mode_needs_no_credentials(shared_db, mode):
    async with (
        serving(shared_db.settings, websockets_graphql_auth=mode) as server,
        event_stream(server, query=SIMPLE) as stream,
    ):
        status = stream.response.status_code

    assert status == (200 if mode == "public" else 403)


async def test_each_stream_counts_as_a_request(shared_db):
    limit = {"rate_limiter_enabled": True, "rate_limiter_points": 1, "rate_limiter_duration": 60}
    async with (
        serving(shared_db.settings, **limit) as server,
        event_stream(server, VI),
        http_client(server, VI) as http,
    ):
        response = await http.post(PATH, json={"query": SIMPLE})

    assert response.status_code == 429


async def test_open_streams_take_no_turn_of_the_admission_queue(shared_db):
    limits = {"max_concurrent_requests": 2, "max_queued_requests": 1, "request_queue_timeout": 1}
    async with (
        serving(shared_db.settings, **limits) as server,
        http_client(server, VI) as http,
        event_stream(server, VI),
        event_stream(server, VI),
        event_stream(server, VI),
    ):
        await subscribed(server, 3)
        response = await http.post(PATH, json={"query": "{ users_me { id } }"})

    assert response.status_code == 200


async def test_a_stopping_server_ends_its_streams_and_accepts_no_other(shared_db):
    async with serving(shared_db.settings) as server, event_stream(server, VI) as stream:
        await subscribed(server, 1)
        server.app.drain()
        end = await stream.event()
        async with http_client(server, VI) as http:
            refused = await http.post(PATH, json={"query": SIMPLE})

    assert end is None
    assert refused.status_code == 503


async def test_a_server_that_is_not_drained_before_it_stops_ends_its_streams_too(shared_db):
    async with serving(shared_db.settings) as server, event_stream(server, VI) as stream:
        await subscribed(server, 1)
        server.uvicorn.should_exit = True

        assert await stream.event() is None
