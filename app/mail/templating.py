"""Renders emails from templates in plain text and HTML, built-in or of the operator."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from jinja2 import ChoiceLoader, FileSystemLoader, StrictUndefined, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from app.core.colors import DEFAULT_COLOR, WHITE
from app.core.config import ConfigurationError

DEFAULT_TEMPLATES = Path(__file__).parent / "templates"
MAIL_KINDS = ("invite", "reset", "verify", "access_ends")
TEXT_BLOCK = "message"
"""The block of the layout that contains what a mail says."""
SUBJECT_PREFIX = "Subject: "
"""Prefix of the first line of each text template."""


@dataclass(frozen=True, slots=True)
class MailContext:
    """The variables of a template: the project's name, a link, and the time until which the link is valid.

    In a mail about access that ends, `expires` is when it does; its link is no secret and remains valid.

    `color` is the project's color, `text_color` that of texts on it, `logo` the URL of its logo, None for none.
    """

    project: str
    url: str = field(repr=False)
    expires: datetime
    color: str = DEFAULT_COLOR
    text_color: str = WHITE
    logo: str | None = None


@dataclass(frozen=True, slots=True)
class RenderedMail:
    """The content of an email: its subject, and its body in plain text and in HTML."""

    subject: str
    text: str = field(repr=False)
    html: str = field(repr=False)


class MailTemplates:
    """The templates `KIND.txt` and `KIND.html`; those in `directory` override the built-in ones of the same name.

    Templates are sandboxed and see only the variables of `MailContext`, which are escaped in HTML.

    Raises:
        ConfigurationError: The directory does not exist, or a template in it fails.
    """

    def __init__(self, directory: Path | None = None) -> None:
        directories = [DEFAULT_TEMPLATES] if directory is None else [directory, DEFAULT_TEMPLATES]
        self._environment = ImmutableSandboxedEnvironment(
            loader=ChoiceLoader([FileSystemLoader(path) for path in directories]),
            autoescape=lambda name: name is None or not name.endswith(".txt"),
            undefined=StrictUndefined,
            auto_reload=False,
        )
        if directory is not None:
            self._check_templates(directory)

    def render(self, kind: str, context: MailContext) -> RenderedMail:
        """Return the content of an email of this kind.

        Raises:
            ValueError: The text template does not begin with the subject.
            Exception: Any error of a template.
        """
        variables = {**asdict(context), "expires": context.expires.astimezone(UTC)}
        rendered = self._environment.get_template(f"{kind}.txt").render(variables)
        first_line, _, text = rendered.lstrip().partition("\n")
        subject = first_line.removeprefix(SUBJECT_PREFIX).strip()
        if not first_line.startswith(SUBJECT_PREFIX) or not subject:
            raise ValueError(f'{kind}.txt must begin with a line "{SUBJECT_PREFIX}..."')
        html = self._environment.get_template(f"{kind}.html").render(variables)
        return RenderedMail(subject, text.strip() + "\n", html)

    def _check_templates(self, directory: Path) -> None:
        if not directory.is_dir():
            raise ConfigurationError(f"EMAIL_TEMPLATES_PATH: {directory} is not a directory")
        for kind in MAIL_KINDS:
            try:
                self.render(kind, MailContext("Rollcall", "https://example.com/?token=", datetime.now(UTC)))
            except Exception as error:
                raise ConfigurationError(
                    f"EMAIL_TEMPLATES_PATH: the templates of {kind} cannot be rendered: {error}"
                ) from error
            for name in (f"{kind}.txt", f"{kind}.html"):
                self._check_blocks(name, directory)

    def _check_blocks(self, name: str, directory: Path) -> None:
        """Check that no text of a template is lost in a block that its layout does not have.

        A custom layout may omit the blocks of built-in templates, except for that of the text itself.

        Raises:
            ConfigurationError: Text would be lost; the message names the block and those of the layout.
        """
        template = self._parse(name)
        layout = _layout(template)
        if layout is None:
            return
        known = self._blocks(layout)
        used = {block.name for block in _outer_blocks(template)}
        if not (directory / name).is_file():
            used &= {TEXT_BLOCK}
        if unknown := sorted(used - known):
            raise ConfigurationError(
                f"EMAIL_TEMPLATES_PATH: {name} has a block {unknown[0]}, whose text is lost, because {layout} has none "
                f"of that name. It has {', '.join(sorted(known)) or 'no blocks'}"
            )
        self._check_blocks(layout, directory)

    def _blocks(self, name: str) -> set[str]:
        """Return the names of all blocks of a template and of those that it extends."""
        template = self._parse(name)
        names = {block.name for block in template.find_all(nodes.Block)}
        layout = _layout(template)
        return names | (self._blocks(layout) if layout else set())

    def _parse(self, name: str) -> nodes.Template:
        loader = self._environment.loader
        source = loader.get_source(self._environment, name)[0] if loader else ""
        return self._environment.parse(source, name)


def _layout(template: nodes.Template) -> str | None:
    """Return the name of the template that a template extends; None if there is none, or if it is computed."""
    extends = template.find(nodes.Extends)
    return str(extends.template.value) if extends and isinstance(extends.template, nodes.Const) else None


def _outer_blocks(node: nodes.Node) -> Iterator[nodes.Block]:
    """Yield the blocks of a template that are not part of another one."""
    for child in node.iter_child_nodes():
        if isinstance(child, nodes.Block):
            yield child
        else:
            yield from _outer_blocks(child)
