"""What stops the start of a server with extensions, and what the error says."""

import sys
import textwrap

import pytest

from app.core.config import ConfigurationError
from app.extensions.registrar import Registrar
from app.main import create_app
from tests.conftest import make_settings

GOOD = "def register(extend):\n    @extend.endpoint('/mine')\n    async def mine(request, directory): ...\n"


def registering(body):
    return f"async def f(*args): ...\ndef g(*args): ...\n\ndef register(extend):\n{textwrap.indent(body, '    ')}\n"


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Start a server with modules of these names and contents as extensions."""
    monkeypatch.syspath_prepend(tmp_path)

    def start(*additional, **modules):
        for name, text in modules.items():
            (tmp_path / f"{name}.py").write_text(text)
            monkeypatch.delitem(sys.modules, name, raising=False)
        settings = make_settings(f"sqlite+aiosqlite:///{tmp_path / 'rollcall.db'}", extensions=tuple(modules))
        return create_app(settings, extensions=additional)

    return start


def reason(start, text):
    with pytest.raises(ConfigurationError) as error:
        start(broken_module=text)
    message = str(error.value)
    assert message.startswith('The extension "broken_module" cannot be used: ')
    assert message.endswith(".")
    assert "\n" not in message
    return message.partition("used: ")[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("import missing_module_x", "importing it raised ModuleNotFoundError: No module named 'missing_module_x'."),
        ("def", "importing it raised SyntaxError: "),
        ("raise ValueError('first\\nsecond')", "importing it raised ValueError: first."),
        ("import sys; sys.exit(3)", "importing it raised SystemExit: 3."),
        ("x = 1", "it has no function register(extend)."),
        ("register = 1", "it has no function register(extend)."),
        (registering("raise KeyError('x')"), "register raised KeyError: 'x'."),
        ("async def register(extend): ...", "register must be a plain function, not one with `async`."),
        (registering("extend.endpoint('/a')(g)"), 'the function for "/a" must be defined with `async def`.'),
        (registering("extend.endpoint('a')(f)"), 'the path "a" must begin with a slash'),
        (registering("extend.endpoint('/A')(f)"), 'the path "/A" must begin with a slash'),
        (registering("extend.endpoint('/')(f)"), 'the path "/" must begin with a slash'),
        (registering("extend.endpoint('/{x}')(f)"), 'the path "/{x}" must begin with a slash'),
        (registering("extend.endpoint('/a/{x}/{x}')(f)"), 'the path "/a/{x}/{x}" is invalid: '),
        (registering("extend.endpoint('/users/more')(f)"), 'the path "/users/more" is below one of Rollcall\'s own'),
        (registering("extend.endpoint('/fields')(f)"), 'the path "/fields" is below one of Rollcall\'s own'),
        (registering("extend.endpoint('/a', methods=['TRACE'])(f)"), 'the methods of "/a" must be a list of these:'),
        (registering("extend.endpoint('/a', methods='GET')(f)"), 'the methods of "/a" must be a list of these:'),
        (
            registering("extend.before('user.create')(f)"),
            'there is no event "user.create"; similar ones are users.c',
        ),
        (registering("extend.after('items.create')(f)"), 'there is no event "items.create"; similar ones are '),
        (registering("extend.after()(f)"), "a hook must name at least one event, such as users.create."),
        (registering("extend.after('users.create')(g)"), 'the function for "users.create" must be defined with'),
        (
            registering("from datetime import timedelta\nextend.job(timedelta(milliseconds=1))(f)"),
            'the interval of the job "broken_module.f" must be a timedelta of 1 second to 366 days.',
        ),
        (registering("extend.job(60)(f)"), 'the interval of the job "broken_module.f" must be a timedelta'),
        (
            registering("from datetime import timedelta\nfor _ in 1, 2: extend.job(timedelta(1))(f)"),
            '"job broken_module.f" is registered already',
        ),
        (
            registering("extend.endpoint('/a')(f)\nextend.endpoint('/a', methods=['POST', 'GET'])(f)"),
            '"GET /a" is registered already, by "broken_module".',
        ),
    ],
)
def test_an_invalid_extension_stops_the_start_with_one_sentence(start, text, expected):
    assert reason(start, text).startswith(expected)


def test_an_extension_that_does_not_exist_stops_the_start(tmp_path):
    settings = make_settings(f"sqlite+aiosqlite:///{tmp_path / 'rollcall.db'}", extensions=("no_such_extension",))

    with pytest.raises(ConfigurationError, match='"no_such_extension" cannot be used: importing it raised Module'):
        create_app(settings)


def test_two_extensions_cannot_register_one_path(start):
    with pytest.raises(ConfigurationError, match='"second" cannot be used: "GET /mine" is registered already, by "fir'):
        start(first=GOOD, second=GOOD)


def test_two_methods_of_one_path_can_have_functions_of_their_own(start):
    text = registering("extend.endpoint('/a')(f)\nextend.endpoint('/a', methods=['POST'])(f)")

    assert "/a" in start(good=text).endpoints


def test_a_function_can_be_passed_instead_of_a_module(start):
    def register(extend):
        @extend.endpoint("/passed")
        async def passed(request, directory): ...

    assert "/passed" in start(register).endpoints


def test_an_installed_package_names_its_module_with_an_entry_point(start, tmp_path):
    (tmp_path / "installed_module.py").write_text(GOOD)
    metadata = tmp_path / "installed-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: installed\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[rollcall.extensions]\nmine = installed_module\n")

    assert "/mine" in start().endpoints
    assert "/mine" in start(installed_module=GOOD).endpoints


def test_nothing_can_be_registered_after_the_start(start):
    kept: list[Registrar] = []
    start(kept.append)

    async def late(request, directory): ...

    with pytest.raises(ConfigurationError, match='it registers "/late" only after `register` has returned'):
        kept[0].endpoint("/late")(late)
