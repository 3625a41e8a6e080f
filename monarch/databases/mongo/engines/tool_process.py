"""Start mongodump or mongorestore as a program that gets its secrets and its query through files."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from monarch.databases.environment import Environment
from monarch.databases.mongo.connection.client import tool_config
from monarch.system.subprocesses import Tool

# No argument of a program can contain a NUL, so nothing else looks like these.
_CONFIG, _QUERY = "\0config", "\0query"
USE_QUERY_FILE = f"--queryFile={_QUERY}"


def start_tool(
    name: str,
    environment: Environment,
    arguments: Sequence[str],
    *,
    takes_input: bool,
    hear: Callable[[str], None],
    alive: Callable[[], None],
    query: str | None = None,
) -> Tool:
    """Start the tool ``name`` for ``environment``; see `Tool` for the other arguments.

    :param query: the contents of the file that `USE_QUERY_FILE` names.
    :raises ServerError: if it cannot be started.
    """
    return Tool(
        [name, f"--config={_CONFIG}", *arguments],
        secrets={_CONFIG: tool_config(environment)},
        texts={} if query is None else {_QUERY: query},
        takes_input=takes_input,
        hear=hear,
        alive=alive,
        message_of=_message_of,
        is_error=_is_error,
    )


def _message_of(line: str) -> str:
    """Return the message of a ``line`` of the form TIMESTAMP<TAB>message."""
    return line.rpartition("\t")[2]


def _is_error(line: str) -> bool:
    return "Failed:" in line or "error" in line.lower()
