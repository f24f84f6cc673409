"""The spellings of an email address, and a key that is the same for all of them."""

import pytest

from app.core.email_addresses import email_key, email_spellings, is_canonical_domain

UNICODE, ASCII = "Info@Dömäin.example", "info@xn--dmin-moa0i.example"


@pytest.mark.parametrize(
    ("email", "others"),
    [
        (UNICODE, ["Info@xn--dmin-moa0i.example"]),
        (ASCII, ["info@dömäin.example"]),
        (ASCII.upper(), ["INFO@dömäin.example"]),
        ("a@straße.example", ["a@xn--strae-oqa.example"]),
        ("ü@xn--p1ai.xn--p1ai", ["ü@рф.рф"]),
        ("ü@example.com", []),
        ("a@xn--a.example", []),  # not a valid label
        ("a@ö..example", []),
        ("a@" + "ö" * 400, []),
        ("xn--", []),
        ("", []),
    ],
)
def test_an_international_domain_has_two_spellings(email, others):
    assert email_spellings(email) == (email, *others)


def test_all_spellings_have_one_key():
    assert len({email_key(email) for email in (UNICODE, UNICODE.upper(), ASCII, ASCII.upper())}) == 1
    assert email_key("a@straße.example") == email_key("A@XN--STRAE-OQA.example")
    assert email_key("Ada@Example.com") == "ada@example.com"


@pytest.mark.parametrize(
    ("domain", "canonical"),
    [("example.com", True), ("Dömäin.example", True), ("ｅxample.com", False), ("a。ö", False)],  # noqa: RUF001
)
def test_a_domain_of_compatibility_characters_is_not_canonical(domain, canonical):
    assert is_canonical_domain(domain) == canonical
