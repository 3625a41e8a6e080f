"""An environment: one database of a team, and how to reach it.

Built from one entry of ``ENVIRONMENTS`` in ``migrations/settings.py``; nothing past here sees the
dict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monarch import uri as uris
from monarch.errors import SettingsError
from monarch.system.secrets import Secret
from monarch.system.spelling import suggest

# `sslCAFile` is the original's name for what MongoDB calls `tlsCAFile` today.
RENAMED = {"sslCAFile": "tlsCAFile"}
KEYS = ("host", "uri", "db_name", "username", "password", "embedded", "protected", *RENAMED)


@dataclass(frozen=True)
class Environment:
    """One entry of ``ENVIRONMENTS``.

    ``missing`` is a key whose value is None or empty, as it is where an environment's variable is not
    set on this machine: such an environment can be listed but not used. ``auth_database`` is where the
    user is looked up unless the option ``authSource`` says otherwise.
    """

    name: str
    db_name: str
    hosts: tuple[str, ...] = ()
    srv: bool = False
    username: str | None = None
    password: Secret | None = None
    auth_database: str = ""
    options: tuple[uris.Option, ...] = ()
    embedded: bool = False
    protected: bool | None = None
    missing: str | None = None

    @property
    def server(self) -> str:
        """Where it is, for people; no credentials."""
        if self.embedded:
            return "embedded"
        return ("mongodb+srv://" if self.srv else "") + ",".join(self.hosts)

    def require(self) -> Environment:
        """This environment, if it can be used at all.

        :raises SettingsError: naming the key that has no value.
        """
        if self.missing is not None:
            raise SettingsError(
                f"Environment {self.name!r} has no {self.missing!r}: its value is empty.",
                "Is the variable set that migrations/settings.py takes it from?",
            )
        return self


def parse_environment(name: object, entry: object) -> Environment:
    """Read one entry of ``ENVIRONMENTS``.

    :raises SettingsError: naming the environment and the key, never showing a value.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[\w.\-]+", name) or name.startswith((".", "-")):
        raise SettingsError(
            f"{name!r} cannot be the name of an environment.", "Use letters, digits, _ . and -."
        )
    if not isinstance(entry, Mapping):
        raise SettingsError(f"Environment {name!r} is not a dict.", "See the README, Settings.")
    try:
        return _parse(name, entry)
    except SettingsError as error:
        if error.message.startswith("Environment "):
            raise
        raise SettingsError(f"Environment {name!r}: {error.message}.", error.hint) from None


def _parse(name: str, entry: Mapping[Any, Any]) -> Environment:
    _check_keys(entry)
    protected = _flag(entry, "protected")
    if _flag(entry, "embedded"):
        return _embedded(name, entry, protected)
    if "uri" in entry and "host" in entry:
        raise SettingsError("it has both 'uri' and 'host'", "Keep one of them.")
    if "uri" not in entry and "host" not in entry:
        raise SettingsError("it has none of 'uri', 'host' and 'embedded'", "Say where it is.")
    # A variable that is not set gives None, or in many a CI an empty text.
    missing = next((key for key, value in entry.items() if value in (None, "") and key != "protected"), None)
    entry = {key: value for key, value in entry.items() if value not in (None, "")} | (
        {missing: None} if missing else {}
    )
    parts = _parts(entry)
    db_name = _text(entry, "db_name") or (parts.path if "uri" in entry else "")
    if not db_name and missing is None:
        raise SettingsError("it has no 'db_name'", "Say which database of the server it is.")
    if db_name:
        check_database_name(db_name)
    return Environment(
        name=name,
        db_name=db_name,
        hosts=parts.hosts,
        srv=parts.srv,
        username=parts.username,
        password=parts.password,
        auth_database=parts.path,
        options=parts.options,
        protected=protected,
        missing=missing,
    )


def _embedded(name: str, entry: Mapping[Any, Any], protected: bool | None) -> Environment:
    extra = sorted(set(entry) - {"embedded", "db_name", "protected"})
    if extra:
        raise SettingsError(f"it is embedded, so {extra[0]!r} means nothing", "Remove one of the two.")
    db_name = _text(entry, "db_name")
    if not db_name:
        raise SettingsError("it has no 'db_name'", "Say how its database is called.")
    check_database_name(db_name)
    return Environment(name=name, db_name=db_name, embedded=True, protected=protected)


