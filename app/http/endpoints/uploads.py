"""The door of uploads: a form sent to `/files` makes rows with contents, one sent to a file gives it another."""

from starlette.types import Scope

from app.core.errors import InvalidPayload, RouteNotFound
from app.flows.uploads import UploadService
from app.http.authentication import Authenticator
from app.http.collection_request import CollectionRequest, returning_rows, written_response
from app.http.exchange import Pieces
from app.http.multipart import UploadForm
from app.http.parsing import parse_query
from app.http.request_head import RequestHead
from app.http.response import Response
from app.query.collection import FILES
from app.repositories.directory import Directory
from app.repositories.services import Services


class FileUploadEndpoint:
    """The door behind `/files` for those who send a form."""

    def __init__(self, services: Services, identity: Authenticator) -> None:
        self._services, self._identity = services, identity

    async def __call__(self, scope: Scope, head: RequestHead, pieces: Pieces) -> Response:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        match scope["method"], *(step for step in path.split("/")[2:] if step):
            case ["POST"]:
                key = None
            case ["PATCH", key]:
                pass
            case _:
                raise RouteNotFound(scope["path"])
        directory = Directory(self._identity.authenticate(head), self._services, head.client_info)
        await directory.require_tfa_setup_done()
        form = UploadForm(head.content_type, pieces(), self._services.settings.max_payload_size)
        answer = returning_rows(directory[FILES.name], parse_query(head.query))
        written = await UploadService(directory, key).receive(form, answer)
        return written_response(written, several=len(written.keys) > 1)


async def refuse_import(_: CollectionRequest) -> Response:
    """Nothing is fetched from anywhere for anybody: whoever could say from where would reach what only we can."""
    raise InvalidPayload("Files aren't fetched from elsewhere: send the file itself to /files, as multipart/form-data")
