"""What a mail says: templates for each kind, in HTML and in plain text, of ours or of whoever runs the server."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from app.core.config import ConfigurationError

DEFAULT_TEMPLATES = Path(__file__).parent / "templates"
MAIL_KINDS = ("invite", "reset", "verify")
SUBJECT_PREFIX = "Subject: "
"""What the first line of a text begins with."""


@dataclass(frozen=True, slots=True)
class MailContext:
    """What a template is given: the project's name, a link that works, and until when it does."""

    project: str
    url: str = field(repr=False)
    expires: datetime


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """What a mail says: its subject, and the same in plain text and in HTML."""

    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)


class MailTemplates:
    """The templates `KIND.txt` and `KIND.html`; those of the same name in `folder` stand before ours.

    They are shown nothing but the facts, which are escaped in HTML. Raises BadSettings for a folder that isn't there,
    and for a template in it that can't be used.
    """

    def __init__(self, folder: Path | None = None) -> None:
        places = [DEFAULT_TEMPLATES] if folder is None else [folder, DEFAULT_TEMPLATES]
        self._templates = ImmutableSandboxedEnvironment(
            loader=ChoiceLoader([FileSystemLoader(place) for place in places]),
            autoescape=lambda name: name is None or not name.endswith(".txt"),
            undefined=StrictUndefined,
            auto_reload=False,
        )
        if folder is not None:
            self._check_templates(folder)

    def render(self, kind: str, context: MailContext) -> RenderedMail:
        """The words of a mail of this kind.

        Raises ValueError for a text that doesn't begin with its subject, and whatever a template stumbles on.
        """
        given = {"project": context.project, "url": context.url, "expires": context.expires.astimezone(UTC)}
        first, _, text = self._templates.get_template(f"{kind}.txt").render(given).lstrip().partition("\n")
        subject = first.removeprefix(SUBJECT_PREFIX).strip()
        if not first.startswith(SUBJECT_PREFIX) or not subject:
            raise ValueError(f'{kind}.txt should begin with a line "{SUBJECT_PREFIX}..."')
        html = self._templates.get_template(f"{kind}.html").render(given)
        return RenderedMail(subject, text.strip() + "\n", html)

    def _check_templates(self, folder: Path) -> None:
        if not folder.is_dir():
            raise ConfigurationError(f"EMAIL_TEMPLATES_PATH: {folder} is not a folder")
        for kind in MAIL_KINDS:
            try:
                self.render(kind, MailContext("Rollcall", "https://example.com/?token=", datetime.now(UTC)))
            except Exception as error:
                raise ConfigurationError(
                    f"EMAIL_TEMPLATES_PATH: the templates of {kind} can't be used: {error}"
                ) from error
