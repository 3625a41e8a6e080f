"""The manual's first example of a migration does what it says, and fast."""

from __future__ import annotations

from pathlib import Path

from tests.docs.blocks import DOCS, blocks
from tests.support.runs.shell import Folder
from tests.support.servers.mongod import PASSWORD, USER
from tests.support.servers.proxy import Proxy

KEY = "_201405290038_lower_case_emails_migration"


def test_the_first_example_writes_many_documents_at_once(project: Folder, tmp_path: Path) -> None:
    example = next(block.text for block in blocks(DOCS / "migrations.rst") if "def run(self)" in block.text)
    project.write(f"migrations/{KEY}.py", example)
    project.database.users.insert_many({"_id": n, "email": f"Ann{n}@Example.com"} for n in range(500))
    assert project.server is not None
    with Proxy(project.server.port) as proxy:
        login = {"uri": f"{proxy.uri}&authSource=admin", "username": USER, "password": PASSWORD}
        project.settings(dev={**login, "db_name": project.db_name})
        result = project.monarch("migrate", "dev")
    assert result.code == 0, result.err
    assert "500 documents written" in result.out
    assert project.database.users.count_documents({"email": {"$regex": "[A-Z]"}}) == 0
    updates = [one for one in proxy.commands if (one.name, one.target) == ("update", "users")]
    assert len(updates) == 1
