"""Encodes and decodes the LDAP messages that a sign-in needs (RFC 4511).

A filter is built as a structure and never as text, so that no character of a value has a meaning in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pyasn1.codec.ber import decoder, encoder
from pyasn1.error import PyAsn1Error
from pyasn1.type import namedtype, univ
from pyasn1_modules import rfc2251

VERSION = 3
MAX_NUMBER_BYTES = 4
SCOPES = {"base": 0, "one": 1, "sub": 2}
NEVER_DEREFERENCE_ALIASES = 0
START_TLS_OID, PAGED_RESULTS_OID = b"1.3.6.1.4.1.1466.20037", b"1.2.840.113556.1.4.319"
BIND_RESPONSE, SEARCH_ENTRY, SEARCH_DONE, SEARCH_REFERENCE, EXTENDED_RESPONSE = 0x61, 0x64, 0x65, 0x73, 0x78
"""Tags of the responses (RFC 4511, section 4.2 and following)."""


class NoLdapMessage(Exception):
    """The bytes are no LDAP message."""


class _PagedResults(univ.Sequence):
    """The value of the control for paged results (RFC 2696)."""

    componentType = namedtype.NamedTypes(  # noqa: N815  # the library's name
        namedtype.NamedType("size", univ.Integer()), namedtype.NamedType("cookie", univ.OctetString())
    )


@dataclass(frozen=True, slots=True)
class Search:
    """A search below `base` for entries whose attribute has a value, or for all entries if `attribute` is None.

    `limit` is the maximum number of entries, 0 for no limit, `seconds` the maximum time.
    """

    base: str = field(repr=False)
    scope: str
    attribute: str | None
    value: str = field(repr=False)
    attributes: Sequence[str]
    seconds: int
    limit: int = 0


@dataclass(frozen=True, slots=True)
class LdapEntry:
    """An entry; `values` are its texts, by the name of the attribute in lower case."""

    dn: str = field(repr=False)
    values: Mapping[str, Sequence[str]] = field(repr=False)

    def first(self, attribute: str) -> str | None:
        """Return the first value of an attribute, None if it has none."""
        return next(iter(self.values.get(attribute.lower(), ())), None)


@dataclass(frozen=True, slots=True)
class Result:
    """The result of an operation: its code, and the cookie with which the next page is requested, empty for none."""

    code: int
    cookie: bytes = field(default=b"", repr=False)


def bind_request(number: int, dn: str, password: str) -> bytes:
    """Return a simple bind."""
    message, request = _request(number, "bindRequest")
    request["version"], request["name"] = VERSION, dn.encode()
    request["authentication"]["simple"] = password.encode()
    return _encode(message)


def search_request(number: int, search: Search, page_size: int = 0, cookie: bytes = b"") -> bytes:
    """Return a search; with a page size, for the page after the one with this cookie."""
    message, request = _request(number, "searchRequest")
    request["baseObject"], request["scope"] = search.base.encode(), SCOPES[search.scope]
    request["derefAliases"], request["typesOnly"] = NEVER_DEREFERENCE_ALIASES, False
    request["sizeLimit"], request["timeLimit"] = search.limit, search.seconds
    if search.attribute is None:
        request["filter"]["present"] = b"objectClass"
    else:
        condition = request["filter"]["equalityMatch"]
        condition["attributeDesc"], condition["assertionValue"] = search.attribute.encode(), search.value.encode()
    for index, name in enumerate(search.attributes):
        request["attributes"][index] = name.encode()
    if page_size:
        paged = _PagedResults()
        paged["size"], paged["cookie"] = page_size, cookie
        control = message["controls"][0]
        control["controlType"], control["criticality"] = PAGED_RESULTS_OID, False
        control["controlValue"] = _encode(paged)
    return _encode(message)


def start_tls_request(number: int) -> bytes:
    """Return a request to continue with TLS (RFC 4511, section 4.14)."""
    message, request = _request(number, "extendedReq")
    request["requestName"] = START_TLS_OID
    return _encode(message)


def unbind_request(number: int) -> bytes:
    """Return the end of a connection."""
    message, _ = _request(number, "unbindRequest")
    message["protocolOp"]["unbindRequest"] = b""
    return _encode(message)


def header_of(message: bytes) -> tuple[int, int]:
    """Return the number of a message, and the tag of what it holds.

    Raises:
        NoLdapMessage: It has none.
    """
    try:
        start = 2 + (message[1] & 0x7F if message[1] & 0x80 else 0)
        end = start + 2 + message[start + 1]
        if message[start] != univ.Integer.tagSet.baseTag.tagId or message[start + 1] > MAX_NUMBER_BYTES:
            raise NoLdapMessage
        return int.from_bytes(message[start + 2 : end]), message[end]
    except IndexError:
        raise NoLdapMessage from None


def decode(messages: Sequence[bytes]) -> tuple[list[LdapEntry], Result]:
    """Return the entries in the responses to one request, and its result, which is the last of them.

    Raises:
        NoLdapMessage: One is not valid.
    """
    entries, result = [], None
    for message in messages:
        decoded = _decode(message)
        operation = decoded["protocolOp"].getComponent()
        if decoded["protocolOp"].getName() == "searchResEntry":
            entries.append(_entry(operation))
        else:
            result = Result(int(operation["resultCode"]), _cookie(decoded["controls"]))
    if result is None:
        raise NoLdapMessage
    return entries, result


def _request(number: int, kind: str) -> tuple[Any, Any]:
    """Return a new message and the request in it."""
    message = rfc2251.LDAPMessage()
    message["messageID"] = number
    return message, message["protocolOp"][kind]


def _encode(value: Any) -> bytes:
    encoded: bytes = encoder.encode(value)
    return encoded


def _decode(message: bytes) -> Any:
    try:
        decoded, rest = decoder.decode(message, asn1Spec=rfc2251.LDAPMessage())
    except (PyAsn1Error, ValueError, TypeError, IndexError, RecursionError):
        raise NoLdapMessage from None
    if rest:
        raise NoLdapMessage
    return decoded


def _entry(operation: Any) -> LdapEntry:
    values: dict[str, list[str]] = {}
    for attribute in operation["attributes"]:
        name = bytes(attribute["type"]).decode("ascii", "replace").lower()
        values.setdefault(name, []).extend(_texts(attribute["vals"]))
    try:
        return LdapEntry(bytes(operation["objectName"]).decode(), values)
    except UnicodeDecodeError:
        raise NoLdapMessage from None


def _texts(values: Any) -> list[str]:
    """Return the values that are texts; photos, for example, are none."""
    texts = []
    for value in values:
        try:
            texts.append(bytes(value).decode())
        except UnicodeDecodeError:
            continue
    return texts


def _cookie(controls: Any) -> bytes:
    """Return the cookie of the next page."""
    for control in controls if controls.isValue else ():
        if bytes(control["controlType"]) == PAGED_RESULTS_OID:
            try:
                paged, _ = decoder.decode(bytes(control["controlValue"]), asn1Spec=_PagedResults())
            except (PyAsn1Error, ValueError, TypeError, IndexError):
                raise NoLdapMessage from None
            return bytes(paged["cookie"])
    return b""
