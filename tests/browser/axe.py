"""Checks pages with axe-core."""

from playwright.async_api import Page

from tests.browser.axe_script import SCRIPT

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
"""Levels A and AA of WCAG 2.0 to 2.2, and what axe-core recommends beyond them."""
RUN = """async (tags) => {
  const { violations } = await axe.run(document, { runOnly: tags, resultTypes: ["violations"] });
  return violations.flatMap(({ id, help, nodes }) => nodes.map((node) => `${id}: ${help}: ${node.html}`));
}"""


async def violations(page: Page) -> list[str]:
    """Return what axe-core finds in a page, each with the rule and the element."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(SCRIPT.read_text())  # the page's policy forbids a script element with it
    found: list[str] = await page.evaluate(RUN, TAGS)
    return found
