"""The number of a page in the address of a list."""

MAX_PAGE = 1_000_000


def page_number(text: str | None) -> int:
    """Return the number; 1 for a text that is none, or that no list has."""
    text = text or ""
    is_number = text.isascii() and text.isdecimal() and len(text) <= len(str(MAX_PAGE))
    return min(max(int(text), 1), MAX_PAGE) if is_number else 1
