"""The form of a policy's own fields."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.core.ip_addresses import is_ip_rule
from app.studio.form_errors import FormErrors, Translate
from app.studio.page_request import Form

FLAGS = ("admin_access", "app_access", "enforce_tfa")
EDITED = ("name", "description", *FLAGS, "ip_access")
NETWORKS = "ip_access"
MAX_NAME_LENGTH = 100


@dataclass(slots=True)
class PolicyForm:
    """The submitted values of a policy, as they are shown again if they are rejected."""

    values: dict[str, Any]
    errors: FormErrors = field(default_factory=dict)

    @classmethod
    def of_submitted(cls, form: Form, fields: list[str], translate: Translate) -> "PolicyForm":
        """Return the values of the `fields` that the form shows."""
        result = cls({name: _value(form, name) for name in fields})
        if NETWORKS in result.values:
            result._check_networks(translate)
        if "name" in result.values and not result.values["name"]:
            result.errors["name"] = translate("Enter a name.")
        return result

    def changed(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that differ from the stored ones."""
        return {name: value for name, value in self.values.items() if value != (stored.get(name) or _empty(name))}

    def _check_networks(self, translate: Translate) -> None:
        wrong = [(line, text) for line, text in enumerate(self.values[NETWORKS], 1) if text and not is_ip_rule(text)]
        message = translate(
            "Line {line}: {text} is not an address (192.0.2.1), a network (192.0.2.0/24) or a range "
            "(192.0.2.1-192.0.2.9)."
        )
        if wrong:
            self.errors[NETWORKS] = " ".join(message.format(line=line, text=text) for line, text in wrong)
        else:
            self.values[NETWORKS] = [text for text in self.values[NETWORKS] if text]


def _value(form: Form, name: str) -> Any:
    if name in FLAGS:
        return name in form
    text = form.get(name, "").replace("\r\n", "\n").strip()
    if name == NETWORKS:
        return [line.strip() for line in text.split("\n")] if text else []
    return text


def _empty(name: str) -> Any:
    return False if name in FLAGS else [] if name == NETWORKS else ""
