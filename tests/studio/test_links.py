"""No dead ends: every link and every form of every page that a user can reach leads to something that exists."""

import pytest

from tests.http.clients import totp_code
from tests.studio.crawler import Crawler


@pytest.mark.slow
@pytest.mark.parametrize("user", ["ada", "ed", "vi", None])
async def test_every_link_and_form_leads_somewhere(studio, user):
    code = {"otp": totp_code()} if user == "ed" else {}
    crawler = Crawler(await studio.sign_in(user, **code) if user else studio)
    await crawler.run()

    assert crawler.dead_ends == []
    assert len(crawler.seen) > 1
