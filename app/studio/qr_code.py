"""QR codes as images within a page."""

from markupsafe import Markup

BORDER_MODULES = 4
"""The quiet zone that readers need (ISO/IEC 18004)."""


def qr_code_svg(text: str) -> Markup:
    """Return an SVG element with a QR code, dark on white whatever the colors of the page, without inline styles."""
    import segno  # noqa: PLC0415  # few requests need it

    code = segno.make(text, error="m", micro=False)
    svg = code.svg_inline(border=BORDER_MODULES, dark="#000", light="#fff", svgclass="qr-code", omitsize=True)
    return Markup(svg)  # noqa: S704  # segno encodes the text as paths
