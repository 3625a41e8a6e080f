"""Working on a MongoDB database by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from monarch.databases.base import Shell
from monarch.databases.environment import Environment
from monarch.databases.mongo.connection.client import full_uri
from monarch.databases.mongo.connection.settings import address_of
from monarch.system.secrets import Secret
from monarch.system.subprocesses import ForegroundProgram

if TYPE_CHECKING:
    from monarch.databases.mongo.connection.client import Client

_PROGRAM = "mongosh"
# No argument of a program can contain a NUL, so nothing else looks like it.
_SCRIPT = "\0script"
# Options of drivers that MongoDB's driver for Node.js refuses. Nothing that a person types needs them.
_NOT_FOR_NODE = ("tlsDisableOCSPEndpointCheck", "uuidRepresentation")


def shell_of(environment: Environment, client: Client, arguments: Sequence[str]) -> Shell:
    """Return the shell of ``environment``. mongosh reads the address, with its password, from a pipe."""
    names = {"db": client[environment.db_name], "client": client}
    found = shutil.which(_PROGRAM)
    program = None
    if found is not None:
        load = f"void load({json.dumps(_SCRIPT)})".replace(json.dumps(_SCRIPT)[1:-1], _SCRIPT)
        program = ForegroundProgram(
            # After --eval it ends, unless the person is to type something.
            (found, "--nodb", "--eval", load, *(arguments or ("--shell",))),
            secrets={_SCRIPT: Secret(f"db = connect({json.dumps(_uri_for_node(environment))});\n")},
        )
    return Shell(_PROGRAM, program, names, "db.list_collection_names()")


def _uri_for_node(environment: Environment) -> str:
    address = address_of(environment)
    options = tuple(option for option in address.options if option[0] not in _NOT_FOR_NODE)
    return full_uri(replace(environment, address=replace(address, options=options)))
