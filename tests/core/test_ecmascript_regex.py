"""Regular expressions have the results of node, recorded in `regex_answers.json`, and each match has a time limit."""

import json
from pathlib import Path

import pytest

from app.core.ecmascript_regex import MAX_SOURCE_LENGTH, InvalidRegex, MatchLimitExceeded, Regex, unwrap

CASES = json.loads((Path(__file__).parent / "regex_answers.json").read_text())["cases"]
NEWER_THAN_NODE_20 = {"mod-i", "dup-name-alt"}
"""Cases with syntax of a later edition of ECMA-262: modifiers, and names shared between alternatives."""
WITH_LOOKAROUND, WITH_BACKREFERENCE = r"(?:(?=(a*))a)*b", r"^(a+)+\1b$"


def answers(source, texts):
    try:
        regex = Regex(source)
    except InvalidRegex:
        return None
    return [regex.test(text, 1) for text in texts]


def test_every_result_is_the_one_of_node():
    different = {case["name"] for case in CASES if answers(case["source"], case["texts"]) != case["answers"]}

    assert len(CASES) == 95
    assert different == NEWER_THAN_NODE_20


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("(a", "unterminated group at offset 2"),
        ("[z-a]", "range out of order in character class at offset 4"),
        ("(?P<x>a)", "invalid group at offset 2"),
        ("a" * (MAX_SOURCE_LENGTH + 1), f"it has more than {MAX_SOURCE_LENGTH} characters"),
        ("(" * 1001 + ")" * 1001, "the groups of the pattern nest more than 1000 deep"),
        ("a\ud83d", "it contains an unpaired surrogate"),
    ],
)
def test_an_invalid_expression_is_rejected_with_the_reason(source, reason):
    with pytest.raises(InvalidRegex, match=f"^{reason}$"):
        Regex(source)


def test_a_catastrophic_expression_is_matched_in_linear_time():
    assert not Regex("^(a+)+$").test("a" * 100_000 + "!", 5)


@pytest.mark.parametrize("source", [WITH_LOOKAROUND, WITH_BACKREFERENCE])
@pytest.mark.parametrize("seconds", [0.02, 0.0, -1.0, 1e-12])
def test_a_match_that_reaches_its_limit_is_stopped_without_a_result(source, seconds):
    with pytest.raises(MatchLimitExceeded):
        Regex(source).test("a" * 30_000, seconds)


@pytest.mark.parametrize(
    ("pattern", "source"),
    [
        ("/^a$/", "^a$"),
        ("^a$", "^a$"),
        ("/^a$/i", "/^a$/i"),
        ("/a", "/a"),
        ("a/", "a/"),
        ("/", ""),
        ("//", ""),
        ("", ""),
    ],
)
def test_slashes_at_both_ends_are_removed_and_flags_are_not_read(pattern, source):
    assert unwrap(pattern) == source
