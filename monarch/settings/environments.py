"""Reading ``ENVIRONMENTS`` of ``migrations/settings.py``: the kind of each environment, and the common keys.

The kind reads the keys of its own; no other code sees the dict.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from monarch.databases import DEFAULT_KIND, KINDS, find_kind, kind_of_uri
from monarch.databases.environment import Entry, Environment, read_flag, read_text
from monarch.databases.kinds import DatabaseKind
from monarch.databases.several import DatabaseSet, parse_databases
from monarch.errors import SettingsError
from monarch.system.secrets import Secret, redact
from monarch.system.spelling import nearest, suggest

# Names of this machine, besides all that begin with 127.
_LOCAL = ("localhost", "::1", "0:0:0:0:0:0:0:1", "::ffff:127.0.0.1", "0.0.0.0", "::")  # noqa: S104


def parse_environment(name: object, entry: object) -> Environment:
    """Read one entry of ``ENVIRONMENTS``.

    An entry that is wrong gives an environment with a ``problem``, which names the environment and the key
    and never shows a value: it must not break the others.

    :raises SettingsError: if ``name`` cannot be one.
    """
    if not isinstance(name, str) or not re.fullmatch(r"[\w.\-]+", name) or name.startswith((".", "-")):
        raise SettingsError(
            f"{name!r} cannot be the name of an environment.", "Use letters, digits, _ . and -."
        )
    if not isinstance(entry, Mapping):
        return _broken(name, f"Environment {name!r} is not a dict.", "See the manual: Settings.")
    try:
        protected, private = read_flag(entry, "protected"), bool(read_flag(entry, "private"))
        guessed = not entry.get("kind") and "uri" in entry and not entry["uri"]
        kind, databases = _kind(entry), parse_databases(entry.get("db_name"))
        parsed = kind.parse(name, entry) if databases is None else kind.parse_several(name, entry, databases)
        return replace(parsed, protected=protected, private=private, kind_guessed=guessed)
    except SettingsError as error:
        return _broken(name, f"Environment {name!r}: {error.message}.", error.hint)


def share_privacy(environments: Sequence[Environment]) -> tuple[Environment, ...]:
    """Return ``environments`` with those private that name the same database as a private one.

    One database may have several names, such as one for reading only. It is recognized by its name and by one
    host that both have, however that is written. Other names of a host in DNS are not recognized.
    """
    private = [one for one in environments if one.private and one.problem is None]
    return tuple(
        replace(one, private=True) if any(_is_one_database(one, other) for other in private) else one
        for one in environments
    )


def _is_one_database(one: Environment, other: Environment) -> bool:
    # Each embedded environment has a server of its own.
    if one.embedded or other.embedded or one.kind != other.kind:
        return False
    ours, theirs = _databases(one), _databases(other)
    if ours is None or theirs is None or not ours.may_share(theirs):
        return False
    return one.server == other.server or not _hosts(one).isdisjoint(_hosts(other))


def _databases(environment: Environment) -> DatabaseSet | None:
    if environment.databases is None and environment.db_name:
        return DatabaseSet((environment.db_name,))
    return environment.databases


def _hosts(environment: Environment) -> set[tuple[str, str]]:
    """Return its hosts with their ports, each written in one way."""
    default = find_kind(environment.kind).default_port
    # Without hosts it is reached by a socket of this machine.
    return {_host(host, default) for host in environment.hosts or ("localhost",)}


def _host(text: str, default: str) -> tuple[str, str]:
    if text.startswith("["):
        name, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif text.count(":") > 1:  # an address of IPv6 alone
        name, port = text, ""
    else:
        name, _, port = text.partition(":")
    name = name.lower().removesuffix(".")
    local = name in _LOCAL or name.startswith(("127.", "/", "%2f"))
    return "localhost" if local else name, port.lstrip("0") or default


def _broken(name: str, problem: str, remedy: str | None) -> Environment:
    return Environment(name, DEFAULT_KIND, db_name="", server="", problem=redact(problem), remedy=remedy)


def _kind(entry: Entry) -> DatabaseKind:
    """Return the kind that ``entry`` names, or else that of its ``uri``, or else the default kind."""
    named = read_text(entry, "kind")
    if named is not None:
        if named not in KINDS:
            raise SettingsError(f"unknown kind of database {named!r}", suggest(named, KINDS))
        return find_kind(named)
    uri = entry.get("uri")
    if not isinstance(uri, str) or not uri:
        return find_kind(DEFAULT_KIND)
    kind = kind_of_uri(uri)
    if kind is None:
        raise _unknown_scheme(uri)
    return kind


def _unknown_scheme(uri: str) -> SettingsError:
    Secret(uri)  # registers it, so that it is redacted from now on
    schemes = [scheme for name in KINDS for scheme in find_kind(name).schemes]
    listed = ", ".join(f"{scheme}://" for scheme in schemes)
    within = next((scheme for scheme in schemes if f"{scheme}://" in uri), None)
    near = nearest(uri.partition("://")[0], schemes) if "://" in uri else None
    if uri[0] in "'\"":
        hint = "Remove the quotes around it."
    elif within is not None:  # as after "jdbc:"
        hint = f"Remove what is before {within}:// in it."
    elif near is not None:
        hint = f"Write {near}:// instead."
    else:
        hint = "Write such a connection string, or 'kind', 'host' and the other keys instead of 'uri'."
    return SettingsError(f"its 'uri' begins with none of {listed}", hint)
