"""The style sheet with a project's color, and readable variants of it for texts."""

import re

from app.core.colors import readable_on, text_color_on

THEME_FILE = re.compile(r"theme-([0-9a-f]{6})\.css", re.ASCII)
LIGHT_SURFACE, DARK_SURFACE = "#eef0f4", "#242a36"
"""The least favorable surfaces behind colored texts; see the variables of studio.css."""


def theme_css(name: str) -> str | None:
    """Return the style sheet with a project's color; None if `name` is not that of such a file."""
    match = THEME_FILE.fullmatch(name)
    if match is None:
        return None
    color = f"#{match[1]}"
    light, dark = readable_on(color, LIGHT_SURFACE), readable_on(color, DARK_SURFACE)
    return (
        f":root {{ --brand: {color}; --on-brand: {text_color_on(color)}; "
        f"--brand-text-light: {light}; --brand-text-dark: {dark}; }}\n"
    )
