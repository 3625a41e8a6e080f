"""A real replica: what reads works, and what writes names it as one that can only be read."""

from __future__ import annotations

import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.runs.billing import Billing, make_billing
from tests.support.runs.shell import CommandResult
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.postgres_replica import catch_up, run_replica

pytestmark = [pytest.mark.server, pytest.mark.command]


@dataclass
class Replicated(Billing):
    """A project with ``replica``, that of the database of ``dev``."""

    replica: PostgresServer


@pytest.fixture
def replicated(tmp_path: Path, postgres: PostgresServer) -> Iterator[Replicated]:
    """A project with ``dev``, its ``replica`` and an empty ``copy``; one migration has run, another not."""
    other = f"t_{uuid.uuid4().hex}"
    with make_billing(tmp_path, postgres) as made, run_replica(postgres) as replica:
        postgres.create(other)
        uris = {"dev": postgres.uri(made.db_name), "replica": replica.uri(made.db_name)}
        made.folder.settings(
            **{name: {"uri": uri} for name, uri in uris.items()}, copy={"uri": postgres.uri(other)}
        )
        made.migration("one", "self.connection.execute('UPDATE dogs SET weight = 1')", stamp="201405290001")
        assert made.folder.monarch("migrate", "dev").code == 0
        made.migration("two", "self.connection.execute('DELETE FROM dogs')", stamp="201405290002")
        catch_up(postgres, replica)
        yield Replicated(made.folder, postgres, made.db_name, replica)
        postgres.drop(other)


def test_a_replica(replicated: Replicated) -> None:
    folder = replicated.folder
    listed = folder.monarch("list_migrations", "replica").out
    assert "Completed" in listed
    assert folder.monarch("check", "replica").code == 3
    assert len(folder.monarch("history", "replica", "--json").json) == 1
    assert folder.monarch("migrate", "replica", "--plan").code == 0
    assert folder.monarch("unlock", "replica", "--yes").code == 0
    copied = folder.monarch("copy_db", "replica:copy", "--yes")
    assert copied.code == 0, copied.output
    assert folder.monarch("check", "copy").code == 3
    for words in (
        ("migrate", "replica"),
        ("migrate_one", "two", "replica"),
        ("mark", "replica", "two", "--as", "completed"),
        ("copy_db", "copy:replica", "--yes"),
        ("drop_db", "replica", "--yes"),
    ):
        require_read_only(folder.monarch(*words))
    part = "from monarch import QuerySet\n\nclass PartQuerySet(QuerySet):\n    def only(self): return []\n"
    folder.write("querysets/part.py", part)
    refused = folder.monarch("copy_db", "replica:copy", "-q", "PartQuerySet", "--yes")
    assert "keeps what it selects in a temporary table, and 'replica' is a replica." in refused.err
    assert (refused.code, "the primary server" in refused.err) == (2, True)
    # A run that was killed leaves its lease.
    replicated.migration("two", "import os; os.kill(os.getpid(), 9)", stamp="201405290002")
    assert folder.monarch("migrate", "dev").code == -signal.SIGKILL
    catch_up(replicated.postgres, replicated.replica)
    assert "Interrupted" in folder.monarch("list_migrations", "replica").out
    require_read_only(folder.monarch("unlock", "replica", "--yes"))
    assert folder.monarch("unlock", "dev", "--yes").code == 0


def require_read_only(result: CommandResult) -> None:
    assert result.code == 5, result.output
    assert "can only be read: it is a replica" in result.err
    assert "Hint: Use the address of the primary server." in result.err
