"""Traces: the spans of a request, their parents, and that no value of a request or of a row is in one."""

import asyncio
import json
import subprocess
import sys
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpx
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from pydantic import SecretStr

from app.core.config import ConfigurationError
from app.directus.client import DirectusClient
from app.identity_providers.http_client import ProviderHttpClient
from app.main import create_app
from app.tracing import tracer_factory
from app.tracing.opentelemetry_tracer import OpenTelemetryTracer, _CurrentSpan, root_rate
from app.tracing.statement_text import describe_statement
from tests.base_data import static_token, uid
from tests.http.clients import PASSWORD
from tests.http.test_graphql import ADA, PATH

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


class Traced(NamedTuple):
    """A client of a server, and the spans of that."""

    client: httpx.AsyncClient
    exporter: InMemorySpanExporter

    def spans(self, method="GET"):
        """Return the finished spans of requests with their descendants, the latest root last."""
        spans = self.exporter.get_finished_spans()
        jobs = {span.context.trace_id for span in spans if span.name.startswith("job ")}
        return [span for span in spans if span.context.trace_id not in jobs]

    def tree(self):
        """Return each span's name with that of its parent."""
        spans = self.spans()
        names = {span.context.span_id: span.name for span in spans}
        return [(names.get(span.parent.span_id) if span.parent else None, span.name) for span in spans]


@asynccontextmanager
async def traced(settings, sampler=ALWAYS_ON):
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app = create_app(settings, tracer=OpenTelemetryTracer(provider, sampler))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://rollcall") as client,
    ):
        await client.get("/users/me", headers=ADA)  # from now on, the caller's access is cached
        exporter.clear()
        yield Traced(client, exporter)


@pytest.mark.planning
async def test_a_planned_request_has_spans_for_itself_its_plan_and_its_statement(readonly_db):
    async with traced(readonly_db.settings) as server:
        await server.client.post(PATH, json={"query": "{ users_me { id } }"}, headers=ADA)
        graphql = server.tree()
        server.exporter.clear()
        await server.client.get("/users?fields=id", headers=ADA)
        rest = server.tree()

    request = f"POST {PATH}"
    assert graphql == [("plan graphql", "SELECT"), (request, "plan graphql"), (None, request)]
    assert rest == [("plan rest", "SELECT"), ("GET /users", "plan rest"), (None, "GET /users")]


async def test_a_full_execution_has_a_span_for_each_read(readonly_db):
    query = '{ users_me { id } roles { name } __type(name: "directus_users") { name } }'
    async with traced(readonly_db.settings) as server:
        await server.client.post(PATH, json={"query": query}, headers=ADA)
        tree = server.tree()

    assert (f"POST {PATH}", "execute graphql") in tree
    assert {("execute graphql", f"read directus_{name}") for name in ("users", "roles")} <= set(tree)
    assert ("read directus_users", "SELECT") in tree


async def test_a_write_has_spans_of_its_statements(members):
    async with traced(members.settings) as server:
        response = await server.client.patch(f"/users/{uid('vi')}", json={"first_name": "Violet"}, headers=ADA)
        spans, tree = server.spans(), server.tree()

    assert response.status_code == 200
    assert ("PATCH /users/*", "write directus_users") in tree
    statements = [span.attributes["db.query.text"] for span in spans if "db.query.text" in span.attributes]
    assert any("UPDATE directus_users" in text for text in statements)
    assert {span.attributes.get("db.system.name") for span in spans} == {None, members.database.dialect}


async def test_a_request_is_part_of_its_clients_trace(readonly_db):
    async with traced(readonly_db.settings) as server:
        await server.client.get("/users/me", headers={**ADA, **TRACEPARENT})
        *_, request = server.spans()
        server.exporter.clear()
        await server.client.get("/users/me", headers={**ADA, "traceparent": "nonsense"})
        *_, other = server.spans()

    assert (f"{request.context.trace_id:032x}", f"{request.parent.span_id:016x}") == (TRACE, PARENT)
    assert request.attributes == {
        "http.request.method": "GET",
        "http.route": "/users/me",
        "http.response.status_code": 200,
    }
    assert other.parent is None


async def test_a_request_that_is_not_sampled_has_no_spans(readonly_db):
    async with traced(readonly_db.settings, ALWAYS_OFF) as server:
        response = await server.client.get("/users/me", headers=ADA)

    assert response.status_code == 200
    assert server.spans() == []


