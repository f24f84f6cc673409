"""The description of an endpoint in the OpenAPI document: one method of one path, with its responses and errors."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple

from app.core.errors import RollcallError
from app.openapi.field_schemas import Schema, list_of, object_of

JSON, MULTIPART = "application/json", "multipart/form-data"
COMMON_ERRORS = (400, 401, 403, 429, 503)
"""Statuses of the errors that any request may have."""
UNPROCESSABLE, NOT_FOUND = 422, 404
"""The statuses of a rejected write, and of a path parameter that matches nothing."""
_PATH_PARAMETER = re.compile(r"\{(\w+)\}")


class ResponseSpec(NamedTuple):
    """A response and the schema of its body, if it has one.

    `file_media_types` are those in which the same content can be exported.
    """

    description: str
    schema: Schema | None = None
    media_type: str = JSON
    file_media_types: Sequence[str] = ()


NO_CONTENT: Mapping[int, ResponseSpec] = {204: ResponseSpec("Done; the response has no body.")}


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """A method of a path, with its parameters, request body and successful responses.

    `extra_errors` are the statuses of errors besides those that follow from the method and the path. If there is a
    `multipart_body`, it may be sent in place of `body`.
    """

    method: str
    path: str
    summary: str
    responses: Mapping[int, ResponseSpec]
    body: Schema | None = None
    parameters: Sequence[Schema] = ()
    path_parameters: Mapping[str, Schema] = field(default_factory=dict)
    extra_errors: Sequence[int] = ()
    body_optional: bool = False
    """Whether the body may be omitted."""
    multipart_body: Schema | None = None

    @property
    def tag(self) -> str:
        """The group of the endpoint: the first segment of its path."""
        return self.path.split("/")[1].title()

    def operation_object(self) -> Schema:
        """Return the endpoint as an Operation Object."""
        operation: Schema = {"operationId": self._operation_id, "summary": self.summary, "tags": [self.tag]}
        in_path = [parameter(name, schema, location="path") for name, schema in self.path_parameters.items()]
        if parameters := [*in_path, *self.parameters]:
            operation["parameters"] = parameters
        if self.body is not None:
            multipart = {} if self.multipart_body is None else {MULTIPART: {"schema": self.multipart_body}}
            operation["requestBody"] = {
                "required": not self.body_optional,
                "content": {JSON: {"schema": self.body}, **multipart},
            }
        responses = {str(status): _response_object(response) for status, response in self.responses.items()}
        operation["responses"] = responses | {str(status): error_reference(status) for status in self._error_statuses}
        return operation

    @property
    def _operation_id(self) -> str:
        segments = _PATH_PARAMETER.sub(r"by/\1", self.path).replace("-", "/").split("/")
        return self.method.lower() + "".join(segment.title() for segment in segments)

    @property
    def _error_statuses(self) -> list[int]:
        of_writes = [UNPROCESSABLE] if self.method not in ("GET", "SEARCH") else []
        of_path = [NOT_FOUND] if self.path_parameters else []
        return sorted({*COMMON_ERRORS, *self.extra_errors, *of_writes, *of_path} - set(self.responses))


def _response_object(response: ResponseSpec) -> Schema:
    if response.schema is None:
        return {"description": response.description}
    # the content of a file is not described
    files: Schema = {media_type: {"schema": {}} for media_type in response.file_media_types}
    return {"description": response.description, "content": {response.media_type: {"schema": response.schema}, **files}}


def parameter(
    name: str, schema: Schema, description: str = "", *, location: str = "query", required: bool = False
) -> Schema:
    """Return a Parameter Object for a single value."""
    about = {"description": description} if description else {}
    return {"name": name, "in": location, **about, "required": required or location == "path", "schema": schema}


def list_parameter(name: str, items: Schema, description: str) -> Schema:
    """Return a Parameter Object for a comma-separated list."""
    return {**parameter(name, {"type": "array", "items": items}, description), "style": "form", "explode": False}


def json_parameter(name: str, schema: Schema, description: str) -> Schema:
    """Return a Parameter Object for an object in JSON."""
    return {
        "name": name,
        "in": "query",
        "description": description,
        "required": False,
        "content": {JSON: {"schema": schema}},
    }


def envelope_response(
    data: Schema, description: str = "The requested data.", **siblings: Schema
) -> dict[int, ResponseSpec]:
    """Return the success response of REST: an object with `data` and these siblings."""
    return {200: ResponseSpec(description, object_of({"data": data, **siblings}, "data"))}


def error_reference(status: int) -> Schema:
    """Return a reference to the error response of a status."""
    return {"$ref": f"#/components/responses/{_response_name(status)}"}


def error_responses() -> dict[str, Schema]:
    """Return the error responses by the name of their status, from the subclasses of `RollcallError`."""
    codes: dict[int, set[str]] = {}
    for error in _error_classes(RollcallError):
        if error.code != RollcallError.code:
            codes.setdefault(error.status, set()).add(error.code)
    return {_response_name(status): _error_response(status, sorted(known)) for status, known in sorted(codes.items())}


def _error_classes(error: type[RollcallError]) -> Iterator[type[RollcallError]]:
    for subclass in error.__subclasses__():
        yield subclass
        yield from _error_classes(subclass)


def _error_response(status: int, codes: Sequence[str]) -> Schema:
    extensions = object_of({"code": {"type": "string", "enum": codes}, "reason": {"type": "string"}}, "code")
    entry = object_of({"message": {"type": "string"}, "extensions": extensions}, "message", "extensions")
    schema = object_of({"errors": {**list_of(entry), "minItems": 1}}, "errors")
    return {"description": HTTPStatus(status).phrase, "content": {JSON: {"schema": schema}}}


def _response_name(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "")
