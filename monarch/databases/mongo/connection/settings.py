"""The keys of a MongoDB environment in ``ENVIRONMENTS``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TypeVar

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
from monarch.databases.mongo.connection import uri as uris
from monarch.errors import SettingsError
from monarch.system.secrets import Secret

# `sslCAFile` is what monarch 0.1 called MongoDB's `tlsCAFile`.
RENAMED = {"sslCAFile": "tlsCAFile"}
KEYS = ("host", "uri", "username", "password", "embedded", *RENAMED, *uris.OPTIONS)
_LONGEST_NAME = 63

_Parsed = TypeVar("_Parsed")


def address_of(environment: Environment) -> uris.Uri:
    """Return what a driver needs to connect to ``environment``, which is one of MongoDB.

    The ``path`` in it is the database that holds the user, unless the option ``authSource`` names another.
    """
    assert isinstance(environment.address, uris.Uri)
    return environment.address


def at_address(environment: Environment, address: uris.Uri) -> Environment:
    """Return ``environment`` with its server at ``address``."""
    return replace(
        environment,
        embedded=False,
        server=("mongodb+srv://" if address.srv else "") + ",".join(address.hosts),
        hosts=address.hosts,
        hosts_by_dns=address.srv,
        username=address.username,
        address=address,
    )


def parse_entry(name: str, entry: Entry) -> Environment:
    """Read the entry of the environment called ``name``.

    :raises SettingsError: naming the key, never showing a value.
    """
    if "port" in entry:
        raise SettingsError("'port' is not a key", "Write the port after the host: 'host': 'db:27017'.")
    check_keys(entry, KEYS)
    if read_flag(entry, "embedded"):
        return _embedded(name, entry)
    if "uri" in entry and "host" in entry:
        raise SettingsError("it has both 'uri' and 'host'", "Keep one of them.")
    if "uri" not in entry and "host" not in entry:
        raise SettingsError("it has none of 'uri', 'host' and 'embedded'", "Set one of them.")
    missing = find_missing(entry)
    entry = {key: value for key, value in entry.items() if value not in (None, "")} | (
        {missing: None} if missing else {}
    )
    address = _address(entry)
    db_name = read_text(entry, "db_name") or (address.path if "uri" in entry else "")
    if not db_name and missing is None:
        raise SettingsError("it has no 'db_name'", "Set 'db_name' to the name of the database.")
    if db_name:
        check_database_name(db_name)
    return at_address(Environment(name, "mongo", db_name, server="", missing=missing), address)


def _embedded(name: str, entry: Entry) -> Environment:
    extra = sorted(set(entry) - {"embedded", *COMMON_KEYS})
    if extra:
        raise SettingsError(
            f"it is embedded, so {extra[0]!r} has no meaning", f"Remove 'embedded' or {extra[0]!r}."
        )
    db_name = read_text(entry, "db_name")
    if not db_name:
        raise SettingsError("it has no 'db_name'", "Set 'db_name' to the name of the database.")
    check_database_name(db_name)
    return Environment(name=name, kind="mongo", db_name=db_name, server="embedded", embedded=True)


def _address(entry: Entry) -> uris.Uri:
    """Combine ``uri`` or ``host`` with the other keys of the entry."""
    text = read_text(entry, "uri")
    host = read_text(entry, "host")
    username, password = read_text(entry, "username"), read_secret(entry, "password")
    if text is not None:
        Secret(text)  # registers it, so that it is redacted from now on
        parts = _naming("uri", lambda: uris.parse(text))
        if (username and parts.username) or (password and parts.password):
            raise SettingsError(
                "its credentials are both in 'uri' and in keys of their own", "Keep one of them."
            )
    else:
        hosts = _naming("host", lambda: uris.parse_hosts(host)) if host is not None else ()
        # As in monarch 0.1 and in mongodump: users are in the database itself.
        parts = uris.Uri(False, hosts, None, None, read_text(entry, "db_name") or "", ())
    username = username if username is not None else parts.username
    password = password if password is not None else parts.password
    if password is not None and username is None and entry.get("username", "") is not None:
        raise SettingsError("it has a 'password' and no 'username'", "Add the user's name.")
    return uris.Uri(parts.srv, parts.hosts, username, password, parts.path, _options(entry, parts))


def _naming(key: str, parse: Callable[[], _Parsed]) -> _Parsed:
    """Return what ``parse`` returns; its errors name the ``key``."""
    try:
        return parse()
    except SettingsError as error:
        raise SettingsError(f"its {key!r} cannot be read: {error.message}", error.hint) from None


def _options(entry: Entry, parts: uris.Uri) -> tuple[uris.Option, ...]:
    """Return the options of the URI and of the entry's keys; the keys override the URI."""
    keys: dict[str, uris.Option] = {}
    for key, value in entry.items():
        name = RENAMED.get(key, key)
        if name in uris.OPTIONS and value is not None:
            keys[name] = _option(name, value)
    given = {*keys, *(name for name, _ in parts.options)}
    if any(name.startswith("tls") for name in given) and not {"tls", "ssl"} & given:
        keys["tls"] = ("tls", "true")
    kept = [option for option in parts.options if option[0] not in keys]
    options = (*kept, *keys.values())
    if dict(options).get("w") == "0":
        raise SettingsError(
            "its 'w' is 0, with which MongoDB reports no failed write", "Remove it, or set it to 'majority'."
        )
    return options


def _option(name: str, value: object) -> uris.Option:
    if isinstance(value, bool):
        value = "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise SettingsError(f"its {name!r} is a {type(value).__name__}", "Write it as a text or a number.")
    return uris.make_option(name, str(value))


def check_database_name(name: str) -> None:
    """Check MongoDB's rules for the name of a database (its manual, "Naming Restrictions").

    :raises SettingsError: saying what is wrong with it.
    """
    if name in ("admin", "config", "local"):
        raise SettingsError(
            f"{name!r} is MongoDB's own database", "Set 'db_name' to the name of your database."
        )
    if re.search(r'[/\\. "$*<>:|?\0]', name) or len(name.encode("utf-8", "replace")) > _LONGEST_NAME:
        raise SettingsError(
            f"its database cannot be called {name!r}",
            f'Use at most {_LONGEST_NAME} bytes, and none of / \\ . " $ * < > : | ? and space.',
        )


def check_twins(names: Iterable[str]) -> None:
    """Check that no two of ``names`` differ only by case, which MongoDB does not allow on one server.

    :raises SettingsError: naming both.
    """
    seen = dict[str, str]()
    for name in names:
        twin = seen.setdefault(name.casefold(), name)
        if twin != name:
            raise SettingsError(
                f"its 'db_name' has {twin!r} and {name!r}, which MongoDB takes for one",
                "Write the one that the server has.",
            )
