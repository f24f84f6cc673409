"""Receives the form with which a page uploads an image, such as the logo of the project."""

from collections.abc import AsyncIterator, Collection, Mapping
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

PHOTO_TYPES = ("image/png", "image/jpeg", "image/webp")
"""Types of pictures of people: every browser shows them, and none contains a script."""


async def receive_image(request: PageRequest, types: Collection[str] = ()) -> str:
    """Store the image of a multipart form as a file of the caller, and return the file's key.

    It must have one of the media `types`, by default that of any image.

    Raises:
        Forbidden: The form token is missing or wrong, or the caller may not create files.
        InvalidPayload: The form has no file, or one that is not an image or too large.
    """
    body = await request.body()
    form = UploadForm(request.head.content_type, _single_chunk(body), request.services.settings.max_payload_size)
    written: WriteResult[None] = await UploadService(request.directory).receive(
        _ImageSource(request, form, types), _read_nothing
    )
    return str(written.keys[0])


class _ImageSource:
    """The file of a form, after its token was checked."""

    values: Mapping[str, Any] = {}

    def __init__(self, request: PageRequest, form: UploadForm, types: Collection[str]) -> None:
        self._request, self._form, self._types = request, form, types

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
            self._check_type(sniff_media_type(content, incoming.type))
            yield replace(incoming, values={}, chunks=_single_chunk(content))
        if not count:
            raise InvalidPayload(_("Choose a file."))

    def _check_type(self, type_: str) -> None:
        _ = self._request.translate
        if self._types and type_ not in self._types:
            raise InvalidPayload(_("Choose a PNG, JPEG or WebP file."))
        if not type_.startswith("image/"):
            raise InvalidPayload(_("Choose an image, such as a PNG, JPEG or SVG file."))


async def _single_chunk(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _read_nothing(_: UnitOfWork, __: list[Any]) -> None:
    return None
