"""Using pages by keyboard only."""

from playwright.async_api import Locator, Page

MOST_STOPS = 80


async def tab_to(page: Page, target: Locator) -> None:
    """Press Tab until an element has the focus.

    Raises:
        AssertionError: The keyboard does not reach it.
    """
    for _ in range(MOST_STOPS):
        await page.keyboard.press("Tab")
        if await target.evaluate("(element) => element === document.activeElement"):
            return
    raise AssertionError(f"Tab does not lead to {target}")
