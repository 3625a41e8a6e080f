"""A MongoDB server of monarch's own, running for as long as a command needs it.

Its data is in ``.monarch/<environment>/`` of the project::

    gate.lock    held for the moments in which the server is started or stopped
    users.lock   held, shared, by every command that uses the server
    server.json  the port the server listens on
    password     the password of its only user; mode 0600
    key          the key of its one-member replica set; mode 0600
    unfinished   exists only while the data is being set up
    log          the log of the server's last run
    data/        the database files

The first command starts the server, the last one stops it, and the commands in between share it. The
operating system releases the locks of a command that is killed. If that command was the last one, the next
command finds a server without users, and stops it before it starts its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from monarch.databases.embedded.folder import TOP, make_folder
from monarch.databases.embedded.sharing import Users
from monarch.databases.environment import Environment
from monarch.databases.mongo.connection.settings import at_address
from monarch.databases.mongo.connection.uri import Uri
from monarch.databases.mongo.embedded.program import find_mongod
from monarch.databases.mongo.embedded.server import PASSWORD, USER, Server
from monarch.progress import Progress
from monarch.system.secrets import Secret


@contextmanager
def serve(environment: Environment, root: Path, progress: Progress) -> Iterator[Environment]:
    """Run the server of the embedded ``environment``; yield the environment with its host and credentials.

    :param root: the project's folder, below which the server keeps its data.
    :raises ServerError: if no mongod is installed, or it does not start.
    :raises LockedError: if another command is starting or stopping the server and does not finish.
    """
    program = find_mongod()
    folder = make_folder(root, environment.name)
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


def stop(root: Path, name: str) -> None:
    """Stop the server of the embedded environment ``name`` of ``root``, whose commands were killed."""
    folder = root / TOP / name
    if folder.exists():
        Server(find_mongod(), folder).stop()
