"""Working on a PostgreSQL database by hand."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from monarch.databases.base import Shell
from monarch.databases.environment import Environment
from monarch.databases.postgres.connection.client import Connection
from monarch.databases.postgres.tools.installed import find_all
from monarch.databases.postgres.tools.process import connection_info, variables_for
from monarch.errors import UsageError
from monarch.system.subprocesses import ForegroundProgram

_PROGRAM = "psql"


def shell_of(environment: Environment, connection: Connection, arguments: Sequence[str]) -> Shell:
    """Return the shell of ``environment``, whose psql connects to where ``connection`` leads.

    The password is passed in the environment of psql, which only its user may read.
    """
    found = _find_program()
    program = None
    if found is not None:
        info = connection_info(environment, connection, connection.info.dbname, _PROGRAM)
        program = ForegroundProgram(
            (found, f"--dbname={info}", *arguments), variables=variables_for(connection)
        )
    return Shell(_PROGRAM, program, {"db": connection}, 'db.execute("SELECT 1").fetchall()')


def _find_program() -> str | None:
    """Return the path of the psql that a person gets, or of another one on this machine."""
    on_path = shutil.which(_PROGRAM)
    if on_path is not None:
        return on_path
    try:
        paths = [tools.path(_PROGRAM) for tools in find_all()]
    except UsageError:
        return None
    return next((path for path in paths if Path(path).exists()), None)
