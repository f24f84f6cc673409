"""The settings of an authentication provider that is an LDAP directory."""

import re
import ssl
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from app.core.provider_settings import LOCAL_HOSTS, ProviderSettings, variable_name

LDAP_URL_PATTERN = re.compile(r"ldaps?://[^\s/?#@]+/?", re.ASCII | re.IGNORECASE)
ATTRIBUTE_PATTERN = re.compile(r"[A-Za-z][A-Za-z0-9;.-]{0,127}|\d+(\.\d+)+", re.ASCII)
"""An attribute description of RFC 4512, section 2.5: a name or an OID, and options."""
PORTS = {"ldap": 389, "ldaps": 636}
MAX_TIMEOUT_MILLISECONDS = 60_000
AUTHORITIES, AUTHORITIES_FILE = "client__tls_options__ca", "client__tls_options__ca_file"
VERIFICATION = "client__tls_options__reject_unauthorized"


def _check_ldap_url(value: str) -> str:
    try:
        is_valid = LDAP_URL_PATTERN.fullmatch(value) is not None and urlsplit(value).port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError("must be a URL such as ldaps://ldap.example.com or ldap://ldap.example.com:389")
    return value


def _check_attribute(value: str) -> str:
    if not ATTRIBUTE_PATTERN.fullmatch(value):
        raise ValueError("must be the name of an attribute")
    return value


LdapUrl = Annotated[str, BeforeValidator(_check_ldap_url)]
AttributeName = Annotated[str, BeforeValidator(_check_attribute)]
Scope = Literal["base", "one", "sub"]
Milliseconds = Annotated[int, Field(gt=0, le=MAX_TIMEOUT_MILLISECONDS)]


class LdapSettings(ProviderSettings):
    """The settings of an LDAP directory. Names with two underscores are those of nested options in Directus."""

    driver: Literal["ldap"] = Field(description="`ldap`")
    client_url: LdapUrl = Field(description="The URL of the LDAP server, which starts with `ldaps://` or `ldap://`")
    bind_dn: str = Field(description="The DN of the account that searches for users and groups")
    bind_password: SecretStr = Field(description="The password of that account")
    user_dn: str = Field(description="The DN below which users are")
    user_attribute: AttributeName = Field("cn", description="The attribute that users enter as their identifier")
    user_scope: Scope = Field(
        "one",
        description="Where users are: the entry `AUTH_<NAME>_USER_DN` itself (`base`), directly below it (`one`), or "
        "anywhere below it (`sub`)",
    )
    mail_attribute: AttributeName = Field("mail", description="The attribute with the email address")
    first_name_attribute: AttributeName = Field("givenName", description="The attribute with the first name")
    last_name_attribute: AttributeName = Field("sn", description="The attribute with the last name")
    group_dn: str | None = Field(
        None,
        description="The DN below which groups are. If it is set, each sign-in assigns the role that has the name of "
        "one of the user's groups, or the default role",
    )
    group_attribute: AttributeName = Field(
        "member", description="The attribute of a group with its members: their DNs, or for `memberUid` their `uid`"
    )
    group_scope: Scope = Field("one", description="Where groups are, as `AUTH_<NAME>_USER_SCOPE`")
    allow_public_registration: bool = Field(True, description="Whether a first sign-in creates a user")
    start_tls: bool = Field(False, description="Whether a connection to `ldap://` is encrypted by StartTLS")
    client__tls_options__ca: str | None = Field(
        None, description="The certificates of trusted authorities as PEM text, instead of those of the system"
    )
    client__tls_options__ca_file: Path | None = Field(
        None, description="A file with the certificates of trusted authorities, instead of those of the system"
    )
    client__tls_options__reject_unauthorized: bool = Field(
        True, description="Whether the server's certificate is verified; `false` is only meant for tests"
    )
    client__connect_timeout: Milliseconds = Field(
        5000, description="How many milliseconds connecting may take, with TLS; at most 60000"
    )
    client__timeout: Milliseconds = Field(
        10_000, description="How many milliseconds a whole sign-in or renewal may take; at most 60000"
    )

    @property
    def assigns_roles(self) -> bool:
        return self.group_dn is not None

    @property
    def host(self) -> str:
        """The name or the address of the server."""
        return urlsplit(self.client_url).hostname or ""

    @property
    def port(self) -> int:
        """The port of the server."""
        url = urlsplit(self.client_url)
        return url.port or PORTS[url.scheme.lower()]

    @property
    def uses_ldaps(self) -> bool:
        """Whether a connection begins with TLS."""
        return urlsplit(self.client_url).scheme.lower() == "ldaps"

    @property
    def connect_timeout(self) -> timedelta:
        """How long connecting may take."""
        return timedelta(milliseconds=self.client__connect_timeout)

    @property
    def timeout(self) -> timedelta:
        """How long a whole sign-in or renewal may take."""
        return timedelta(milliseconds=self.client__timeout)

    def tls_context(self) -> ssl.SSLContext:
        """Return how TLS connections are verified.

        If no connection uses TLS, no authority is trusted: reading their certificates takes long.

        Raises:
            OSError: The certificates of the authorities can't be read.
        """
        text = (self.client__tls_options__ca or "").replace("\\n", "\n") or None
        if not (text or self.client__tls_options__ca_file or self.uses_ldaps or self.start_tls):
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context = ssl.create_default_context(cafile=self.client__tls_options__ca_file, cadata=text)
        if not self.client__tls_options__reject_unauthorized:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return context

    def unencrypted(self) -> list[str]:
        if self.host in LOCAL_HOSTS:
            return []
        if not self.uses_ldaps and not self.start_tls:
            url, tls = variable_name(self.name, "client_url"), variable_name(self.name, "start_tls")
            return [f"{url}: should start with ldaps://, or {tls} should be true"]
        if not self.client__tls_options__reject_unauthorized:
            return [f"{variable_name(self.name, VERIFICATION)}: should be true"]
        return []

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        if self.start_tls and self.uses_ldaps:
            raise ValueError(f"{variable_name(self.name, 'start_tls')}: needs a CLIENT_URL that starts with ldap://")
        try:
            self.tls_context()
        except OSError:  # ssl.SSLError is one
            setting = variable_name(self.name, AUTHORITIES_FILE if self.client__tls_options__ca_file else AUTHORITIES)
            raise ValueError(f"{setting}: holds no certificates as PEM text, or can't be read") from None
        return self

    @model_validator(mode="after")
    def _check_groups(self) -> Self:
        if self.role_mapping is not None and self.group_dn is None:
            raise ValueError(f"{variable_name(self.name, 'group_dn')}: must be set, because ROLE_MAPPING is")
        return self
