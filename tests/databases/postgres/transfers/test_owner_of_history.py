from __future__ import annotations

import uuid

import pytest

from tests.support.runs.postgres_pair import PostgresPair

pytestmark = pytest.mark.server


def test_a_history_of_a_role_that_the_target_lacks_arrives(pair: PostgresPair) -> None:
    """Everything else may belong to roles that exist on both servers."""
    role = f"gone_{uuid.uuid4().hex}"
    with pair.project().open("production") as database, database.lease("a test"):
        pass
    pair.source.run(
        "INSERT INTO monarch_history.history VALUES ('_2014_added_migration', 'Completed', now())",
        f"CREATE ROLE {role}",
        f"ALTER SCHEMA monarch_history OWNER TO {role}",
        f"ALTER TABLE monarch_history.history OWNER TO {role}",
    )
    archive = pair.back_up()
    pair.source.run(f"REASSIGN OWNED BY {role} TO CURRENT_USER", f"DROP ROLE {role}")
    messages = pair.restore(archive)
    assert any(role in message for message in messages), messages
    assert pair.target.value("SELECT count(*) FROM monarch_history.history") == 1