def _parts(entry: Mapping[Any, Any]) -> uris.Uri:
    """What ``uri`` or ``host`` says, with the keys that stand beside it."""
    text = _text(entry, "uri")
    host = _text(entry, "host")
    username, password = _text(entry, "username"), _secret(entry, "password")
    if text is not None:
        Secret(text)  # known from here on, so that nothing prints it
        parts = _labelled("uri", lambda: uris.parse(text))
        if (username and parts.username) or (password and parts.password):
            raise SettingsError("its credentials stand in 'uri' and beside it", "Keep one of them.")
    else:
        hosts = _labelled("host", lambda: uris.parse_hosts(host)) if host is not None else ()
        # As the original had it, and mongodump has it: users live in the database itself.
        parts = uris.Uri(False, hosts, None, None, _text(entry, "db_name") or "", ())
    username = username if username is not None else parts.username
    password = password if password is not None else parts.password
    if password is not None and username is None and entry.get("username", "") is not None:
        raise SettingsError("it has a 'password' and no 'username'", "Add the user's name.")
    return uris.Uri(parts.srv, parts.hosts, username, password, parts.path, _options(entry, parts))


def _labelled(key: str, parse: Any) -> Any:
    try:
        return parse()
    except SettingsError as error:
        raise SettingsError(f"its {key!r} cannot be read: {error.message}", error.hint) from None


def _options(entry: Mapping[Any, Any], parts: uris.Uri) -> tuple[uris.Option, ...]:
    """The options of the URI, then the keys beside it, which win."""
    keys: dict[str, uris.Option] = {}
    for key, value in entry.items():
        name = RENAMED.get(key, key)
        if name in uris.OPTIONS and value is not None:
            keys[name] = _option(name, value)
    said = {*keys, *(name for name, _ in parts.options)}
    if any(name.startswith("tls") for name in said) and not {"tls", "ssl"} & said:
        keys["tls"] = ("tls", "true")
    kept = [option for option in parts.options if option[0] not in keys]
    return (*kept, *keys.values())


def _option(name: str, value: object) -> uris.Option:
    if isinstance(value, bool):
        value = "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise SettingsError(f"its {name!r} is a {type(value).__name__}", "Write it as text or number.")
    return uris.make_option(name, str(value))


def _check_keys(entry: Mapping[Any, Any]) -> None:
    for key in entry:
        if key == "port":
            raise SettingsError("'port' is not a key", "The port goes with its host: 'host': 'db:27017'.")
        if key not in KEYS and key not in uris.OPTIONS:
            known = (*KEYS, *uris.OPTIONS)
            raise SettingsError(f"unknown key {key!r}", suggest(str(key), known))


def _text(entry: Mapping[Any, Any], key: str) -> str | None:
    value = entry.get(key)
    if value is not None and not isinstance(value, str):
        raise SettingsError(f"its {key!r} is a {type(value).__name__}, not a text", "Write it as 'text'.")
    return value or None


def _secret(entry: Mapping[Any, Any], key: str) -> Secret | None:
    value = _text(entry, key)
    return None if value is None else Secret(value)


def _flag(entry: Mapping[Any, Any], key: str) -> bool | None:
    value = entry.get(key)
    if value is not None and not isinstance(value, bool):
        raise SettingsError(f"its {key!r} is neither True nor False", "Write one of the two.")
    return value


def check_database_name(name: str) -> None:
    """MongoDB's rules for the name of a database (its manual, "Naming Restrictions").

    :raises SettingsError: saying what is wrong with it.
    """
    if name in ("admin", "config", "local"):
        raise SettingsError(f"{name!r} is MongoDB's own database", "Say with 'db_name' which one is yours.")
    if re.search(r'[/\\. "$*<>:|?\0]', name) or len(name.encode("utf-8", "replace")) > 63:
        raise SettingsError(
            f"its database cannot be called {name!r}",
            'At most 63 bytes, and none of / \\ . " $ * < > : | ? and space.',
        )
