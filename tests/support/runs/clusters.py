"""A project with two environments on one server, with an optional connection through a mongos."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support.runs.shell import CommandResult
from tests.support.runs.two_environments import TwoEnvironments
from tests.support.servers.mongos import Mongos, shard


@dataclass
class Sharded(TwoEnvironments):
    """Two environments on one mongod; `reach_through` selects those that connect through ``mongos``."""

    mongos: Mongos

    def reach_through(self, *names: str, **more: Any) -> None:
        """Connect the environments ``names`` through the mongos, and the others directly."""
        databases = {"production": self.source.name, "dev": self.target.name}
        self.folder.settings(
            **{
                name: through(self.mongos, database, **more)
                if name in names
                else {"uri": self.server.uri, "db_name": database}
                for name, database in databases.items()
            }
        )

    def shard(self, database: Any, name: str, **more: Any) -> None:
        shard(database.client, database.name, name, **more)

    def run(self, *arguments: str) -> CommandResult:
        return self.folder.invoke(*arguments)


def through(mongos: Mongos, database: str, **more: Any) -> dict[str, Any]:
    """Return the settings of an environment that connects through ``mongos``."""
    where = {"host": f"localhost:{mongos.port}"} if "username" in more else {"uri": mongos.uri}
    return {**where, "db_name": database, **more}


def limited(two: Sharded, database: Any, *roles: Any) -> dict[str, Any]:
    """Create a user of one database who may not read the config database; return the settings."""
    database.command("createUser", "limited", pwd="limited-hush", roles=list(roles))
    return {"username": "limited", "password": "limited-hush", "authSource": database.name}
