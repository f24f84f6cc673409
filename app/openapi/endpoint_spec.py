"""One method of one path, as whoever asks it has to know it, and the errors that it may answer with."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple

from app.core.errors import RollcallError
from app.openapi.field_schemas import Schema, a_list, an_object

JSON, FORM = "application/json", "multipart/form-data"
USUAL = (400, 401, 403, 429, 503)
"""Statuses of the errors that any request may meet."""
WRITING, NOWHERE = 422, 404
"""Those of a change that must not come to pass, and of a path with something in it that leads nowhere."""
_NAMED = re.compile(r"\{(\w+)\}")


class ResponseSpec(NamedTuple):
    """What is told, and in which media; without a schema it has no body. The `files` are media of other forms of it."""

    says: str
    schema: Schema | None = None
    media: str = JSON
    files: Sequence[str] = ()


DONE: Mapping[int, ResponseSpec] = {204: ResponseSpec("It is done, and there is nothing to tell.")}


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """A method and a path, what is sent there, and the answers where all goes well.

    `keys` are the schemas of what stands in braces in the path. `errors` are the statuses of further errors. Instead
    of a body a `form` may be sent where there is one.
    """

    method: str
    path: str
    summary: str
    answers: Mapping[int, ResponseSpec]
    body: Schema | None = None
    parameters: Sequence[Schema] = ()
    keys: Mapping[str, Schema] = field(default_factory=dict)
    errors: Sequence[int] = ()
    optional: bool = False
    """Whether the body may be left out."""
    form: Schema | None = None

    @property
    def tag(self) -> str:
        """What the endpoint belongs to: the first step of its path."""
        return self.path.split("/")[1].title()

    def described(self) -> Schema:
        """The Operation Object of OpenAPI."""
        told: Schema = {"operationId": self._name, "summary": self.summary, "tags": [self.tag]}
        inside = [parameter(name, schema, place="path") for name, schema in self.keys.items()]
        if parameters := [*inside, *self.parameters]:
            told["parameters"] = parameters
        if self.body is not None:
            forms = {} if self.form is None else {FORM: {"schema": self.form}}
            told["requestBody"] = {"required": not self.optional, "content": {JSON: {"schema": self.body}, **forms}}
        answers = {str(status): _response(answer) for status, answer in self.answers.items()}
        told["responses"] = answers | {str(status): error_reference(status) for status in self._refused}
        return told

    @property
    def _name(self) -> str:
        steps = _NAMED.sub(r"by/\1", self.path).replace("-", "/").split("/")
        return self.method.lower() + "".join(step.title() for step in steps)

    @property
    def _refused(self) -> list[int]:
        more = (*self.errors, *([WRITING] if self.method not in ("GET", "SEARCH") else ()))
        nowhere = [NOWHERE] if self.keys else []
        return sorted({*USUAL, *more, *nowhere} - set(self.answers))


def _response(answer: ResponseSpec) -> Schema:
    if answer.schema is None:
        return {"description": answer.says}
    files: Schema = {media: {"schema": {}} for media in answer.files}  # what is read out of one is anything
    return {"description": answer.says, "content": {answer.media: {"schema": answer.schema}, **files}}


def parameter(name: str, schema: Schema, says: str = "", *, place: str = "query", required: bool = False) -> Schema:
    """A Parameter Object: a plain value."""
    about = {"description": says} if says else {}
    return {"name": name, "in": place, **about, "required": required or place == "path", "schema": schema}


def listing(name: str, items: Schema, says: str) -> Schema:
    """A parameter that is a list, divided by commas."""
    return {**parameter(name, {"type": "array", "items": items}, says), "style": "form", "explode": False}


def as_json(name: str, schema: Schema, says: str) -> Schema:
    """A parameter that is an object, written as JSON."""
    return {"name": name, "in": "query", "description": says, "required": False, "content": {JSON: {"schema": schema}}}


def envelope_response(data: Schema, says: str = "What was asked for.", **beside: Schema) -> dict[int, ResponseSpec]:
    """REST's envelope: `data`, and what may stand beside it."""
    return {200: ResponseSpec(says, an_object({"data": data, **beside}, "data"))}


def error_reference(status: int) -> Schema:
    """A reference to the errors of a status."""
    return {"$ref": f"#/components/responses/{_phrase(status)}"}


def error_responses() -> dict[str, Schema]:
    """The errors, by the name of their status; out of the tree of errors."""
    codes: dict[int, set[str]] = {}
    for error in _errors(RollcallError):
        if error.code != RollcallError.code:
            codes.setdefault(error.status, set()).add(error.code)
    return {_phrase(status): _refusal(status, sorted(known)) for status, known in sorted(codes.items())}


def _errors(error: type[RollcallError]) -> Iterator[type[RollcallError]]:
    for inner in error.__subclasses__():
        yield inner
        yield from _errors(inner)


def _refusal(status: int, codes: Sequence[str]) -> Schema:
    extensions = an_object({"code": {"type": "string", "enum": codes}, "reason": {"type": "string"}}, "code")
    entry = an_object({"message": {"type": "string"}, "extensions": extensions}, "message", "extensions")
    schema = an_object({"errors": {**a_list(entry), "minItems": 1}}, "errors")
    return {"description": HTTPStatus(status).phrase, "content": {JSON: {"schema": schema}}}


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase.title().replace(" ", "")
