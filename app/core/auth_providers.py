"""The authentication providers, whose settings are the variables `AUTH_<NAME>_…` under Directus' names."""

import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches

from pydantic import ValidationError

from app.core.ldap_settings import LdapSettings
from app.core.provider_settings import OAuthSettings, ProviderSettings, variable_name

DEFAULT_PROVIDER = "default"
"""The provider of users whose passwords are verified here."""
NAME_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", re.ASCII)
MIN_SIMILARITY = 0.4
"""Ratio of `difflib` from which the nearest setting is suggested."""
DRIVERS: Mapping[str, type[ProviderSettings]] = {
    "openid": OAuthSettings,
    "oauth2": OAuthSettings,
    "ldap": LdapSettings,
}
"""The settings of each driver."""


def load_providers(names: Sequence[str], variables: Mapping[str, str | None]) -> tuple[ProviderSettings, ...]:
    """Return the settings of the providers with these names, from variables of any case; empty ones are ignored.

    Raises:
        ValueError: A name or a setting is invalid; the message names the first variable that is, and no value.
    """
    _check_names(names)
    values = {name.upper(): value for name, value in variables.items() if value}
    owners = {name: _owner(name, names) for name in values}
    return tuple(_load(name, {each: values[each] for each in values if owners[each] == name}) for name in names)


def unencrypted_connections(providers: Sequence[ProviderSettings]) -> list[str]:
    """Return a line for each setting with which secrets would be sent without verified TLS to another machine."""
    return [line for each in providers for line in each.unencrypted()]


def _check_names(names: Sequence[str]) -> None:
    if len({name.upper() for name in names}) < len(names):
        raise ValueError("AUTH_PROVIDERS: must not contain a name twice, in whatever case")
    for name in names:
        if not NAME_PATTERN.fullmatch(name) or name.lower() in (DEFAULT_PROVIDER, "disable"):
            raise ValueError(
                "AUTH_PROVIDERS: must be names of letters, digits, hyphens and underscores, comma-separated; "
                f"{DEFAULT_PROVIDER} and disable are reserved"
            )


def _owner(variable: str, names: Sequence[str]) -> str | None:
    """Return the provider that a variable belongs to: the one with the longest name, as names may contain `_`."""
    matching = [name for name in names if variable.startswith(variable_name(name, ""))]
    return max(matching, key=len, default=None)


def _load(name: str, variables: Mapping[str, str | None]) -> ProviderSettings:
    prefix = variable_name(name, "")
    values = {variable.removeprefix(prefix).lower(): value for variable, value in variables.items()}
    driver = values.get("driver") or ""
    if driver not in DRIVERS:
        problem = f"must be one of {', '.join(DRIVERS)}" if driver else "must be set"
        raise ValueError(f"{variable_name(name, 'driver')}: {problem}")
    model = DRIVERS[driver]
    names = setting_names(model)
    for setting in values:
        if setting not in names:
            raise ValueError(_unknown_setting(name, setting, names))
    try:
        return model.model_validate({**values, "name": name})
    except ValidationError as error:
        raise ValueError(_first_problem(name, error)) from None


def setting_names(model: type[ProviderSettings]) -> tuple[str, ...]:
    """Return the names of a driver's settings."""
    return tuple(name for name in model.model_fields if name != "name")


def _unknown_setting(provider: str, setting: str, known: Sequence[str]) -> str:
    if setting == "plain_code_challenge":
        return f"{variable_name(provider, setting)}: is not supported, because PKCE always uses S256; remove it"
    nearest = get_close_matches(setting, known, 1, MIN_SIMILARITY)
    hint = f". Did you mean {variable_name(provider, nearest[0])}?" if nearest else ""
    return f"{variable_name(provider, setting)}: is not a setting{hint}"


def _first_problem(provider: str, error: ValidationError) -> str:
    first = error.errors()[0]
    if not first["loc"]:
        return first["msg"].removeprefix("Value error, ")
    problem = "must be set" if first["type"] == "missing" else first["msg"].removeprefix("Value error, ")
    return f"{variable_name(provider, str(first['loc'][0]))}: {problem}"
