"""Unique secrets, so that a leak names the place where the secret was used."""

import base64
import json
from urllib.parse import quote, quote_plus
from uuid import uuid4

from tests.base_data import uid


class SecretRegistry:
    """The secrets that must not be written anywhere, generated here or registered from responses, each with a label."""

    def __init__(self):
        self.labels, self.codes = {}, set()

    def new_secret(self, label):
        """Return a secret with characters that some encodings escape; no secret contains another."""
        value = f"{label.split()[0]}-{uuid4().hex} &%/+é"
        return self.register(label, value)

    def new_email(self, label):
        return self.register(label, f"{label.split()[0]}-{uuid4().hex}@example.net")

    def new_token(self, label):
        return self.register(label, f"{label.split()[0]}-{uuid4().hex}")

    def new_jwt(self, label):
        """Return a token that looks like one signed by Rollcall."""
        claims = {"iss": "directus", "id": uid("ada"), "email": f"{uuid4().hex}@example.net"}
        parts = [json.dumps({"alg": "HS256"}), json.dumps(claims), uuid4().hex]
        signed = ".".join(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts)
        return self.register(label, signed)

    def register(self, label, value):
        self.labels[value] = label
        return value

    def register_code(self, value):
        self.codes.add(value)
        return value

    def leaks_in(self, text):
        """Return the labels of the secrets that a text contains in any encoding."""
        return sorted(
            {label for value, label in self.labels.items() for encoding in encodings_of(value) if encoding in text}
        )


def encodings_of(value):
    """Return the forms a secret may be written in: plain, escaped, URL-encoded, base64 inside other text, or in part.

    Of a JWT each part counts except the header, which all of them share.
    """
    forms = {
        value,
        quote(value),
        quote(value, safe=""),
        quote_plus(value),
        json.dumps(value)[1:-1],
        repr(value)[1:-1],
    }
    forms |= {value.encode().hex(), value.encode("latin-1", "replace").decode("latin-1"), *_parts(value)}
    for padding in range(3):
        encoded = base64.b64encode(b"x" * padding + value.encode())
        inner = encoded[4 if padding else 0 : -4].decode()
        forms |= {inner, inner.replace("+", "-").replace("/", "_")}
    return forms


def _parts(value):
    """Return the parts of a secret that identify it on their own."""
    if value.startswith("eyJ"):
        return {part for part in value.split(".")[1:] if len(part) > 20}
    unique_parts = {part for part in value.replace("-", " ").replace("@", " ").split() if len(part) == 32}
    return unique_parts | {part.upper() for part in unique_parts}
