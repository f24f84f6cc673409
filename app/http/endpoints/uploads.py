"""The endpoint for multipart uploads: a POST to `/files` creates files, a PATCH to one replaces its content."""

from starlette.types import Scope

from app.core.errors import InvalidPayload, RollcallError, RouteNotFound
from app.flows.uploads import UploadService
from app.http.authentication import Authenticator
from app.http.collection_request import CollectionRequest, returning_rows, written_response
from app.http.endpoint_request import error_to_report
from app.http.exchange import ChunkReader
from app.http.multipart import UploadForm
from app.http.parsing import parse_query
from app.http.request_head import RequestHead
from app.http.response import Response
from app.query.collection import FILES
from app.repositories.directory import Directory
from app.repositories.services import Services


class FileUploadEndpoint:
    """The endpoint behind `/files` for multipart requests."""

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services, self._authenticator = services, authenticator

    async def __call__(self, scope: Scope, head: RequestHead, chunks: ChunkReader) -> Response:
        caller, services = self._authenticator.authenticate(head), self._services
        directory = Directory(caller, services, head.client_info, shares_budget=True)
        try:
            return await self._respond(scope, directory, head, chunks)
        except RollcallError as error:
            raise await error_to_report(error, directory) from None

    async def _respond(self, scope: Scope, directory: Directory, head: RequestHead, chunks: ChunkReader) -> Response:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        match scope["method"], *(step for step in path.split("/")[2:] if step):
            case ["POST"]:
                key = None
            case ["PATCH", key]:
                pass
            case _:
                raise RouteNotFound(scope["path"])
        await directory.require_tfa_setup_done()
        await directory.require_writable()
        form = UploadForm(head.content_type, chunks(), self._services.settings.max_payload_size)
        reader = returning_rows(directory[FILES.name], parse_query(head.query))
        written = await UploadService(directory, key).receive(form, reader)
        return written_response(written, several=len(written.keys) > 1)


async def reject_import(_: CollectionRequest) -> Response:
    """Reject an import by URL: it would let clients reach what only this server can (SSRF)."""
    raise InvalidPayload("Files can't be imported from a URL: send the file itself to /files, as multipart/form-data")
