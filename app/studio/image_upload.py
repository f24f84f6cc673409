"""Receives the form with which a page uploads an image, such as the logo of the project."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from app.core.errors import InvalidPayload
from app.core.media_types import sniff_media_type
from app.flows.uploads import IncomingFile, UploadService
from app.http.multipart import UploadForm
from app.repositories.engine.unit_of_work import UnitOfWork
from app.repositories.engine.writing import WriteResult
from app.studio.form_token import FIELD
from app.studio.page_request import PageRequest


async def receive_image(request: PageRequest) -> str:
    """Store the image of a multipart form as a file of the caller, and return the file's key.

    Raises:
        Forbidden: The form token is missing or wrong, or the caller may not create files.
        InvalidPayload: The form has no file, or one that is not an image or too large.
    """
    body = await request.body()
    form = UploadForm(request.head.content_type, _single_chunk(body), request.services.settings.max_payload_size)
    written: WriteResult[None] = await UploadService(request.directory).receive(
        _ImageSource(request, form), _read_nothing
    )
    return str(written.keys[0])


class _ImageSource:
    """The file of a form, after its token was checked."""

    values: Mapping[str, Any] = {}

    def __init__(self, request: PageRequest, form: UploadForm) -> None:
        self._request, self._form = request, form

    async def files(self) -> AsyncIterator[IncomingFile]:
        """Yield the file.

        Raises:
            Forbidden: The form token is missing or wrong.
            InvalidPayload: The file is not an image, or the form has several files.
        """
        _, count = self._request.translate, 0
        async for incoming in self._form.files():
            count += 1
            if count > 1:
                raise InvalidPayload(_("Choose a single file."))
            self._request.check_form_token(incoming.values.get(FIELD) or "")
            content = b"".join([chunk async for chunk in incoming.chunks])
            if not sniff_media_type(content, incoming.type).startswith("image/"):
                raise InvalidPayload(_("Choose an image, such as a PNG, JPEG or SVG file."))
            yield replace(incoming, values={}, chunks=_single_chunk(content))
        if not count:
            raise InvalidPayload(_("Choose a file."))


async def _single_chunk(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _read_nothing(_: UnitOfWork, __: list[Any]) -> None:
    return None
