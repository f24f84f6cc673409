"""Stands in for directus-extension-sync: stores the ids of directus-sync in memory, and passes on everything else."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import uuid4

import httpx
import orjson

PREFIX = "/directus-extension-sync/table/"
PASSED_ON = ("authorization", "content-type", "accept")


@contextmanager
def sync_extension(base_url: str) -> Iterator[str]:
    """Yield the URL of a server in front of the one at `base_url`."""
    tables: dict[str, list[dict[str, str]]] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments):
            """Log nothing."""

        def handle_request(self):
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            if self.path.startswith(PREFIX):
                status, content = self.id_map(self.path.removeprefix(PREFIX).split("/"), body)
                self.respond(status, orjson.dumps(content), "application/json")
                return
            headers = {name: value for name, value in self.headers.items() if name.lower() in PASSED_ON}
            response = httpx.request(self.command, base_url + self.path, content=body, headers=headers)
            self.respond(response.status_code, response.content, response.headers.get("content-type"))

        do_GET = do_POST = do_SEARCH = handle_request  # noqa: N815  # names of the standard library

        def id_map(self, path, body):
            rows = tables.setdefault(path[0], [])
            if self.command == "POST":
                values = orjson.loads(body)
                row = {"local_id": str(values["local_id"]), "sync_id": values.get("sync_id") or str(uuid4())}
                rows.append(row)
                return 200, row
            if len(path) == 1:
                return 200, rows
            matches = [row for row in rows if row.get(path[1]) == path[2]]
            return (200, matches[0]) if matches else (404, {"message": "No id map found"})

        def respond(self, status, content, content_type):
            self.send_response(status)
            if content_type:
                self.send_header("content-type", content_type)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
