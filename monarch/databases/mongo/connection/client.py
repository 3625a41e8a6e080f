"""Connecting to MongoDB, and explaining its errors.

Credentials reach pymongo as keyword arguments; the connection string it gets holds no secret, so
none of its messages can.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote

from pymongo import MongoClient
from pymongo.errors import (
    ConfigurationError,
    ConnectionFailure,
    InvalidURI,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)
from pymongo.monitoring import CommandListener

from monarch.databases.environment import Environment
from monarch.databases.mongo.connection import uri as uris
from monarch.databases.mongo.connection.driver_errors import without_values
from monarch.databases.mongo.connection.settings import address_of
from monarch.errors import AccessDenied, MonarchError, ServerError, SettingsError, UsageError
from monarch.log import DATABASE, is_heard, log
from monarch.system.secrets import Secret, redact

# Milliseconds to wait for a server that cannot be reached; pymongo waits thirty seconds.
PATIENCE_MS = 5000
# What an application sets for many short requests would end a long command, such as building an index, or let
# the renewal of the lease wait for it. These are pymongo's defaults.
_UNLIMITED: dict[str, Any] = {
    "socketTimeoutMS": None,
    "timeoutMS": None,
    "maxPoolSize": 100,
    "maxConnecting": 2,
    "waitQueueTimeoutMS": None,
}
_AUTHENTICATION_FAILED, _UNAUTHORIZED = 18, 13

# Without a password OpenSSL prompts for one, even in a CI job. A key without a password ignores it.
_NOTHING = "none was given"
# Mechanisms whose users are outside the database.
_EXTERNAL = ("GSSAPI", "MONGODB-AWS", "MONGODB-OIDC", "MONGODB-X509", "PLAIN")

# The options that the drivers of MongoDB's tools know; the others tune pymongo.
_TOOLS_KNOW = frozenset(
    [
        "authMechanism",
        "authMechanismProperties",
        "authSource",
        "compressors",
        "connectTimeoutMS",
        "directConnection",
        "loadBalanced",
        "localThresholdMS",
        "maxStalenessSeconds",
        "readPreference",
        "readPreferenceTags",
        "replicaSet",
        "serverSelectionTimeoutMS",
        "srvMaxHosts",
        "srvServiceName",
        "ssl",
        "tls",
        "tlsCAFile",
        "tlsCertificateKeyFile",
        "tlsCertificateKeyFilePassword",
        "tlsDisableOCSPEndpointCheck",
        "tlsInsecure",
        "zlibCompressionLevel",
    ]
)
_NOT_FOR_TOOLS = ("tlsAllowInvalidHostnames", "tlsCRLFile")

Client = MongoClient[dict[str, Any]]


@contextmanager
def connect(environment: Environment, listeners: Sequence[CommandListener] = ()) -> Iterator[Client]:
    """Open a client for ``environment``. Nothing is sent before the first command.

    Limits of time and of connections in its settings are checked and not used.
    ``listeners`` are called for every command: expensive for bulk reads.

    :raises SettingsError: if pymongo does not accept an option.
    """
    try:
        with warnings.catch_warnings():
            # An option that pymongo ignores with a warning is a mistake.
            warnings.simplefilter("error", UserWarning)
            arguments = _arguments(environment)
            if is_heard(DATABASE):
                listeners = (*listeners, _command_log(environment))
            if listeners:
                arguments["event_listeners"] = list(listeners)
            client: Client = MongoClient(uris.build(_public(environment)), **arguments)
    except (ConfigurationError, InvalidURI, ValueError, TypeError, OSError, UserWarning) as error:
        if address_of(environment).srv and "DNS" in str(error):
            raise ServerError(
                f"Cannot look up {environment.server} for {environment.label!r}: {_one_line(error)}",
                "Check the name in migrations/settings.py, and that this machine can reach its DNS server.",
            ) from error
        culprit = _culprit(environment)
        what = f"its {culprit[0]!r}: {culprit[1]!r}: " if culprit else ""
        raise SettingsError(
            f"Environment {environment.label!r} cannot be used: {what}{_one_line(error)}",
            "Check its keys in migrations/settings.py.",
        ) from error
    except PyMongoError as error:
        raise explain(environment, error) from error
    with client:
        yield client


def _command_log(environment: Environment) -> CommandListener:
    from monarch.databases.mongo.connection.command_log import CommandLog

    who = f" as {environment.username}" if environment.username else ""
    log(DATABASE, f"connecting to MongoDB of {environment.label} ({environment.server}){who}")
    return CommandLog()


def full_uri(environment: Environment) -> str:
    """Return the whole connection string, secrets included, for another driver."""
    address = address_of(environment)
    return _with_auth_source(address, environment.db_name, address.options)


def public_uri(environment: Environment) -> str:
    """Return the connection string of ``environment`` without its secrets."""
    address = address_of(environment)
    options = tuple(option for option in address.options if option[0] not in uris.SECRET_OPTIONS)
    return _with_auth_source(replace(address, password=None), environment.db_name, options)


def tool_uri(environment: Environment) -> str:
    """Return the connection string for mongodump and mongorestore, secrets included, without a database.

    :raises UsageError: if they do not know an option that matters.
    """
    address = address_of(environment)
    options: list[uris.Option] = []
    for name, value in address.options:
        if name in _NOT_FOR_TOOLS:
            raise UsageError(
                f"Environment {environment.label!r} has {name!r}, which MongoDB's tools do not know.",
                "Use --engine native.",
            )
        if name in _TOOLS_KNOW:
            options.append((name, value))
        elif name == "tlsAllowInvalidCertificates":  # pymongo then skips both checks, as tlsInsecure does
            options.append(("tlsInsecure", value))
    if "connectTimeoutMS" not in dict(options):
        options.append(("connectTimeoutMS", str(PATIENCE_MS)))
    return _with_auth_source(address, "", tuple(options))


def tool_config(environment: Environment) -> Secret:
    """Return the ``--config`` of mongodump and mongorestore, with the address and the credentials."""
    # A JSON string is a YAML string.
    return Secret(f"uri: {json.dumps(tool_uri(environment))}\n")


def _with_auth_source(address: uris.Uri, path: str, options: tuple[uris.Option, ...]) -> str:
    """Return the connection string of ``address`` with another path and other options."""
    named = dict(options)
    # By default a driver takes authSource from the path, which is another one now. DNS records of a cluster
    # and some mechanisms set it themselves.
    decided = address.srv or "authSource" in named or named.get("authMechanism") in _EXTERNAL
    if address.username is not None and not decided:
        options = (*options, ("authSource", address.path or "admin"))
    return uris.build(replace(address, path=path, options=options))


def _public(environment: Environment) -> uris.Uri:
    address = address_of(environment)
    options = tuple(option for option in address.options if not isinstance(option[1], Secret))
    return replace(address, username=None, password=None, options=options)


def _arguments(environment: Environment) -> dict[str, Any]:
    address = address_of(environment)
    given = {name for name, _ in address.options}
    arguments: dict[str, Any] = {
        name: value.reveal() for name, value in address.options if isinstance(value, Secret)
    }
    arguments |= _UNLIMITED
    for name, value in (
        ("serverSelectionTimeoutMS", PATIENCE_MS),
        ("connectTimeoutMS", PATIENCE_MS),
        ("appName", "monarch"),
    ):
        if name not in given:
            arguments[name] = value
    if "tlsCertificateKeyFile" in given and "tlsCertificateKeyFilePassword" not in given:
        arguments["tlsCertificateKeyFilePassword"] = _NOTHING
    if address.username is not None:
        arguments["username"] = address.username
    if address.password is not None:
        arguments["password"] = address.password.reveal()
    return arguments


def _culprit(environment: Environment) -> tuple[str, str] | None:
    """Return the option that pymongo refuses even alone, with its value; not every message names it."""
    for name, value in address_of(environment).options:
        if isinstance(value, Secret):
            continue
        extra: dict[str, Any] = {"tls": True} if name.startswith("tls") else {}
        if name == "tlsCertificateKeyFile":
            extra = {**extra, "tlsCertificateKeyFilePassword": _NOTHING}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", UserWarning)
                uri = f"mongodb://localhost/?{name}={quote(value, safe='')}"
                MongoClient(uri, connect=False, **extra).close()
        except (PyMongoError, ValueError, TypeError, OSError, UserWarning):
            return name, value
    return None


@contextmanager
def explained(environment: Environment) -> Iterator[None]:
    """Turn what pymongo raises inside into a `ServerError` for people."""
    try:
        yield
    except PyMongoError as error:
        raise explain(environment, error) from error
    except ValueError as error:  # a password that SCRAM does not accept, or a date out of Python's range
        raise ServerError(
            f"MongoDB of {environment.label!r} cannot be used: {_one_line(error)}",
            "Check that the password has no line break or control characters.",
        ) from error


def explain(environment: Environment, error: PyMongoError) -> MonarchError:
    """Return the error for people that ``error`` means, which came from the server of ``environment``."""
    where = f"{environment.label!r} ({environment.server})"
    address = address_of(environment)
    if isinstance(error, ServerSelectionTimeoutError):
        given = dict(address.options).get("serverSelectionTimeoutMS", PATIENCE_MS)
        seconds = float(str(given)) / 1000
        return ServerError(
            f"Cannot reach MongoDB for {where} within {seconds:g} seconds: {_reason(error)}",
            _unreachable_hint(str(error), environment),
        )
    if isinstance(error, OperationFailure) and error.code == _AUTHENTICATION_FAILED:
        source = dict(address.options).get("authSource") or address.path or "admin"
        return ServerError(
            f"MongoDB of {where} does not accept user {environment.username!r} and its password.",
            f"The user was looked up in {source!r}. Set 'authSource' if it is in another database.",
        )
    if isinstance(error, OperationFailure) and error.code == _UNAUTHORIZED:
        if environment.username is None:
            return ServerError(
                f"MongoDB of {where} requires authentication, and the environment has no 'username'.",
                "Add 'username' and 'password', or include them in its 'uri'.",
            )
        return AccessDenied(
            f"MongoDB of {where} refuses user {environment.username!r}: {_message(error)}",
            "Use an account with the role that this needs: read to read or copy from it, readWrite to "
            "change it, dbAdmin to drop it.",
        )
    if isinstance(error, ConnectionFailure):
        return ServerError(
            f"Lost the connection to {where}: {_one_line(error)}", "Try again when it is available."
        )
    if "journaling enabled" in str(error):
        return ServerError(
            f"MongoDB of {where} runs without a journal, and could lose what it has confirmed.",
            "Start mongod without --nojournal. Nothing was changed.",
        )
    return ServerError(
        f"MongoDB of {where} failed: {_message(error)}",
        "This message is the server's. Fix the cause and run the command again.",
    )


def _message(error: PyMongoError) -> str:
    """Return the server's message, without the reply that pymongo appends and without the command's text."""
    words = " ".join(redact(str(error)).partition(", full error:")[0].split())
    return without_values(re.sub(r"(to execute command) \{ (\w+):.*", r"\1 \2", words))


def _one_line(error: Exception) -> str:
    return " ".join(redact(str(error)).partition(" (configured timeouts")[0].split())


def _reason(error: ServerSelectionTimeoutError) -> str:
    """Return the first reason that pymongo lists, without what it appends."""
    first = redact(str(error)).partition(", Timeout:")[0].partition(" (configured timeouts")[0]
    return " ".join(first.split())


def _unreachable_hint(reason: str, environment: Environment) -> str:
    lower = reason.lower()
    if "certificate" in lower or "ssl" in lower:
        return "The TLS connection failed. Check 'tls', 'tlsCAFile' and the host name."
    if "connection closed" in lower or "reset by peer" in lower:
        return "The server closed the connection. If it requires TLS, set 'tls': True."
    if ("no replica set members" in lower or "replicaset" in lower) and "refused" not in lower:
        return "Check that 'replicaSet' is the name of this replica set; remove it for a mongos."
    return f"Check that it is running, and the host of {environment.label!r} in migrations/settings.py."
