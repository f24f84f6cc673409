"""Colors as `#rrggbb`: the color of a project, and texts that are readable in it or on it."""

import colorsys
import re

DEFAULT_COLOR = "#6644ff"
COLOR = re.compile(r"#[0-9a-f]{6}", re.ASCII)
MIN_CONTRAST = 4.6
"""Slightly more than the 4.5 that WCAG 2.2 asks of text (success criterion 1.4.3)."""
WHITE, BLACK = "#ffffff", "#000000"
LIGHTNESS_STEP = 0.02

Rgb = tuple[float, float, float]


def project_color(value: str | None) -> str:
    """Return a project's color as `#rrggbb`, the default one if it is missing or written in another way."""
    color = (value or "").strip().lower()
    return color if COLOR.fullmatch(color) else DEFAULT_COLOR


def text_color_on(color: str) -> str:
    """Return white or black, whichever is more readable on a color."""
    return max(WHITE, BLACK, key=lambda text: contrast(text, color))


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colors, 1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((_luminance(first), _luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def readable_on(color: str, surface: str) -> str:
    """Return the color, made darker or lighter until texts in it are readable on the surface."""
    hue, lightness, saturation = colorsys.rgb_to_hls(*_parse(color))
    step = -LIGHTNESS_STEP if _luminance(surface) > 0.5 else LIGHTNESS_STEP
    while contrast(color, surface) < MIN_CONTRAST and 0 < lightness + step < 1:
        lightness += step
        color = _format(colorsys.hls_to_rgb(hue, lightness, saturation))
    return color if contrast(color, surface) >= MIN_CONTRAST else (BLACK if step < 0 else WHITE)


def _luminance(color: str) -> float:
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in _parse(color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _parse(color: str) -> Rgb:
    red, green, blue = (int(color[index : index + 2], 16) / 255 for index in (1, 3, 5))
    return red, green, blue


def _format(color: Rgb) -> str:
    return "#" + "".join(f"{round(part * 255):02x}" for part in color)
