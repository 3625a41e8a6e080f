"""A MongoDB server of monarch's own, running for as long as a command needs it.

Its data lies in ``.monarch/<environment>/`` of the project::

    gate.lock    held for the moments in which the server is started or stopped
    users.lock   held, shared, by every command that uses the server
    server.json  the port it listens on
    password     of its one user; 0600
    key          of its one-member replica set; 0600
    unfinished   there while the data is being set up, and only then
    log          what the server last had to say
    data/        the database files

The first command starts the server, the last one stops it, and those between share it. A command
that is killed lets go of its locks; if it was the last, the next command finds the server without
users and stops it before it starts its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monarch.databases.environment import Environment
from monarch.databases.mongo.embedded.program import find_mongod
from monarch.databases.mongo.embedded.server import PASSWORD, USER, Server
from monarch.databases.mongo.embedded.sharing import Users
from monarch.databases.mongo.settings import at_address
from monarch.databases.mongo.uri import Uri
from monarch.errors import ServerError
from monarch.progress import Progress
from monarch.system.secrets import Secret


@contextmanager
def serve(environment: Environment, root: Path, progress: Progress) -> Iterator[Environment]:
    """The embedded ``environment`` as one with a host and credentials, while its server runs.

    :raises ServerError: if there is no server to start, or it does not start.
    :raises LockedError: if another command starts or stops it and does not come to an end.
    """
    program = find_mongod()
    folder = _make_folder(root, environment.name)
    server = Server(program, folder)
    with Users(folder, progress).joined(server) as port:
        address = Uri(
            srv=False,
            hosts=(f"127.0.0.1:{port}",),
            username=USER,
            password=Secret((folder / PASSWORD).read_text()),
            path="admin",
            options=(("directConnection", "true"),),
        )
        yield at_address(environment, address)


def _make_folder(root: Path, name: str) -> Path:
    """``.monarch/<name>``, for this user alone, and out of git's sight."""
    top = root / ".monarch"
    folder = top / name
    try:
        for made in (top, folder):
            made.mkdir(mode=0o700, exist_ok=True)
        ignore = top / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
    except OSError as error:
        raise ServerError(
            f"{folder} cannot be made: {error.strerror}.",
            "An embedded environment keeps its data there: mend its rights, or free some room.",
        ) from error
    return folder