async def test_no_span_contains_a_value(members):
    secret, alias, regex = "Zq7-secret-value", "Zq7Alias", "zq7.regex"
    values = [secret, alias, regex, PASSWORD, "example.com", "zq7-token", static_token("ada"), uid("vi"), "424242"]
    queries = [
        f'{{ users(filter: {{ first_name: {{ _eq: "{secret}" }} }}, limit: 424242) {{ {alias}: id email }} }}',
        f'{{ users(search: "{secret}") {{ {alias}: first_name role {{ {alias}: name }} }} }}',
        f'{{ users(filter: {{ email: {{ _regex: "{regex}" }} }}) {{ id }} }}',
        f'mutation {{ {alias}: update_users_item(id: "{uid("vi")}", data: {{ last_name: "{secret}" }}) {{ id }} }}',
        f'{{ users_by_id(id: "{secret}") {{ id }} {alias} }}',
    ]
    async with traced(members.settings) as server:
        for query in queries * 2:
            await server.client.post(PATH, json={"query": query}, headers={**ADA, "X-Request-Id": "zq7-token"})
        await server.client.get(f"/users/{uid('vi')}?filter[title][_eq]={secret}&alias[{alias}]=email", headers=ADA)
        await server.client.get(f"/{secret}", headers={"Authorization": "Bearer zq7-token"})
        await server.client.get("/users/me", headers={"Authorization": "Bearer zq7-token"})
        login = {"email": "vi@example.com", "password": PASSWORD}
        tokens = (await server.client.post("/auth/login", json=login)).json()["data"]
        await server.client.post("/auth/login", json={**login, "password": secret})
        await server.client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
        await server.client.post("/users", json={"email": f"{alias}@example.com", "password": secret}, headers=ADA)
        spans = server.exporter.get_finished_spans()
    texts = [span.to_json() for span in spans]

    assert len({span.name for span in spans}) > 8
    for value in (*values, *tokens.values()):
        quoted = json.dumps(str(value))[1:-1]
        assert [text for text in texts if quoted in text] == [], value


@pytest.mark.parametrize(
    ("text", "operation", "described"),
    [
        (
            "SELECT 'it''s', 12.5, $1, t1.a FROM \"t 2\" t1 LIMIT 10",
            "SELECT",
            'SELECT ?, ?, $1, t1.a FROM "t 2" t1 LIMIT ?',
        ),
        ("  insert into a values (?, 'b\nc', -3)", "INSERT", "  insert into a values (?, ?, -?)"),
        ("COMMIT", "COMMIT", "COMMIT"),
        ("SELECT 'cut off", "SELECT", "SELECT ?"),
    ],
)
def test_literals_of_statements_are_replaced(text, operation, described):
    assert describe_statement(text) == (operation, described)


async def test_requests_to_other_servers_continue_the_trace():
    heads, exporter, provider = [], InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    async def answer(reader, writer):
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    directus, identity_provider = DirectusClient(SecretStr("only for this test")), ProviderHttpClient()
    with OpenTelemetryTracer(provider).job("test"):
        await directus.clear_cache(url)
        await identity_provider.get(url)
    await identity_provider.get(url)
    await directus.close()
    await identity_provider.close()
    server.close()
    (span,) = exporter.get_finished_spans()
    expected = f"traceparent: 00-{span.context.trace_id:032x}-{span.context.span_id:016x}-".encode()

    assert [expected in head for head in heads] == [True, True, False]


def test_without_traces_opentelemetry_is_not_imported():
    code = "import sys, app.main; print(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_traces_need_the_extra(readonly_db, monkeypatch):
    monkeypatch.setitem(sys.modules, "app.tracing.opentelemetry_tracer", None)
    with pytest.raises(ConfigurationError, match=r"rollcall\[otel\]"):
        tracer_factory.create_tracer(readonly_db.settings.model_copy(update={"traces_enabled": True}))


@pytest.mark.parametrize(
    ("sampler", "argument", "rate"),
    [
        (None, None, 1.0),
        ("always_off", None, 0.0),
        ("parentbased_always_on", None, 1.0),
        ("traceidratio", "0.25", 0.25),
        ("ParentBased_TraceIdRatio", "0", 0.0),
        ("parentbased_traceidratio", "2", None),
        ("parentbased_traceidratio", "many", None),
        ("parentbased_traceidratio", None, None),
        ("parentbased_jaeger_remote", "0.5", None),
    ],
)
def test_the_share_of_sampled_requests_is_known_of_the_usual_samplers(sampler, argument, rate):
    variables = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": argument}
    assert root_rate({name: value for name, value in variables.items() if value is not None}) == rate


def test_requests_without_a_context_are_sampled_at_the_known_rate_and_others_as_their_parent_was():
    tracer = OpenTelemetryTracer(TracerProvider(shutdown_on_exit=False), ParentBased(ALWAYS_OFF), root_rate=0.5)
    sampled = sum(tracer.request("GET", []) is not None for _ in range(1_000))
    with_parent = [(name.encode(), value.encode()) for name, value in TRACEPARENT.items()]

    assert 350 < sampled < 650
    assert all(isinstance(tracer.request("GET", with_parent), _CurrentSpan) for _ in range(100))
