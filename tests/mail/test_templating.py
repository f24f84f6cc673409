"""What mails say can be said otherwise, in a folder of one's own."""

from datetime import UTC, datetime

import pytest

from app.core.config import ConfigurationError
from app.mail.message import OutgoingMail, PermanentDeliveryError, one_line, parse_address
from app.mail.templating import DEFAULT_TEMPLATES, MAIL_KINDS, MailContext, MailTemplates

FACTS = MailContext("The <House>", "https://users.example.com/a?b=c&token=t", datetime(2024, 5, 6, 7, 8, tzinfo=UTC))


@pytest.mark.parametrize("kind", MAIL_KINDS)
def test_every_kind_says_whose_link_it_is_and_until_when(kind):
    words = MailTemplates().render(kind, FACTS)

    assert FACTS.url in words.text.splitlines()
    assert 'href="https://users.example.com/a?b=c&amp;token=t"' in words.html
    assert all("2024-05-06 07:08 UTC" in said for said in (words.text, words.html))
    assert "The <House>" in words.text
    assert "The &lt;House&gt;" in words.html
    assert "<House>" not in words.html
    assert "{" not in words.text + words.html.replace("{{", "")


def test_a_template_of_ones_own_stands_before_ours_and_the_others_stay(tmp_path):
    (tmp_path / "invite.txt").write_text("Subject: Komm zu {{ project }}\n\nHier lang: {{ url }}\n", "utf-8")
    wording = MailTemplates(tmp_path)
    words = wording.render("invite", FACTS)

    assert (words.subject, words.text) == ("Komm zu The <House>", f"Hier lang: {FACTS.url}\n")
    assert words.html == MailTemplates().render("invite", FACTS).html
    assert wording.render("reset", FACTS) == MailTemplates().render("reset", FACTS)


def test_the_frame_of_all_mails_can_be_replaced_alone(tmp_path):
    (tmp_path / "mail.html").write_text("<h1>{{ project }}</h1>{% block says %}{% endblock %}", "utf-8")
    html = MailTemplates(tmp_path).render("verify", FACTS).html

    assert html.startswith("<h1>The &lt;House&gt;</h1>")
    assert "Is it yours?" in html


@pytest.mark.parametrize(
    "template",
    [
        "Subject: Hello\n\n{{ nobody }}",
        "Subject: Hello\n\n{% if %}",
        "Subject: Hello\n\n{{ url.__class__.__mro__ }}",
        "Subject: Hello\n\n{% include '../secret' %}",
        "Subject:\n\nHello",
        "Hello\n",
        "",
    ],
)
def test_a_template_that_cant_be_used_is_told_of_when_we_start(tmp_path, template):
    (tmp_path.parent / "secret").write_text("a secret", "utf-8")
    (tmp_path / "reset.txt").write_text(template, "utf-8")
    with pytest.raises(ConfigurationError, match=r"EMAIL_TEMPLATES_PATH: the templates of reset can't be used"):
        MailTemplates(tmp_path)


def test_a_folder_that_isnt_there_is_told_of(tmp_path):
    with pytest.raises(ConfigurationError, match="is not a folder"):
        MailTemplates(tmp_path / "nowhere")


def test_our_templates_are_where_they_are_installed_from():
    assert {file.name for file in DEFAULT_TEMPLATES.iterdir()} == {
        "mail.html",
        *(f"{k}.{s}" for k in MAIL_KINDS for s in ("txt", "html")),
    }


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (" a \r\n b\t", "a b"),
        ("a\u2028b\x00c", "a b c"),
        ("\u202egpj.exe", "gpj.exe"),
        ("Größe 目录", "Größe 目录"),
        ("\udcff", ""),
        ("", ""),
    ],
)
def test_a_name_is_one_line_of_what_can_be_seen(name, shown):
    assert one_line(name) == shown


@pytest.mark.parametrize(
    "text", ["", "a", "a@", "a@b, c@d", "A <a@b.example>", "a@b\r\nBcc: c@d", "a b@c", "a@b c", "\x00"]
)
def test_what_is_no_single_address_gets_no_mail(text):
    with pytest.raises(PermanentDeliveryError):
        parse_address(text)


@pytest.mark.parametrize("text", ["a@example.com", '"a b"@example.com', "ü@example.com", "o'a+b@sub.example.com"])
def test_what_is_one_address_is_written_to(text):
    words = MailTemplates().render("invite", FACTS)
    message = OutgoingMail("1", 'A "B", C', "no-reply@example.com", text, words, FACTS.expires).message()

    assert [one.addr_spec for one in message["To"].addresses] == [text]
    assert message["From"].addresses[0].display_name == 'A "B", C'
    assert message["Date"].datetime == FACTS.expires
