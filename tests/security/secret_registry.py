"""Secrets that are made up for one use each, so that whatever is found somewhere tells where it came from."""

import base64
import json
from urllib.parse import quote, quote_plus
from uuid import uuid4

from tests.world import uid


class Secrets:
    """What must be written down nowhere: made up here, or noticed where it is handed out; by what it is."""

    def __init__(self):
        self.kept, self.codes = {}, set()

    def new(self, what):
        """A secret that contains no other, and whatever has to be spelled otherwise in some places."""
        value = f"{what.split()[0]}-{uuid4().hex} &%/+é"
        return self.keep(what, value)

    def address(self, what):
        return self.keep(what, f"{what.split()[0]}-{uuid4().hex}@example.net")

    def token(self, what):
        return self.keep(what, f"{what.split()[0]}-{uuid4().hex}")

    def jwt(self, what):
        """What looks like a signed token of ours."""
        claims = {"iss": "directus", "id": uid("ada"), "email": f"{uuid4().hex}@example.net"}
        parts = [json.dumps({"alg": "HS256"}), json.dumps(claims), uuid4().hex]
        signed = ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)
        return self.keep(what, signed)

    def keep(self, what, value):
        self.kept[value] = what
        return value

    def code(self, value):
        self.codes.add(value)
        return value

    def found_in(self, written):
        """What of it stands in a text, in whichever spelling."""
        return sorted({what for value, what in self.kept.items() for form in forms(value) if form in written})


def forms(value):
    """The ways in which a secret may be written: as it is, escaped, in a URL, in base64 within something else; in part.

    Of a signed token each part counts, but for the first, which all have.
    """
    spelled = {
        value,
        quote(value),
        quote(value, safe=""),
        quote_plus(value),
        json.dumps(value)[1:-1],
        repr(value)[1:-1],
    }
    spelled |= {value.encode().hex(), value.encode("latin-1", "replace").decode("latin-1"), *_parts(value)}
    for at in range(3):
        encoded = base64.b64encode(b"x" * at + value.encode())
        inner = encoded[4 if at else 0 : -4].decode()
        spelled |= {inner, inner.replace("+", "-").replace("/", "_")}
    return spelled


def _parts(value):
    """What of a secret gives it away on its own."""
    if value.startswith("eyJ"):
        return {part for part in value.split(".")[1:] if len(part) > 20}
    cores = {part for part in value.replace("-", " ").replace("@", " ").split() if len(part) == 32}
    return cores | {core.upper() for core in cores}
