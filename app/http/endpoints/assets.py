"""The endpoint that serves files' contents, with headers that keep browsers from executing uploads."""

from urllib.parse import quote

from starlette.types import Scope

from app.core.errors import Forbidden, MethodNotAllowed, RouteNotFound
from app.core.media_types import is_safe_inline
from app.flows.assets import Asset, AssetService
from app.http.authentication import Authenticator
from app.http.conditional import etag_of, is_not_modified, last_modified, wanted_range
from app.http.exchange import BodyReader
from app.http.parsing import parse_query
from app.http.request_head import READ_METHODS, RequestHead
from app.http.response import Header, Response
from app.query.collection import FILES
from app.repositories.directory import Directory
from app.repositories.plans.rest import RestPlanCache
from app.repositories.services import Services

SANDBOX_CSP = (b"content-security-policy", b"default-src 'none'; sandbox")


class AssetsEndpoint:
    """The endpoint behind `/assets`."""

    def __init__(self, services: Services, authenticator: Authenticator) -> None:
        self._services, self._authenticator = services, authenticator
        self._assets, self._plans = AssetService(services), RestPlanCache()
        self._max_age = round(services.settings.assets_cache_ttl.total_seconds())

    async def __call__(self, scope: Scope, head: RequestHead, _: BodyReader) -> Response:
        if scope["method"] not in READ_METHODS:
            raise MethodNotAllowed(scope["method"], READ_METHODS)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        steps = [step for step in path.split("/")[2:] if step]
        if not 1 <= len(steps) <= 2:  # a readable file name may follow the key; it is ignored
            raise RouteNotFound(scope["path"])
        directory = Directory(self._authenticator.authenticate(head), self._services, head.client_info)
        await directory.require_tfa_setup_done()
        await self._require_readable(directory, steps[0])
        asset = await self._assets.find(steps[0])
        if asset is None:
            raise RouteNotFound(scope["path"])
        return self._response(head, asset, download=parse_query(head.query).get("download", "false") != "false")

    async def _require_readable(self, directory: Directory, key: str) -> None:
        """Raise Forbidden unless the caller may read the file's row.

        The plan reads its key, which nearly every caller who may read the row may read too.
        """
        files = directory[FILES.name]
        row = await self._plans.answer(directory, files, b"", {"fields": FILES.key.name}, key)
        if row is None and not await files.may("read", key):
            raise Forbidden

    def _response(self, head: RequestHead, asset: Asset, *, download: bool) -> Response:
        disposition = "attachment" if download or not is_safe_inline(asset.type) else "inline"
        headers: list[Header] = [
            (b"etag", etag_of(asset)),
            (b"accept-ranges", b"bytes"),
            (b"content-disposition", _content_disposition(disposition, asset.filename)),
        ]
        if modified := last_modified(asset):
            headers.append((b"last-modified", modified))
        if is_not_modified(head, asset):
            return Response(b"", 304, headers=headers, max_age=self._max_age, policy=SANDBOX_CSP)
        range_ = wanted_range(head, asset)
        start, length = range_ or (0, asset.size)
        if range_:
            headers.append((b"content-range", b"bytes %d-%d/%d" % (start, start + length - 1, asset.size)))
        headers.append((b"content-length", b"%d" % length))
        stream = asset.iter_chunks(start, length)
        status, media = 206 if range_ else 200, _content_type(asset)
        return Response(b"", status, media, headers, stream=stream, max_age=self._max_age, policy=SANDBOX_CSP)


def _content_type(asset: Asset) -> bytes:
    charset = f"; charset={asset.charset}" if asset.charset and asset.charset.replace("-", "").isalnum() else ""
    return f"{asset.type}{charset}".encode("ascii", "ignore")


def _content_disposition(type_: str, filename: str) -> bytes:
    """Return the header's value (RFC 6266): the file name in ASCII for old clients, and in full."""
    ascii_name = "".join(char if " " <= char <= "~" and char not in '"\\%' else "_" for char in filename)
    encoded = quote(filename, safe="", errors="replace")
    return f"{type_}; filename=\"{ascii_name}\"; filename*=UTF-8''{encoded}".encode()
