"""Renders the OpenAPI document in a thread; its description is loaded with the first one."""

from app.core.computing import compute_in_thread
from app.core.config import Settings
from app.policy.visibility import SchemaVisibility


async def openapi(visibility: SchemaVisibility, settings: Settings) -> bytes:
    """Return the document as JSON for callers with this visibility.

    Rendering takes milliseconds, so a thread does it.
    """
    return await compute_in_thread(lambda: _render(visibility, settings))


def _render(visibility: SchemaVisibility, settings: Settings) -> bytes:
    from app.openapi.document import DocumentOptions, render_document  # noqa: PLC0415  # few clients request it

    return render_document(visibility, DocumentOptions.from_settings(settings))
