"""Matching of regular expressions is bounded per match, per request and in all, and never blocks the event loop."""

import asyncio

import pytest

from app.core import regex_matcher
from app.core.ecmascript_regex import InvalidRegex
from app.core.errors import InvalidPayload, ServiceUnavailable
from app.core.regex_matcher import MATCH_THREADS, MAX_TEXT_LENGTH, MAX_WAITING, RegexMatcher
from app.core.request_budget import RequestBudget
from tests.logs import captured_logs

SLOW, SLOW_TEXT = r"/^(a+)+\1b$/", "a" * 64
LONG_SOURCE = "(?:" * 150 + "a" + ")*" * 150


@pytest.fixture
def matcher():
    return RegexMatcher()


async def outcome(matcher, pattern=SLOW, text=SLOW_TEXT, budget=None):
    try:
        return await matcher.matches(pattern, text, "title", budget or RequestBudget(0))
    except (InvalidPayload, ServiceUnavailable) as error:
        return error.reason


async def test_texts_match_wherever_the_match_runs(matcher):
    for pattern in ("/^a+b$/", LONG_SOURCE):
        for text in ("ab", "a" * 50_000 + "b"):
            assert await outcome(matcher, pattern, text) is True
    assert await outcome(matcher, "/^a+b$/", "a" * 50_000) is False


async def test_a_match_that_takes_too_long_is_an_error_and_is_logged_without_the_text(matcher):
    with captured_logs(regex_matcher) as events:
        reason = await outcome(matcher)

    assert reason.startswith('"title" takes longer than 100 ms to match with its regular expression; send a shorter')
    assert events == [{"event": "regex_match_aborted", "log_level": "warning", "field": "title"}]


async def test_a_slow_match_does_not_block_the_event_loop(matcher, monkeypatch):
    monkeypatch.setattr(regex_matcher, "MATCH_SECONDS", 1)
    hostile = asyncio.create_task(outcome(matcher, budget=RequestBudget(0, 2)))
    for _ in range(5):
        await asyncio.sleep(0)
        assert await outcome(matcher, "/^[a-z]+$/", "abc") is True
        assert not hostile.done()
    assert "1000 ms" in await hostile


async def test_a_regular_expression_is_matched_on_the_event_loop_again_after_a_fast_match(matcher, monkeypatch):
    monkeypatch.setattr(regex_matcher, "SLOW_SECONDS", 0.05)
    await outcome(matcher)
    assert await outcome(matcher, SLOW, "b") is False
    monkeypatch.setattr(matcher, "_run", None)

    assert await outcome(matcher, SLOW, "b") is False


async def test_all_matches_of_a_request_together_are_bounded(matcher):
    budget = RequestBudget(0)
    reasons = [await outcome(matcher, budget=budget) for _ in range(7)]

    assert "longer than 100 ms" in reasons[0]
    assert "The regular expressions of this request take longer than 500 ms in all" in reasons[-1]
    assert budget.regex_seconds < 0
    assert "500 ms" in await outcome(matcher, LONG_SOURCE, "a", budget)


async def test_only_so_many_matches_wait_for_a_thread(matcher, monkeypatch):
    monkeypatch.setattr(regex_matcher, "MATCH_SECONDS", 0.03)
    reasons = await asyncio.gather(*(outcome(matcher) for _ in range(MATCH_THREADS + MAX_WAITING + 5)))

    assert sum("Too many values are waiting" in reason for reason in reasons) == 5
    assert await outcome(matcher, "^a$", "a") is True


async def test_a_cancelled_match_makes_room(matcher):
    tasks = [asyncio.create_task(outcome(matcher)) for _ in range(MATCH_THREADS + MAX_WAITING)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert "100 ms" in await outcome(matcher)


async def test_a_text_that_is_too_long_to_match_is_an_error_with_the_limit(matcher):
    assert await outcome(matcher, "^a", "a" * MAX_TEXT_LENGTH) is True
    assert f"at most {MAX_TEXT_LENGTH}" in await outcome(matcher, "^a", "a" * (MAX_TEXT_LENGTH + 1))


async def test_an_invalid_regular_expression_is_logged_when_a_value_is_matched_with_it(matcher):
    with captured_logs(regex_matcher) as events:
        with pytest.raises(InvalidRegex):
            await matcher.check("/(/", RequestBudget(0))
        with pytest.raises(InvalidRegex):
            await outcome(matcher, "/(/")

    assert events == [{"event": "regex_invalid", "log_level": "warning", "field": "title"}]
