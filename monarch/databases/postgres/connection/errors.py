"""The errors of PostgreSQL and psycopg in words for people. The codes are from its manual, "Error Codes"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import errors

from monarch.databases.environment import Environment
from monarch.errors import MonarchError, ServerError
from monarch.system.secrets import redact

# The class of codes of values that a type does not accept.
_DATA_EXCEPTION = "22"
_QUOTED = re.compile(r"\"[^\"]*\"|»[^«]*«|«[^»]*»|„[^“]*“|“[^”]*”|'[^']*'")
# The bytes of a text that an encoding does not have.
HEX_BYTES = re.compile(r"0x[0-9a-f]{2}(?: 0x[0-9a-f]{2})*")
# libpq's own advice, such as "Is the server running on that host?". The hints here say more.
_ADVICE = re.compile(r"\n\t[^\n]*")
_PREFIX = re.compile(r"^connection (failed|is bad): ")
_BETWEEN_LINES = re.compile(r"(?<=[^\s.:;,!?])\s*\n\s*")
_NO_ROOM = "Make room on the disk of that server: until its end a copy needs room for the old contents too."
_CUT_OFF = "Look into the log of the server. Run the command again when it can be reached."
# What to do, by what PostgreSQL says.
_ADVICES = {
    "No space left on device": _NO_ROOM,
    "could not extend file": _NO_ROOM,
    "could not write block": _NO_ROOM,
    "checkpoint request failed": "The log of that server says why; often a disk is full.",
    "out of shared memory": "One transaction locks all tables and indexes there: increase "
    "max_locks_per_transaction in postgresql.conf, and restart that server.",
    "invalid memory alloc request size": "A row has more than 1 GB as text, which is more than PostgreSQL "
    "can send. Make its values shorter.",
    "have texts that are not valid in": "The source has no encoding. Correct them there, or use a "
    "database with SQL_ASCII.",
    "invalid byte sequence": "A text is not valid in the encoding of its database. Correct it at the source.",
    "has no equivalent in encoding": "Use a database with the encoding UTF8.",
    "connection to server was lost": _CUT_OFF,
    "closed the connection": _CUT_OFF,
}
_NOT_ACCEPTED = ("authentication failed", "no password supplied", "pg_hba.conf")


@contextmanager
def explained(environment: Environment) -> Iterator[None]:
    """Turn what psycopg raises inside into a `ServerError` for people."""
    try:
        yield
    except psycopg.Error as error:
        raise explain(environment, error) from error


def explain(environment: Environment, error: psycopg.Error) -> MonarchError:
    """Return the error for people that ``error`` means, which came from the server of ``environment``."""
    where, said = f"{environment.label!r} ({environment.server})", one_line(error)
    unconnected = _explain_connecting(environment, where, error, said)
    if unconnected is not None:
        return unconnected
    if isinstance(error, errors.InsufficientPrivilege):
        return ServerError(
            f"PostgreSQL of {where} refuses user {environment.username!r}: {said}",
            "Use the owner of the database, or grant what is missing.",
        )
    if isinstance(error, errors.ReadOnlySqlTransaction):
        return ServerError(
            f"PostgreSQL of {where} can only be read: it is a replica, or read-only by its settings.",
            "Use the address of the primary server.",
        )
    if isinstance(error, errors.LockNotAvailable):
        return ServerError(
            f"PostgreSQL of {where} did not give a lock in time: {said}",
            "Another session holds it. Try again when that has ended.",
        )
    return ServerError(f"PostgreSQL of {where} failed: {said}", advise(said))


def _explain_connecting(
    environment: Environment, where: str, error: psycopg.Error, said: str
) -> ServerError | None:
    """Return the error for people if no connection was made, or none to the database; None otherwise."""
    # Without a code it is libpq's own.
    of_libpq = error.sqlstate is None
    if isinstance(error, errors.InvalidPassword | errors.InvalidAuthorizationSpecification) or (
        of_libpq and any(words in said for words in _NOT_ACCEPTED)
    ):
        return ServerError(
            f"PostgreSQL of {where} does not accept user {environment.username!r}: {said}",
            "Check 'username' and 'password', or the passfile, and pg_hba.conf on the server.",
        )
    if isinstance(error, errors.InvalidCatalogName) or (
        of_libpq and "database" in said and "does not exist" in said
    ):
        return ServerError(
            f"The server of {where} has no database {environment.db_name!r}.",
            f"Create it with `createdb {environment.db_name}` on that server, or correct its name.",
        )
    if of_libpq and isinstance(error, psycopg.OperationalError):
        return ServerError(
            f"Cannot reach PostgreSQL for {where}: {said}", _unreachable_hint(said, environment)
        )
    return None


def advise(said: str) -> str:
    """Return what to do about a failure of a server or of its tools, by what it ``said``."""
    for part, advice in _ADVICES.items():
        if part in said:
            return advice
    return "This message is the server's. Fix the cause and run the command again."


def describe_driver_error(error: BaseException) -> str | None:
    """Return what ``error`` of psycopg means, in one line without values of rows; None for other errors."""
    # SQLAlchemy's and Django's errors wrap those of psycopg, and quote them.
    own = error if isinstance(error, psycopg.Error) else error.__cause__
    if isinstance(own, psycopg.Error):
        return f"{type(own).__name__}: {one_line(own)}"
    if type(error).__module__.partition(".")[0] == "sqlalchemy":
        return _without_statement(error)
    return None


def _without_statement(error: BaseException) -> str:
    """Return an error of SQLAlchemy in one line, without the statement and its values, which it may quote."""
    said = str(error)
    for begin in ("Original exception was:", "[SQL:", "[parameters:"):
        said = said.partition(begin)[0]
    return f"{type(error).__name__}: {' '.join(redact(said).split())}"


def one_line(error: psycopg.Error) -> str:
    """Return what the server says of ``error`` in one line, without secrets and without its details.

    The details of PostgreSQL's errors quote values of rows, and so do the messages of data exceptions.
    """
    primary = error.diag.message_primary or str(error)
    # That of a character which an encoding lacks quotes the encoding.
    quotes_values = not isinstance(error, errors.UntranslatableCharacter)
    if quotes_values and (error.sqlstate or "").startswith(_DATA_EXCEPTION):
        primary = _QUOTED.sub("…", primary)
    primary = HEX_BYTES.sub("…", primary)
    lines = _ADVICE.sub("", redact(primary)).splitlines()
    # With and without TLS, libpq gets the same answer. psycopg puts two words before the first one.
    once = "\n".join(dict.fromkeys(_PREFIX.sub("", line) for line in lines))
    return " ".join(_BETWEEN_LINES.sub("; ", once).split())


def is_away(error: BaseException) -> bool:
    """Whether the server is unavailable for a moment, or the connection was cut off."""
    away = (
        errors.AdminShutdown,
        errors.CrashShutdown,
        errors.CannotConnectNow,
        errors.TooManyConnections,
        errors.IdleSessionTimeout,
        errors.LockNotAvailable,
    )
    if isinstance(error, away) or (getattr(error, "sqlstate", None) or "").startswith("08"):
        return True
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and error.sqlstate is None


def _unreachable_hint(said: str, environment: Environment) -> str:
    lower = said.lower()
    own = "certificate file" in lower and "root certificate file" not in lower
    if own or "client certificate" in lower or "private key file" in lower:
        return "Check 'sslcert' and 'sslkey', and who may read their files."
    if "certificate" in lower or "ssl" in lower or "tls" in lower:
        return "The TLS connection failed. Check 'sslmode', 'sslrootcert' and the host name."
    if "definition of service" in lower or "service file" in lower:
        return "Check 'service', and the file pg_service.conf that names it."
    return f"Check that it is running, and the host of {environment.label!r} in migrations/settings.py."
