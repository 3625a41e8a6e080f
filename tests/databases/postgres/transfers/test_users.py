"""Transfers into a database of a user who is no superuser."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from monarch.errors import MonarchError
from tests.support.runs.postgres_pair import PostgresPair


@pytest.fixture
def maker(pair: PostgresPair) -> Iterator[str]:
    """The owner of the target, with whom the project connects, and who may create databases."""
    name = f"maker_{uuid.uuid4().hex}"
    pair.target.run(
        f"CREATE ROLE {name} LOGIN CREATEDB PASSWORD 'hush'",
        f"ALTER DATABASE {pair.target.name} OWNER TO {name}",
        f"ALTER TABLE old_things OWNER TO {name}",
    )
    address = f"localhost:{pair.target.server.port}/{pair.target.name}"
    pair.folder.settings(
        production={"uri": pair.source.server.uri(pair.source.name)},
        dev={"uri": f"postgresql://{name}:hush@{address}"},
    )
    yield name
    pair.target.server.drop(pair.target.name)
    with pair.target.server.connect() as connection:
        connection.execute(f"DROP ROLE {name}".encode())


def owners(pair: PostgresPair) -> list[tuple[str, ...]]:
    return pair.target.rows(
        "SELECT tableowner, pg_get_userbyid(datdba) FROM pg_tables, pg_database "
        "WHERE tablename = 'things' AND datname = current_database()"
    )


def test_the_right_to_create_databases_is_enough(pair: PostgresPair, maker: str) -> None:
    pair.source.run("CREATE TABLE things (id int PRIMARY KEY)", "INSERT INTO things VALUES (1)")
    (note,) = pair.copy()
    assert f"everything will belong to '{maker}'" in note
    assert owners(pair) == [(maker, maker)]
    assert pair.leftovers() == []


def test_a_session_that_this_user_may_not_end(pair: PostgresPair, maker: str) -> None:
    pair.source.run("CREATE TABLE things (id int PRIMARY KEY)")
    with pair.target.connect(), pytest.raises(MonarchError, match="session") as caught:
        pair.copy()
    assert "is as it was" in caught.value.message
    assert "pg_signal_backend" in str(caught.value.hint)
    assert pair.target.rows("SELECT count(*) FROM old_things") == [(2,)]
    assert pair.leftovers() == []
