"""A real OpenLDAP server in a process of its own, with certificates and data of its own."""

import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

PATH = "/usr/sbin:/usr/bin"
MISSING = [name for name in ("slapd", "slapadd", "ldapmodify") if shutil.which(name, path=PATH) is None]
BASE, PEOPLE, GROUPS = "dc=example,dc=com", "ou=people,dc=example,dc=com", "ou=groups,dc=example,dc=com"
BIND_DN, BIND_PASSWORD = f"cn=searcher,{BASE}", "password of the searcher"
LIMITED_DN = f"cn=limited,{BASE}"
"""An account with the size limit of slapd's defaults, which is 500."""
ROOT_DN, ROOT_PASSWORD = f"cn=root,{BASE}", "password of the root"
PASSWORD = "the right password"
KIM, MANY, LEE = f"cn=kim,{PEOPLE}", f"cn=many,{PEOPLE}", f"cn=lee,{PEOPLE}"
ODD_NAME = 'odd *)(cn=*) \\ "name", <x>;#'
GROUP_COUNT = 1000
REFERRAL = f"""dn: cn=elsewhere,{PEOPLE}
objectClass: referral
objectClass: extensibleObject
cn: elsewhere
ref: ldap://127.0.0.1:1/dc=example,dc=org
"""
START_SECONDS = 20
CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/nis.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/msuser.schema
attributetype ( 2.16.840.1.113730.3.1.610 NAME 'nsAccountLock' EQUALITY caseIgnoreMatch
  SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload ppolicy
pidfile {folder}/slapd.pid
TLSCertificateFile {folder}/server.pem
TLSCertificateKeyFile {folder}/server.key
allow bind_anon_cred bind_anon_dn
database mdb
suffix "dc=example,dc=com"
rootdn "cn=root,dc=example,dc=com"
rootpw "password of the root"
directory {folder}/data
maxsize 67108864
dbnosync
limits dn.exact="cn=searcher,dc=example,dc=com" size.prtotal=unlimited
overlay ppolicy
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="ou=hidden,dc=example,dc=com" by * none
access to * by dn.exact="cn=searcher,dc=example,dc=com" read by dn.exact="cn=limited,dc=example,dc=com" read by * none
"""


class Slapd:
    """A running server; `url` and `tls_url` are its addresses, `ca` the certificate of its authority."""

    def __init__(self, folder, port, tls_port):
        self.url, self.tls_url, self.ca = f"ldap://127.0.0.1:{port}", f"ldaps://127.0.0.1:{tls_port}", folder / "ca.pem"

    def modify(self, dn, **changes):
        """Replace attributes of an entry; None deletes one."""
        lines = [f"dn: {dn}", "changetype: modify"]
        for name, value in changes.items():
            lines += [f"replace: {name}", *([f"{name}: {value}"] if value is not None else []), "-"]
        self._apply("\n".join(lines) + "\n")

    def add(self, entry):
        """Add an entry of LDIF."""
        self._apply(entry.replace("\nobjectClass", "\nchangetype: add\nobjectClass", 1))

    def delete(self, dn):
        """Delete an entry."""
        self._apply(f"dn: {dn}\nchangetype: delete\n")

    def _apply(self, ldif):
        command = [_program("ldapmodify"), "-x", "-M", "-H", self.url, "-D", ROOT_DN, "-w", ROOT_PASSWORD]
        subprocess.run(command, input=ldif, text=True, check=True, capture_output=True)


@contextmanager
def running(folder: Path):
    """Run a server with the entries of `data` in a folder."""
    (folder / "data").mkdir()
    (folder / "slapd.conf").write_text(CONFIGURATION.format(folder=folder))
    _write_certificates(folder)
    add = [_program("slapadd"), "-q", "-f", folder / "slapd.conf"]
    subprocess.run(add, input=data(), text=True, check=True, capture_output=True)
    port, tls_port = _free_ports()
    server = Slapd(folder, port, tls_port)
    command = [_program("slapd"), "-h", f"{server.url} {server.tls_url}", "-f", folder / "slapd.conf", "-d", "0"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _await_port(tls_port, process)
        yield server
    finally:
        process.terminate()
        process.wait()


def person(name, *lines, uid=None):
    """Return an entry of a person as LDIF."""
    uid = uid or name
    attributes = [f"givenName: {name.title()}", "sn: Example", f"uid: {uid}", f"userPassword: {PASSWORD}"]
    head = [f"dn: cn={name},{PEOPLE}", "objectClass: inetOrgPerson", "objectClass: extensibleObject", f"cn: {name}"]
    return "\n".join([*head, *attributes, *lines]) + "\n"


def group(name, *members, kind="groupOfNames", attribute="member", more=()):
    """Return an entry of a group as LDIF."""
    head = [f"dn: cn={name},{GROUPS}", f"objectClass: {kind}", f"cn: {name}"]
    return "\n".join([*head, *more, *(f"{attribute}: {member}" for member in members)]) + "\n"


def data():
    """Return all entries as LDIF."""
    escaped = "".join(f"\\{ord(each):02x}" if each in ',\\"<>;#=*()' else each for each in ODD_NAME)
    odd = "\n".join(
        [
            f"dn: cn={escaped},{PEOPLE}",
            "objectClass: inetOrgPerson",
            f"cn: {ODD_NAME}",
            "sn: Odd",
            "mail: odd@example.com",
            f"userPassword: {PASSWORD}",
        ]
    )
    entries = [
        f"dn: {BASE}\nobjectClass: domain\ndc: example\n",
        f"dn: {BIND_DN}\nobjectClass: person\ncn: searcher\nsn: x\nuserPassword: {BIND_PASSWORD}\n",
        f"dn: {LIMITED_DN}\nobjectClass: person\ncn: limited\nsn: x\nuserPassword: {BIND_PASSWORD}\n",
        f"dn: {PEOPLE}\nobjectClass: organizationalUnit\nou: people\n",
        f"dn: {GROUPS}\nobjectClass: organizationalUnit\nou: groups\n",
        person("kim", "mail: kim@example.com", "title: kim@example.org"),
        person("lee", "mail: lee@example.com"),
        person("many", "mail: many@example.com"),
        person("plain"),
        person("disabled", "userAccountControl: 514"),
        person("expired", "msDS-User-Account-Control-Computed: 8388608"),
        person("unclear", "userAccountControl: 0"),
        person("locked", "pwdAccountLockedTime: 000001010000Z"),
        person("twin-a", uid="twin"),
        person("twin-b", uid="twin"),
        person("triplet", uid="twin"),
        person("n" * 60, "mail: long@example.com"),
        odd + "\n",
        REFERRAL,
        group("Editor", KIM),
        group("viewer", KIM, MANY),
        group("posix", "kim", kind="posixGroup", attribute="memberUid", more=["gidNumber: 100"]),
        *(group(f"group-{number}", MANY) for number in range(GROUP_COUNT)),
    ]
    return "\n".join(entries)


def _program(name):
    return shutil.which(name, path=PATH) or name


def _write_certificates(folder):
    key, ca_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test authority")])
    authority = x509.BasicConstraints(ca=True, path_length=None)
    ca = _certificate(ca_name, ca_key.public_key(), ca_name, ca_key, authority)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Test directory")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    server = _certificate(name, key.public_key(), ca_name, ca_key, address)
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    for file, content in (
        ("ca.pem", ca.public_bytes(serialization.Encoding.PEM)),
        ("server.pem", server.public_bytes(serialization.Encoding.PEM)),
        ("server.key", private),
    ):
        (folder / file).write_bytes(content)


def _certificate(subject, public_key, issuer, issuer_key, extension):
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
    return builder.add_extension(extension, critical=False).sign(issuer_key, hashes.SHA256())


def _free_ports():
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        return first.getsockname()[1], second.getsockname()[1]


def _await_port(port, process):
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return
