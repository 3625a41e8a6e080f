"""The parameters of libpq, and connection strings that hold them.

Their names are those of PostgreSQL 18's manual, "Parameter Key Words" and "Connection URIs".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from monarch.errors import SettingsError
from monarch.system.secrets import Secret
from monarch.system.spelling import suggest

SCHEMES = ("postgresql", "postgres")
# Those that people may set; an entry has keys of its own for the user, the password and the database.
OPTIONS = (
    *("application_name", "channel_binding", "client_encoding", "connect_timeout", "gssdelegation"),
    *("gssencmode", "gsslib", "hostaddr", "keepalives", "keepalives_count", "keepalives_idle"),
    *("keepalives_interval", "krbsrvname", "load_balance_hosts", "max_protocol_version"),
    *("min_protocol_version", "options", "passfile", "require_auth", "requirepeer", "service"),
    *("servicefile", "ssl_max_protocol_version", "ssl_min_protocol_version", "sslcert", "sslcertmode"),
    *("sslcrl", "sslcrldir", "sslkey", "sslmode", "sslnegotiation", "sslpassword", "sslrootcert"),
    *("sslsni", "target_session_attrs", "tcp_user_timeout"),
)
_SECRET = ("password", "sslpassword")
_IN_A_URI = (*OPTIONS, "dbname", "host", "password", "port", "user")
_HOST = re.compile(r"(?P<name>\[[^\]]*\]|[^:\[\]]*)(:(?P<port>\d*))?")

Value = str | Secret


@dataclass(frozen=True)
class Address:
    """What libpq needs to connect: ``parameters`` by their names in libpq, without the database.

    ``lock_timeout`` is how many seconds a statement of a migration waits for a lock.
    """

    parameters: tuple[tuple[str, Value], ...]
    lock_timeout: float

    def reveal(self) -> dict[str, str]:
        """Return the parameters with their secrets."""
        return {
            name: value.reveal() if isinstance(value, Secret) else value for name, value in self.parameters
        }


def is_uri(text: str) -> bool:
    """Whether ``text`` is a connection string of libpq, by its scheme.

    That may name a driver, as SQLAlchemy's do: many projects have one variable for both.
    """
    return text.partition("://")[0].partition("+")[0].lower() in SCHEMES


def parse(text: str) -> dict[str, Value]:
    """Return the parameters of the connection string ``text``, by their names in libpq.

    :raises SettingsError: saying what is wrong, without a value.
    """
    if not is_uri(text):
        raise SettingsError("it is no connection string of PostgreSQL", "It begins with postgresql://.")
    rest = text.partition("://")[2]
    if re.search(r"\s", rest):
        raise SettingsError("it has a space", "Write %20 for a space in a name or a password.")
    rest, _, query = rest.partition("?")
    authority, _, path = rest.partition("/")
    user_info, at, hosts = authority.rpartition("@")
    if "@" in path:
        raise SettingsError(
            "it has an @ after the first /", "Write %2F for a / and %40 for an @ in the password."
        )
    found: dict[str, Value] = _parse_hosts(hosts)
    if at:
        user, colon, password = user_info.partition(":")
        found |= _named("user", user) | (_named("password", password) if colon else {})
    if path:
        found |= _named("dbname", path)
    return found | _parse_query(query)


def _parse_hosts(text: str) -> dict[str, Value]:
    if not text:
        return {}
    names, ports = [], []
    for one in text.split(","):
        match = _HOST.fullmatch(one)
        if match is None:
            raise SettingsError(
                "its host has more than one port",
                "Write [::1] for an address, and %3A for a : in a password.",
            )
        names.append(unquote(match["name"].strip("[]")))
        ports.append(match["port"] or "")
    found: dict[str, Value] = {"host": ",".join(names)} if any(names) else {}
    return found | ({"port": ",".join(ports)} if any(ports) else {})


def _parse_query(query: str) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for one in query.split("&") if query else ():
        name, equals, value = one.partition("=")
        if name == "ssl":  # "true" as in connection strings of JDBC, which libpq accepts too; else as asyncpg
            name, value = "sslmode", "require" if value == "true" else value
        if not equals or name not in _IN_A_URI:
            raise SettingsError(f"it has an unknown option {name!r}", suggest(name, _IN_A_URI))
        found |= _named(name, value)
    return found


def _named(name: str, quoted: str) -> dict[str, Value]:
    value = unquote(quoted)
    if not value:
        return {}
    return {name: Secret(value) if name in _SECRET else value}
