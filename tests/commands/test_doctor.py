"""``doctor`` on real servers: with and without rights, unreachable, half broken, and without a trace."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from bson import ObjectId

from tests.support.runs.shell import CommandResult, Folder
from tests.support.servers.mongod import PASSWORD, Server, free_port
from tests.support.servers.postgres import PostgresServer


def lines(result: CommandResult, subject: str, check: str) -> list[tuple[str, str]]:
    """Return the state and the text of each line of ``check`` at ``subject``."""
    found = [line for line in result.out.splitlines() if f"  {subject}: {check}: " in line]
    return [(line.split()[0], line.partition(f"{check}: ")[2]) for line in found]


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield int(listener.getsockname()[1])


def everything(server: Server) -> dict[str, Any]:
    """Return all that a server holds but what it writes by itself."""
    with server.client() as client:
        names = [name for name in client.list_database_names() if name not in ("admin", "config", "local")]
        return {
            name: {one: list(client[name][one].find()) for one in client[name].list_collection_names()}
            for name in names
        }


def test_all_is_well(project: Folder) -> None:
    project.migration("one", "self.database.dogs.insert_one({})")
    project.keep_backups()
    assert project.monarch("migrate", "dev").code == 0
    assert project.monarch("backup", "dev").code == 0
    result = project.monarch("doctor", "dev")
    assert (result.code, result.err) == (0, "")
    assert lines(result, "settings", "load") == [("ok", "migrations/settings.py has 2 environments.")]
    assert lines(result, "dev", "server")[0][1].startswith("MongoDB ")
    (rights,) = lines(result, "dev", "rights")
    assert rights == ("ok", "May read, migrate, copy from it, back it up, copy or restore into it, drop it.")
    assert lines(result, "dev", "lease") == [("ok", "Free.")]
    assert lines(result, "dev", "migrations") == [("ok", "Up to date.")]
    assert lines(result, "dev", "backup")[0][0] == "ok"
    assert lines(result, "migrations", "load") == [("ok", "All 1 load.")]
    assert result.out.splitlines()[-1].startswith(("9 ok", "1"))
    assert PASSWORD not in result.output


def test_nothing_is_written(project: Folder, server: Server, tmp_path: Path) -> None:
    project.write("helper.py", "NUMBER = 1\n")
    project.migration("one", "import helper\nself.database.dogs.insert_one({})")
    settings = project.path / "migrations/settings.py"
    settings.write_text(f"import helper\n{settings.read_text()}")
    project.keep_backups()
    project.variables["XDG_CACHE_HOME"] = str(tmp_path / "cache")
    project.variables["PYTHONDONTWRITEBYTECODE"] = ""
    with server.client() as client:
        client[project.db_name].dogs.insert_one({"_id": 1})
    everything_before = everything(server), sorted(map(str, project.path.rglob("*")))
    result = project.monarch("doctor", "dev", prefix=["env"])
    assert result.code == 0, result.output
    assert (everything(server), sorted(map(str, project.path.rglob("*")))) == everything_before


def test_an_unreachable_server_hides_nothing_and_takes_seconds(
    folder: Folder, server: Server, silent_port: int
) -> None:
    entries: dict[str, Any] = {
        f"gone{number}": {"uri": f"mongodb://localhost:{free_port()}/app?serverSelectionTimeoutMS=60000"}
        for number in range(12)
    }
    entries["silent"] = {"uri": f"mongodb://localhost:{silent_port}/app"}
    entries["mute"] = {"uri": f"postgresql://localhost:{silent_port}/app"}
    entries["dev"] = {"uri": server.uri, "db_name": folder.db_name}
    folder.settings(**entries)
    began = time.monotonic()
    result = folder.monarch("doctor", "--json")
    # Twelve minutes one after another, with what the settings ask for.
    assert time.monotonic() - began < 60
    assert result.code == 5
    assert result.json["exit_code"] == 5
    state = {one["subject"]: one["state"] for one in result.json["findings"] if one["check"] == "server"}
    assert state == {name: "ok" if name == "dev" else "problem" for name in entries}
    assert "has not answered yet" in result.err or "have not answered yet" in result.err


def test_a_wrong_password_is_a_problem_of_its_environment_only(folder: Folder, server: Server) -> None:
    wrong = {"host": server.host, "db_name": "app", "username": "me", "password": "very-hush"}
    folder.settings(wrong=wrong, dev={"uri": server.uri, "db_name": folder.db_name})
    result = folder.monarch("doctor")
    assert result.code == 5
    ((state, text),) = lines(result, "wrong", "server")
    assert state == "problem"
    assert "does not accept user 'me'" in text
    assert "authSource" in text
    assert lines(result, "dev", "server")[0][0] == "ok"
    assert "hush" not in result.output


@pytest.mark.parametrize(
    ("roles", "state", "may_not"),
    [
        (["read"], "ok", ["migrate", "copy or restore into it", "drop it"]),
        (["readWrite"], "ok", ["drop it"]),
        (["dbAdmin"], "problem", ["read", "migrate"]),
    ],
    ids=["read", "readWrite", "dbAdmin"],
)
def test_the_rights_of_a_user(
    folder: Folder, server: Server, roles: list[str], state: str, may_not: list[str]
) -> None:
    with server.client() as client:
        client[folder.db_name].dogs.insert_one({})
        client[folder.db_name].command("createUser", "me", pwd="pass-word", roles=roles)
    try:
        entry = {"host": server.host, "db_name": folder.db_name, "username": "me", "password": "pass-word"}
        folder.settings(dev=entry)
        result = folder.monarch("doctor")
        ((found, text),) = lines(result, "dev", "rights")
        assert found == state
        denied = text.partition("; not ")[2]
        assert all(f"{what} (lacks" in denied for what in may_not)
        assert result.code == (5 if state == "problem" else 0), result.out
    finally:
        with server.client() as client:
            client[folder.db_name].command("dropUser", "me")
            client.drop_database(folder.db_name)


def test_what_is_left_behind_and_who_holds_it(project: Folder, server: Server) -> None:
    with server.client() as client:
        database = client[project.db_name]
        database["monarch_staging.0123.dogs"].insert_one({})
        database.monarch_swap.insert_one({"_id": "head", "state": "emptied", "purpose": "copy_db a:b"})
        scratch = f"{project.db_name}_scratch_0123abcd"
        client[scratch].dogs.insert_one({})
        try:
            result = project.monarch("doctor", "dev")
        finally:
            client.drop_database(scratch)
    assert result.code == 1
    assert lines(result, "dev", "swap")[0][0] == "problem"
    ((state, text),) = lines(result, "dev", "leftovers")
    assert state == "warning"
    assert "1 staging collection" in text
    assert scratch in text


def test_migrations_that_are_not_as_they_should_be(project: Folder) -> None:
    project.migration("fails", "raise ValueError('no')", stamp="201405290002")
    assert project.monarch("migrate", "dev").code == 1
    project.migration("early", stamp="201405290001")
    project.write("migrations/_201405290003_broken_migration.py", "import nothing_of_that_name\n")
    result = project.monarch("doctor", "dev")
    assert result.code == 2
    ((state, text),) = lines(result, "dev", "migrations")
    assert state == "problem"
    assert "Failed or interrupted: _201405290002_fails_migration" in text
    assert "monarch history dev --last 5" in text
    ((state, text),) = lines(result, "migrations", "load")
    assert state == "problem"
    assert "_201405290003_broken_migration cannot be loaded" in text


def test_settings_that_do_not_load_leave_the_rest(folder: Folder) -> None:
    folder.write("migrations/settings.py", "print('hello')\nimport nothing_of_that_name\n")
    folder.migration("one")
    result = folder.monarch("doctor", "--json")
    assert result.code == 2
    assert "hello" not in result.out
    states = {(one["subject"], one["check"]): one["state"] for one in result.json["findings"]}
    assert states["settings", "load"] == "problem"
    assert states["migrations", "load"] == "ok"
    assert states["environments", "settings"] == "skipped"


def test_settings_that_hang_are_given_up(folder: Folder) -> None:
    folder.write("migrations/settings.py", "import time\ntime.sleep(600)\n")
    result = folder.monarch("doctor")
    assert result.code == 2
    ((state, text),) = lines(result, "settings", "load")
    assert state == "problem"
    assert "line 2" in text
    assert "it had not ended after 10 seconds" in text


def test_no_project(folder: Folder) -> None:
    result = folder.monarch("doctor")
    assert (result.code, result.err) == (2, "")
    ((state, text),) = lines(result, "settings", "load")
    assert state == "problem"
    assert "Run `monarch init`" in text
    assert lines(result, "monarch", "versions")[0][0] == "ok"
    assert lines(result, "migrations", "load") == []


def test_an_unknown_environment(folder: Folder) -> None:
    folder.settings(dev={"embedded": True, "db_name": "app"})
    result = folder.monarch("doctor", "dve")
    assert (result.code, result.out) == (2, "")
    assert "There is no environment 'dve'" in result.err
    assert "dev" in result.err


def test_an_environment_without_its_variable(folder: Folder) -> None:
    folder.settings(dev={"uri": None})
    result = folder.monarch("doctor")
    assert result.code == 0
    assert lines(result, "dev", "settings")[0][0] == "skipped"
    named = folder.monarch("doctor", "dev")
    assert named.code == 2
    assert lines(named, "dev", "settings")[0][0] == "problem"


def test_an_embedded_environment_is_not_started(embedded_project: Folder) -> None:
    result = embedded_project.monarch("doctor")
    assert result.code == 0
    assert lines(result, "dev", "server")[0][0] == "skipped"
    assert not (embedded_project.path / ".monarch").exists()


def test_backups_that_are_missing_and_left_over(project: Folder) -> None:
    store = project.keep_backups()
    settings = project.path / "migrations/settings.py"
    text = settings.read_text()
    settings.write_text(text + "ENVIRONMENTS['production']['protected'] = True\n")
    result = project.monarch("doctor")
    assert result.code == 10
    ((state, text),) = lines(result, "production", "backup")
    assert (state, "monarch backup production" in text) == ("problem", True)
    assert "The first backup makes it" in lines(result, "BACKUPS", "store")[0][1]
    assert not store.exists()
    project.database.dogs.insert_one({})
    assert project.monarch("backup", "production").code == 0
    (store / "app__2026_01_01.dmp.zst.part").write_bytes(b"x")
    left = project.monarch("doctor", "production")
    assert left.code == 1, left.out
    assert "app__2026_01_01.dmp.zst" in lines(left, "BACKUPS", "leftovers")[0][1]
    time.sleep(1)
    old = project.monarch("doctor", "production", "--max-age", "1s")
    assert old.code == 10
    assert "too old" in lines(old, "production", "backup")[0][1]


def test_postgres(folder: Folder, postgres: PostgresServer) -> None:
    name = f"t_{ObjectId()}"
    postgres.create(name)
    try:
        with postgres.connect(name) as connection:
            connection.execute("CREATE TABLE dogs (id int)")
        folder.settings(dev={"uri": postgres.uri(name)})
        before = tables(postgres, name)
        result = folder.monarch("doctor")
        assert (result.code, result.err) == (0, ""), result.out
        assert lines(result, "dev", "server")[0][1].startswith("PostgreSQL 18")
        assert lines(result, "dev", "rights")[0] == (
            "ok",
            "May read, migrate, copy from it, back it up, copy or restore into it, drop it.",
        )
        assert lines(result, "dev", "migrations") == [("ok", "Up to date.")]
        assert tables(postgres, name) == before
    finally:
        postgres.drop(name)


def test_the_rights_of_a_user_of_postgres(folder: Folder, postgres: PostgresServer) -> None:
    name, role = f"t_{ObjectId()}", f"r_{ObjectId()}"
    postgres.create(name)
    try:
        with postgres.connect(name) as connection:
            connection.execute("CREATE TABLE dogs (id int)")
            connection.execute("CREATE TABLE cats (id int)")
            connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'pass-word'".encode())
            connection.execute(f"GRANT SELECT ON dogs TO {role}".encode())
        info = psycopg.conninfo.conninfo_to_dict(postgres.uri(name))
        uri = f"postgresql://{role}:pass-word@{info['host']}:{info['port']}/{name}"
        folder.settings(dev={"uri": uri})
        ((state, text),) = lines(folder.monarch("doctor"), "dev", "rights")
        assert state == "ok"
        assert "copy from it (lacks the right to read 1 table)" in text
        assert "migrate (lacks CREATE on the database, for its history)" in text
        assert "drop it (lacks the ownership of 2 tables)" in text
        with postgres.connect(name) as connection:
            connection.execute(f"GRANT CREATE ON DATABASE {name} TO {role}".encode())
        result = folder.monarch("doctor")
        assert result.code == 1
        assert lines(result, "dev", "rights")[0][0] == "warning"
    finally:
        postgres.drop(name)
        with postgres.connect() as connection:
            connection.execute(f"DROP ROLE {role}".encode())


def tables(server: PostgresServer, name: str) -> list[Any]:
    with server.connect(name) as connection:
        found = connection.execute(
            "SELECT nspname, relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
            "WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1, 2"
        ).fetchall()
        return [*found, *connection.execute("SELECT nspname FROM pg_namespace ORDER BY 1").fetchall()]


def test_ctrl_c_ends_it_at_once(folder: Folder, silent_port: int) -> None:
    folder.settings(
        silent={"uri": f"mongodb://localhost:{silent_port}/app"},
        mute={"uri": f"postgresql://localhost:{silent_port}/app"},
    )
    terminal = folder.terminal("doctor")
    terminal.expect("have not answered yet")
    terminal.sendintr()
    began = time.monotonic()
    terminal.expect("Interrupted")
    terminal.wait()
    assert terminal.exitstatus == 130
    assert time.monotonic() - began < 20


def test_in_a_terminal_states_have_colours(folder: Folder) -> None:
    folder.settings(dev={"embedded": True, "db_name": "app"})
    shown = folder.terminal("doctor").read()
    assert "\x1b[32mok\x1b[0m" in shown
    narrow = folder.terminal("doctor", columns=60).read().splitlines()
    assert max(map(len, narrow)) < 80
    assert any(line.startswith(" " * 9) for line in narrow)
