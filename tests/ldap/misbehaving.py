"""An LDAP server that answers some requests well, and then misbehaves. It runs in threads of its own."""

import socket
import socketserver
import threading
from contextlib import contextmanager

BIND, SEARCH_DONE = b"\x61", b"\x65"
DN = b"cn=kim,ou=people,dc=example,dc=com"
SECRET_TEXT = b"secret details of the directory"


def result(number, tag=BIND, code=0, text=SECRET_TEXT):
    """Return a message with a result."""
    content = element(b"\x0a", bytes([code])) + octets(b"") + octets(text)
    return sequence(integer(number) + element(tag, content))


def entry(number, dn=DN):
    """Return a message with an entry."""
    attribute = sequence(octets(b"mail") + element(b"\x31", octets(b"kim@example.com")))
    return sequence(integer(number) + element(b"\x64", octets(dn) + sequence(attribute)))


def found(number, dn=DN):
    """Return the messages of a search that finds an entry."""
    return entry(number, dn) + result(number, SEARCH_DONE)


def element(tag, content):
    return tag + (bytes([len(content)]) if len(content) < 128 else b"\x82" + len(content).to_bytes(2)) + content


def sequence(content):
    return element(b"\x30", content)


def integer(number):
    return element(b"\x02", bytes([number]))


def octets(content):
    return element(b"\x04", content)


GOOD = (result(1), found(2), result(3), result(4), result(5, SEARCH_DONE))
"""The responses to a whole sign-in: bind, search for the user, bind as the user, bind, search for groups."""
STEPS = range(len(GOOD))


def nonsense(step):
    """Return what a server may send instead of the response at a step; None for nothing, without an end."""
    number = step + 1
    tag = SEARCH_DONE if step in (1, 4) else BIND
    return {
        "nothing": None,
        "an end": b"",
        "no LDAP": b"HTTP/1.1 400 Bad Request\r\n\r\n",
        "half a message": GOOD[step][: len(GOOD[step]) // 2],
        "a huge length": b"\x30\x84\x7f\xff\xff\xff" + b"x" * 1000,
        "a length of lengths": b"\x30\xff" + b"x" * 200,
        "an indefinite length": b"\x30\x80" + b"\x00" * 100,
        "an empty message": b"\x30\x00",
        "broken content": sequence(integer(number) + tag + b"\x7fxx"),
        "deep content": sequence(integer(number) + tag + b"\x82\x10\x00" + b"\x30\x80" * 2048),
        "another number": result(number + 1, tag),
        "a notice of disconnection": result(0, b"\x78", 52),
        "another operation": result(number, b"\x6b"),
        "an error": result(number, tag, 80),
        "a referral": result(number, tag, 10),
        "entries without an end": entry(number) * 3000,
    }


class Misbehaving:
    """The server: `responses` are sent to the requests of a connection one by one; after them nothing, or the end."""

    def __init__(self):
        self.responses, self.closes, self.connections, self.url = [], True, 0, ""


@contextmanager
def running():
    """Run a server, and yield it with its `url`."""
    behavior = Misbehaving()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            behavior.connections += 1
            for response in list(behavior.responses):
                if not self.request.recv(4096):
                    return
                if response is None:
                    self.request.recv(4096)  # until the client gives up
                    return
                self.request.sendall(response)
            if not behavior.closes:
                self.request.recv(4096)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request, client_address):  # the client has closed the connection
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        behavior.url = f"ldap://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield behavior
        finally:
            server.shutdown()
            thread.join()


def unused_url():
    """Return a URL at which no server listens."""
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return f"ldap://127.0.0.1:{each.getsockname()[1]}"
