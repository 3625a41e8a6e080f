"""The keys of a PostgreSQL environment in ``ENVIRONMENTS``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote

from monarch.databases.environment import (
    COMMON_KEYS,
    Entry,
    Environment,
    check_keys,
    find_missing,
    read_flag,
    read_secret,
    read_text,
)
from monarch.databases.postgres.connection.parameters import OPTIONS, Address, Value, parse
from monarch.errors import SettingsError
from monarch.system.secrets import Secret

KEYS = ("embedded", "host", "lock_timeout", "password", "port", "uri", "username", *OPTIONS)
# Seconds. Everybody who comes later waits behind a statement that waits for a lock.
LOCK_TIMEOUT = 5.0
# PostgreSQL's manual, "Identifiers and Key Words": NAMEDATALEN - 1 bytes.
_LONGEST_NAME = 63


def address_of(environment: Environment) -> Address:
    """Return what libpq needs to connect to ``environment``, which is one of PostgreSQL."""
    assert isinstance(environment.address, Address)
    return environment.address


def lock_timeout_of(environment: Environment) -> int:
    """Return for how many milliseconds a statement on ``environment`` waits for a lock."""
    return round(address_of(environment).lock_timeout * 1000)


def uri(environment: Environment) -> str:
    """Return a connection string for another driver, secrets included."""
    return _join(address_of(environment).reveal(), environment.db_name)


def public_uri(environment: Environment) -> str:
    """Return a connection string without the secrets."""
    parameters = address_of(environment).parameters
    return _join({name: value for name, value in parameters if isinstance(value, str)}, environment.db_name)


def _join(parameters: Mapping[str, str], database: str) -> str:
    """Return the connection string of ``parameters``, by their names in libpq."""
    given = {name: value for name, value in parameters.items() if value}
    host, port = given.pop("host", ""), given.pop("port", "")
    user, password = given.pop("user", ""), given.pop("password", "")
    who = quote(user, safe="") + (f":{quote(password, safe='')}" if password else "")
    is_plain = "," not in host and not host.startswith("/")
    place = f"{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}" if is_plain else ""
    if not is_plain:
        given |= {"host": host} | ({"port": port} if port else {})
    options = "&".join(f"{name}={quote(value, safe='')}" for name, value in given.items())
    database = quote(database, safe="")
    return f"postgresql://{f'{who}@' if who else ''}{place}/{database}{f'?{options}' if options else ''}"


def at_address(environment: Environment, address: Address) -> Environment:
    """Return ``environment`` with its server at ``address``."""
    values = dict(address.parameters)
    hosts = _hosts(values)
    service = values.get("service")
    user = values.get("user")
    return replace(
        environment,
        embedded=False,
        server=",".join(hosts) or (f"service {service}" if service else "the local socket"),
        # A socket is on this machine. A service names its host in a file, so nothing here tells where it is.
        hosts=(f"of service {service}",) if service else tuple(h for h in hosts if not h.startswith("/")),
        hosts_by_dns=service is not None,
        username=user if isinstance(user, str) else None,
        address=address,
    )


def parse_entry(name: str, entry: Entry, *, is_member: bool = False) -> Environment:
    """Read the entry of the environment called ``name``.

    :param is_member: whether its database is one of several, so that the ``uri`` may name another.
    :raises SettingsError: naming the key, never showing a value.
    """
    check_keys(entry, KEYS)
    lock_timeout = _lock_timeout(entry)
    if read_flag(entry, "embedded"):
        return _embedded(name, entry, lock_timeout)
    if not any(key in entry for key in ("uri", "host", "service")):
        raise SettingsError("it has none of 'uri', 'host', 'service' and 'embedded'", "Set one of them.")
    missing = find_missing(entry)
    values = _values(entry, is_member=is_member)
    db_name = values.pop("dbname", "")
    assert isinstance(db_name, str)
    if not db_name and missing is None:
        raise SettingsError("it has no 'db_name'", "Set 'db_name' to the name of the database.")
    check_database_name(db_name)
    address = Address(tuple(values.items()), lock_timeout)
    return at_address(Environment(name, "postgres", db_name, server="", missing=missing), address)


def _embedded(name: str, entry: Entry, lock_timeout: float) -> Environment:
    extra = sorted(set(entry) - {"embedded", *COMMON_KEYS, "lock_timeout"})
    if extra:
        raise SettingsError(
            f"it is embedded, so {extra[0]!r} has no meaning", f"Remove 'embedded' or {extra[0]!r}."
        )
    db_name = read_text(entry, "db_name")
    if not db_name:
        raise SettingsError("it has no 'db_name'", "Set 'db_name' to the name of the database.")
    check_database_name(db_name)
    address = Address((), lock_timeout)
    return Environment(name, "postgres", db_name, server="embedded", embedded=True, address=address)


def _values(entry: Entry, *, is_member: bool) -> dict[str, Value]:
    """Combine ``uri`` with the other keys of the entry, by their names in libpq."""
    text = read_text(entry, "uri")
    values: dict[str, Value] = {}
    if text is not None:
        Secret(text)  # registers it, so that it is redacted from now on
        try:
            values = parse(text)
        except SettingsError as error:
            raise SettingsError(f"its 'uri' cannot be read: {error.message}", error.hint) from None
    if is_member:
        values.pop("dbname", None)
    keys: dict[str, Value | None] = {
        "host": read_text(entry, "host"),
        "port": _plain(entry, "port"),
        "user": read_text(entry, "username"),
        "password": read_secret(entry, "password"),
        "dbname": read_text(entry, "db_name"),
        **{name: _option(entry, name) for name in OPTIONS},
    }
    given = {name: value for name, value in keys.items() if value is not None}
    twice = sorted(name for name in given.keys() & values.keys() if given[name] != values[name])
    if twice:
        key = {"dbname": "db_name", "user": "username"}.get(twice[0], twice[0])
        raise SettingsError(f"its {key!r} is both in 'uri' and in a key of its own", "Keep one of them.")
    return values | given


def _option(entry: Entry, name: str) -> Value | None:
    return read_secret(entry, name) if name == "sslpassword" else _plain(entry, name)


def _plain(entry: Entry, name: str) -> str | None:
    """Return a number or a text at ``name`` as a text."""
    value = entry.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int | None):
        raise SettingsError(f"its {name!r} is a {type(value).__name__}", "Write it as a text or a number.")
    return None if value in (None, "") else str(value)


def _lock_timeout(entry: Entry) -> float:
    value = entry.get("lock_timeout", LOCK_TIMEOUT)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 86_400:
        raise SettingsError("its 'lock_timeout' is not a number of seconds", "Write 5, for example.")
    return float(value)


def _hosts(values: dict[str, Value]) -> list[str]:
    """Return the hosts with their ports, for people."""
    # libpq connects to the address, if both are there.
    names = str(values.get("hostaddr", values.get("host", ""))).split(",")
    ports = str(values.get("port", "")).split(",")
    ports = ports * len(names) if len(ports) == 1 else ports
    joined = zip(names, ports, strict=False)
    return [f"{name}:{port}" if port else name for name, port in joined if name]


def check_database_name(name: str) -> None:
    """Check PostgreSQL's rules for the name of a database.

    :raises SettingsError: saying what is wrong with it.
    """
    if name in ("template0", "template1"):
        raise SettingsError(f"{name!r} is a template of PostgreSQL's own", "Name your own database.")
    if "\0" in name or len(name.encode("utf-8", "replace")) > _LONGEST_NAME:
        raise SettingsError(f"its database cannot be called {name!r}", f"Use at most {_LONGEST_NAME} bytes.")
