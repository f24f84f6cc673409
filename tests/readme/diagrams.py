"""The diagrams of `docs` as SVG in the pages, for mkdocs: browsers need no script and no other server."""

import hashlib
import re
from typing import Any

import mmdr
from pymdownx.superfences import SuperFencesException

STYLE = "%%{init: {'theme': 'neutral', 'fontFamily': 'sans-serif'}}%%\n"
RENDERED_ID = "merman"
"""The id of every drawing of mmdr, which its styles refer to."""

SMALLEST_SCALE = 0.6


def format_diagram(source: str, language: str, css_class: str, options: Any, md: Any, **extra: Any) -> str:
    """Return the HTML of a Mermaid diagram, as `pymdownx.superfences` expects of a formatter.

    Raises:
        SuperFencesException: the source is invalid; any other exception would be ignored, and the source shown.
    """
    try:
        svg = mmdr.render(STYLE + source).svg()
    except Exception as error:
        raise SuperFencesException(f"A diagram is invalid: {error}\n{source}") from error
    unique_id = f"diagram-{hashlib.sha256(source.encode()).hexdigest()[:8]}"
    svg = re.sub(rf"\b{RENDERED_ID}(?=\b|_)", unique_id, svg)
    width = re.search(r"max-width:\s*([\d.]+)px", svg)
    if width:  # narrow pages shrink a drawing only as far as it can be read, then it scrolls
        smallest = round(float(width[1]) * SMALLEST_SCALE)
        svg = svg.replace('width="100%"', f'width="{width[1]}"', 1)
        svg = svg.replace(width[0], f"max-width:100%;min-width:{smallest}px", 1)
    return f'<div class="{css_class}">{svg}</div>'
