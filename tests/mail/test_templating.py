"""Email templates, built-in and custom, and valid recipients."""

from datetime import UTC, datetime

import pytest

from app.core.config import ConfigurationError
from app.mail.message import OutgoingMail, PermanentDeliveryError, one_line, parse_address
from app.mail.templating import DEFAULT_TEMPLATES, MAIL_KINDS, MailContext, MailTemplates

CONTEXT = MailContext("The <App>", "https://users.example.com/a?b=c&token=t", datetime(2024, 5, 6, 7, 8, tzinfo=UTC))


@pytest.mark.parametrize("kind", MAIL_KINDS)
def test_every_kind_contains_project_link_and_expiry(kind):
    mail = MailTemplates().render(kind, CONTEXT)

    assert CONTEXT.url in mail.text.splitlines()
    assert 'href="https://users.example.com/a?b=c&amp;token=t"' in mail.html
    assert all("2024-05-06 07:08 UTC" in body for body in (mail.text, mail.html))
    assert "The <App>" in mail.text
    assert "The &lt;App&gt;" in mail.html
    assert "<App>" not in mail.html
    assert "{" not in mail.text + mail.html.replace("{{", "")


def test_a_custom_template_overrides_only_the_one_of_its_name(tmp_path):
    (tmp_path / "invite.txt").write_text("Subject: Komm zu {{ project }}\n\nHier lang: {{ url }}\n", "utf-8")
    templates = MailTemplates(tmp_path)
    mail = templates.render("invite", CONTEXT)

    assert (mail.subject, mail.text) == ("Komm zu The <App>", f"Hier lang: {CONTEXT.url}\n")
    assert mail.html == MailTemplates().render("invite", CONTEXT).html
    assert templates.render("reset", CONTEXT) == MailTemplates().render("reset", CONTEXT)


def test_the_base_template_can_be_overridden_alone(tmp_path):
    (tmp_path / "mail.html").write_text("<h1>{{ project }}</h1>{% block message %}{% endblock %}", "utf-8")
    html = MailTemplates(tmp_path).render("verify", CONTEXT).html

    assert html.startswith("<h1>The &lt;App&gt;</h1>")
    assert "Verify that it is yours." in html


@pytest.mark.parametrize(
    "template",
    [
        "Subject: Hello\n\n{{ unknown }}",
        "Subject: Hello\n\n{% if %}",
        "Subject: Hello\n\n{{ url.__class__.__mro__ }}",
        "Subject: Hello\n\n{% include '../secret' %}",
        "Subject:\n\nHello",
        "Hello\n",
        "",
    ],
)
def test_an_invalid_template_is_an_error_at_the_start(tmp_path, template):
    (tmp_path.parent / "secret").write_text("a secret", "utf-8")
    (tmp_path / "reset.txt").write_text(template, "utf-8")
    with pytest.raises(ConfigurationError, match=r"EMAIL_TEMPLATES_PATH: the templates of reset cannot be rendered"):
        MailTemplates(tmp_path)


BLOCKS = "It has button, footer, message, validity"
LOST = "whose text is lost, because"
LOST_BLOCKS = [
    (
        {"invite.html": '{% extends "mail.html" %}{% block says %}Hi{% endblock %}{% block button %}Go{% endblock %}'},
        f"invite.html has a block says, {LOST} mail.html has none of that name. {BLOCKS}",
    ),
    (
        {"verify.html": '{% extends "mail.html" %}{% if project %}{% block otherwise %}Hi{% endblock %}{% endif %}'},
        f"verify.html has a block otherwise, {LOST} mail.html has none of that name. {BLOCKS}",
    ),
    (
        {"mail.html": "{% block says %}{% endblock %}"},
        f"invite.html has a block message, {LOST} mail.html has none of that name. It has says",
    ),
    (
        {
            "own.html": '{% extends "mail.html" %}{% block says %}{% endblock %}',
            "reset.html": '{% extends "own.html" %}{% block message %}Hi{% endblock %}',
        },
        f"own.html has a block says, {LOST} mail.html has none of that name. {BLOCKS}",
    ),
    (
        {
            "own.txt": "Subject: Hi\n{{ url }}",
            "reset.txt": '{% extends "own.txt" %}{% block text %}Hi{% endblock %}',
        },
        f"reset.txt has a block text, {LOST} own.txt has none of that name. It has no blocks",
    ),
]


@pytest.mark.parametrize(("files", "message"), LOST_BLOCKS)
def test_a_template_whose_text_would_be_lost_is_an_error_at_the_start(tmp_path, files, message):
    for name, text in files.items():
        (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(ConfigurationError) as error:
        MailTemplates(tmp_path)

    assert str(error.value) == f"EMAIL_TEMPLATES_PATH: {message}"


def test_a_template_may_add_blocks_within_blocks_and_to_a_layout(tmp_path):
    (tmp_path / "own.html").write_text(
        '{% extends "mail.html" %}{% block message %}<i>{% block inner %}{% endblock %}</i>{% endblock %}', "utf-8"
    )
    (tmp_path / "reset.html").write_text(
        '{% extends "own.html" %}{% block inner %}Hi {% block deeper %}you{% endblock %}{% endblock %}', "utf-8"
    )

    assert "<i>Hi you</i>" in MailTemplates(tmp_path).render("reset", CONTEXT).html


def test_a_missing_directory_is_an_error(tmp_path):
    with pytest.raises(ConfigurationError, match="is not a directory"):
        MailTemplates(tmp_path / "missing")


def test_the_built_in_templates_are_complete():
    assert {file.name for file in DEFAULT_TEMPLATES.iterdir()} == {
        "mail.html",
        *(f"{kind}.{extension}" for kind in MAIL_KINDS for extension in ("txt", "html")),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" a \r\n b\t", "a b"),
        ("a\u2028b\x00c", "a b c"),
        ("\u202egpj.exe", "gpj.exe"),
        ("Größe 目录", "Größe 目录"),
        ("\udcff", ""),
        ("", ""),
    ],
)
def test_one_line_drops_line_breaks_and_non_printable_characters(text, expected):
    assert one_line(text) == expected


@pytest.mark.parametrize(
    "text", ["", "a", "a@", "a@b, c@d", "A <a@b.example>", "a@b\r\nBcc: c@d", "a b@c", "a@b c", "\x00", "a@ö..example"]
)
def test_a_text_that_is_not_one_address_is_rejected(text):
    for role in ("recipient", "sender"):
        with pytest.raises(PermanentDeliveryError, match=f"^The {role} is not a valid email address$"):
            parse_address(text, role)


@pytest.mark.parametrize("text", ["a@example.com", '"a b"@example.com', "ü@example.com", "o'a+b@sub.example.com"])
def test_a_single_address_is_accepted(text):
    content = MailTemplates().render("invite", CONTEXT)
    message = OutgoingMail("1", 'A "B", C', "no-reply@example.com", text, content, CONTEXT.expires).message()

    assert [address.addr_spec for address in message["To"].addresses] == [text]
    assert message["From"].addresses[0].display_name == 'A "B", C'
    assert message["Date"].datetime == CONTEXT.expires
