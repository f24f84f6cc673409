"""The form that creates an API token: what it contains, and the messages of what is wrong with it."""

from dataclasses import dataclass, field
from typing import Any

from app.core.ip_addresses import is_ip_rule
from app.studio.form_errors import FormErrors, Translate
from app.studio.page_request import Form


@dataclass(slots=True)
class APITokenForm:
    """The entered values; `errors` are messages by field."""

    name: str = ""
    expires: str = ""
    read_only: bool = False
    policies: list[str] = field(default_factory=list)
    ip_access: str = ""
    errors: FormErrors = field(default_factory=dict)

    @classmethod
    def read(cls, form: Form, translate: Translate) -> "APITokenForm":
        """Return the values of a submitted form, checked."""
        result = cls(
            form.get("name", "").strip(),
            form.get("expires", "").strip(),
            "read_only" in form,
            form.getlist("policies"),
            form.get("ip_access", "").replace("\r\n", "\n").strip(),
        )
        if not result.name:
            result.errors["name"] = translate("Enter a name.")
        wrong = [rule for rule in result._rules() if not is_ip_rule(rule)]
        if wrong:
            result.errors["ip_access"] = translate("This is no IP address and no network: {text}").format(
                text=", ".join(wrong)
            )
        return result

    @property
    def data(self) -> dict[str, Any]:
        """The input of the mutation; without chosen policies the token is not limited to any."""
        return {
            "name": self.name,
            "expires": self.expires or None,
            "read_only": self.read_only,
            "policies": self.policies or None,
            "ip_access": self._rules() or None,
        }

    def _rules(self) -> list[str]:
        return [line.strip() for line in self.ip_access.split("\n") if line.strip()]
