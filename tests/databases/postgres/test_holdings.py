"""What a database holds, from a server that is silent, busy or refuses."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import pytest

from monarch.databases import open_database
from monarch.databases.environment import Environment
from monarch.errors import ServerError
from monarch.settings.environments import parse_environment
from tests.support.runs.billing import Billing, make_billing
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.postgres_proxy import PostgresProxy

pytestmark = pytest.mark.server


@pytest.fixture
def billing(tmp_path: Path, postgres: PostgresServer) -> Iterator[Billing]:
    with make_billing(tmp_path, postgres) as made:
        run(made, "CREATE TABLE cats (id int)", "CREATE VIEW few AS SELECT * FROM dogs")
        yield made


def run(billing: Billing, *statements: LiteralString) -> None:
    with billing.postgres.connect(billing.db_name) as connection:
        for statement in statements:
            connection.execute(statement)


def environment(billing: Billing, **more: str) -> Environment:
    return parse_environment("dev", {"uri": billing.postgres.uri(billing.db_name), **more})


def test_all_of_it_is_counted(billing: Billing) -> None:
    with open_database(environment(billing), Path()) as database, database.reading():
        held = database.holdings(60)
    assert (held.number, held.documents, held.uncounted) == (2, 3, ())
    assert [(one.name, one.kind, one.documents) for one in held.collections] == [
        ("cats", "table", 0),
        ("dogs", "table", 3),
        ("few", "view", 0),
    ]


def test_a_locked_table_is_estimated(billing: Billing) -> None:
    run(billing, "ANALYZE dogs")
    with (
        billing.postgres.connect(billing.db_name) as other,
        other.transaction(),
        open_database(environment(billing), Path()) as database,
    ):
        other.execute("LOCK dogs, cats")
        held = database.holdings(60)
        assert (held.documents, held.uncounted) == (3, ("cats",))


def test_a_server_that_falls_silent_is_given_up(billing: Billing) -> None:
    with PostgresProxy(billing.postgres.port) as proxy:
        uri = billing.postgres.uri(billing.db_name)
        uri = uri.replace(f"localhost:{billing.postgres.port}", f"127.0.0.1:{proxy.port}")
        with open_database(environment(billing, uri=f"{uri}?sslmode=disable"), Path()) as database:
            database.history.read()  # connects
            proxy.fall_silent()
            began = time.monotonic()
            with pytest.raises(ServerError):
                database.holdings(1)
            assert time.monotonic() - began < 30
