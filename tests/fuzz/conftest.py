"""A server in a thread of its own, for tests that send thousands of requests."""

import asyncio
import threading
import time
from datetime import timedelta

import pytest
import pytest_asyncio
import uvicorn

from app.core.tokens import sign_access_token
from app.main import create_app
from tests.base_data import uid
from tests.flows.conftest import inviters, inviters_db
from tests.flows.inviters import update_settings

__all__ = ["inviters", "inviters_db"]


@pytest_asyncio.fixture
async def open_registration(inviters, monkeypatch):
    """The database with public registration enabled and without delays after failed logins."""
    monkeypatch.setattr("app.flows.login_lockout.MAX_DELAY", timedelta(0))
    await update_settings(inviters, public_registration=True)
    return inviters


@pytest.fixture
def base_url(open_registration):
    """The URL of the running server."""
    app = create_app(open_registration.settings.model_copy(update={"log_level": "error"}))
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="on", log_config=None))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def auth_headers(inviters):
    """Return a function that makes the headers of a user.

    The token belongs to no session and names nothing but its user, so it stays valid whatever the requests write.
    """

    def headers_for(name):
        secret = inviters.settings.secret.get_secret_value()
        token = sign_access_token(secret, uid(name), ttl=timedelta(hours=1))
        return {"Authorization": f"Bearer {token}"}

    return headers_for
