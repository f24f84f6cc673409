"""The door of assets: contents of files, told so that no browser runs what somebody uploaded."""

from urllib.parse import quote

from starlette.types import Scope

from app.core.errors import Forbidden, MethodNotAllowed, RouteNotFound
from app.core.media_types import is_safe_inline
from app.flows.assets import Asset, AssetService
from app.http.authentication import Authenticator
from app.http.conditional import etag_of, is_not_modified, last_modified, wanted_range
from app.http.exchange import Body
from app.http.parsing import parse_query
from app.http.request_head import READ_METHODS, RequestHead
from app.http.response import Header, Response
from app.query.collection import FILES
from app.repositories.directory import Directory
from app.repositories.plans.rest import RestPlanCache
from app.repositories.services import Services

SANDBOXED = (b"content-security-policy", b"default-src 'none'; sandbox")


class AssetsEndpoint:
    """The door behind `/assets`."""

    def __init__(self, services: Services, identity: Authenticator) -> None:
        self._services, self._identity = services, identity
        self._assets, self._reads = AssetService(services), RestPlanCache()
        self._seconds = round(services.settings.assets_cache_ttl.total_seconds())

    async def __call__(self, scope: Scope, head: RequestHead, _: Body) -> Response:
        if scope["method"] not in READ_METHODS:
            raise MethodNotAllowed(scope["method"], READ_METHODS)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        steps = [step for step in path.split("/")[2:] if step]
        if not 1 <= len(steps) <= 2:  # a file's name may follow, for people to read: it is the key that counts
            raise RouteNotFound(scope["path"])
        directory = Directory(self._identity.authenticate(head), self._services, head.client_info)
        await directory.require_tfa_setup_done()
        await self._check_seen(directory, steps[0])
        asset = await self._assets.find(steps[0])
        if asset is None:
            raise RouteNotFound(scope["path"])
        return self._told(head, asset, attached=parse_query(head.query).get("download", "false") != "false")

    async def _check_seen(self, directory: Directory, key: str) -> None:
        """Raises Forbidden where there is no such file that the caller may read; most may read its key at least."""
        files = directory[FILES.name]
        told = await self._reads.answer(directory, files, b"", {"fields": FILES.key.name}, key)
        if told is None and not await files.may("read", key):
            raise Forbidden

    def _told(self, head: RequestHead, asset: Asset, *, attached: bool) -> Response:
        attached = attached or not is_safe_inline(asset.type)
        about: list[Header] = [
            (b"etag", etag_of(asset)),
            (b"last-modified", last_modified(asset)),
            (b"accept-ranges", b"bytes"),
            (b"content-disposition", _disposition("attachment" if attached else "inline", asset.filename)),
        ]
        if is_not_modified(head, asset):
            return Response(b"", 304, headers=about, max_age=self._seconds, policy=SANDBOXED)
        part = wanted_range(head, asset)
        start, length = part or (0, asset.size)
        if part:
            about.append((b"content-range", b"bytes %d-%d/%d" % (start, start + length - 1, asset.size)))
        about.append((b"content-length", b"%d" % length))
        stream = asset.iter_chunks(start, length)
        status = 206 if part else 200
        return Response(b"", status, _media(asset), about, stream=stream, max_age=self._seconds, policy=SANDBOXED)


def _media(asset: Asset) -> bytes:
    charset = f"; charset={asset.charset}" if asset.charset and asset.charset.replace("-", "").isalnum() else ""
    return f"{asset.type}{charset}".encode("ascii", "ignore")


def _disposition(kind: str, filename: str) -> bytes:
    """RFC 6266: a name in ASCII for whoever reads no other, and the whole one."""
    plain = "".join(letter if " " <= letter <= "~" and letter not in '"\\%' else "_" for letter in filename)
    encoded = quote(filename, safe="", errors="replace")
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}".encode()
