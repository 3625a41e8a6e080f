"""``doctor`` on what is odd: other topologies, poolers, cut-off swaps, tenants, stores and keys."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from bson import ObjectId
from pymongo import MongoClient

from monarch.databases.postgres.connection.maintenance import staging_name
from tests.commands.test_doctor import lines
from tests.support.runs.clusters import Sharded
from tests.support.runs.shell import CommandResult, Folder
from tests.support.samples.ages import pyrage
from tests.support.servers.mongod import Mongod, Server
from tests.support.servers.pgbouncer import run_pgbouncer
from tests.support.servers.postgres import PostgresServer
from tests.support.servers.postgres_replica import run_replica
from tests.support.servers.s3 import S3Server


def one(result: CommandResult, subject: str, check: str) -> tuple[str, str]:
    (found,) = lines(result, subject, check)
    return found


def test_a_replica_set_before_it_begins_and_without_a_primary(folder: Folder) -> None:
    with Mongod("--replSet", "rs") as first, Mongod("--replSet", "rs") as second:
        hosts = [f"127.0.0.1:{one.port}" for one in (first, second)]
        folder.settings(
            dev={"uri": f"mongodb://{hosts[0]}/app"},
            second={"uri": f"mongodb://{hosts[1]}/app?directConnection=true"},
        )
        state, text = one(folder.monarch("doctor", "dev"), "dev", "server")
        assert (state, "never initiated" in text) == ("problem", True)
        with MongoClient[dict[str, Any]](hosts[0], directConnection=True) as client:
            members = [{"_id": number, "host": host} for number, host in enumerate(hosts)]
            quick = {"electionTimeoutMillis": 1000, "heartbeatTimeoutSecs": 1}
            config = {"_id": "rs", "members": members, "settings": quick}
            client.admin.command("replSetInitiate", config)
            while not client.admin.command("hello")["isWritablePrimary"]:
                time.sleep(0.05)
            # Either may have become the primary; the other one is reached directly.
            result = folder.monarch("doctor", "dev")
            assert one(result, "dev", "server")[1].endswith("the replica set 'rs' (2 members).")
            second.kill()
            while client.admin.command("hello")["isWritablePrimary"]:
                time.sleep(0.05)
        result = folder.monarch("doctor")
        assert result.code == 5
        state, text = one(result, "dev", "server")
        assert (state, "which has no primary now" in text) == ("problem", True)
        assert one(result, "second", "server")[0] == "problem"


def test_a_mongos(sharded: Sharded) -> None:
    sharded.folder.settings(dev={"uri": sharded.mongos.uri, "db_name": sharded.source.name})
    result = sharded.folder.monarch("doctor")
    assert "problem  " not in result.out
    assert "a mongos of a sharded cluster" in one(result, "dev", "server")[1]


def test_a_far_server_without_encryption(folder: Folder, server: Server, postgres: PostgresServer) -> None:
    # Not one of the names that are local.
    far = server.uri.replace("localhost", "127.1")
    there = postgres.uri().replace("localhost", "127.1").replace("127.0.0.1", "127.1")
    folder.settings(far={"uri": far, "db_name": "app"}, there={"uri": there})
    result = folder.monarch("doctor")
    assert result.code == 1
    assert one(result, "far", "security")[0] == "warning"
    assert one(result, "there", "security")[0] == "warning"
    state, text = one(result, "BACKUPS", "settings")
    assert (state, "far, there" in text) == ("warning", True)


def test_a_run_that_is_dead(project: Folder) -> None:
    project.migration("slow", "import time; time.sleep(120)")
    running = project.start("migrate", "dev")
    held = {"holder": {"$exists": True}}
    try:
        while not project.database.mongo_migration_history.count_documents({"state": "Processing"}):
            time.sleep(0.05)
        assert project.database.monarch_lease.count_documents(held)
        result = project.monarch("doctor", "dev")
        assert one(result, "dev", "lease")[0] == "ok"
        assert one(result, "dev", "swap")[0] == "skipped"
    finally:
        running.kill()
        running.communicate()
    result = project.monarch("doctor", "dev")
    state, text = one(result, "dev", "lease")
    assert (state, "monarch unlock dev" in text) == ("warning", True)
    assert one(result, "dev", "migrations")[0] == "problem"
    assert result.code == 6
    assert project.database.monarch_lease.count_documents(held), "it was taken away"


def test_a_pooler_a_standby_and_a_swap_that_was_killed(folder: Folder, postgres: PostgresServer) -> None:
    name = f"t_{ObjectId()}"
    staging = staging_name(name)
    postgres.create(name)
    try:
        with run_pgbouncer(postgres) as pooler, run_replica(postgres) as replica:
            entries = {"pool": pooler, "standby": replica}
            folder.settings(**{what: {"uri": where.uri(name)} for what, where in entries.items()})
            result = folder.monarch("doctor")
        assert one(result, "pool", "pooler")[0] == "warning"
        assert "a standby" in one(result, "standby", "server")[1]
        state, text = one(result, "standby", "rights")
        assert (state, "not migrate (it is a standby)" in text) == ("ok", True)
        folder.settings(dev={"uri": postgres.uri(name)})
        with postgres.connect() as connection:
            connection.execute(f'CREATE DATABASE "{staging}"'.encode())
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'.encode())
        state, text = one(folder.monarch("doctor"), "dev", "server")
        assert (state, "refuses connections" in text) == ("problem", True)
        with postgres.connect() as connection:
            query = "SELECT datallowconn FROM pg_database WHERE datname = %s"
            assert connection.execute(query, (name,)).fetchone() == (False,), "it was repaired"
            connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'.encode())
        state, text = one(folder.monarch("doctor"), "dev", "leftovers")
        assert (state, staging in text) == ("warning", True)
    finally:
        postgres.drop(staging)
        postgres.drop(name)


def test_of_many_databases_only_what_is_not_well_is_shown(project: Folder, server: Server) -> None:
    with server.client() as client:
        names = [f"{project.db_name}_{number}" for number in range(12)]
        for name in names:
            client[name].dogs.insert_one({})
        client[names[5]]["monarch_staging.a.b"].insert_one({})
        try:
            project.settings(tenants={"uri": server.uri, "db_name": f"{project.db_name}_*"})
            result = project.monarch("doctor", "ten*")
            assert result.code == 1
            assert lines(result, f"tenants/{names[5]}", "leftovers")[0][0] == "warning"
            assert names[6] not in result.out
            result = project.monarch("doctor", f"tenants/{project.db_name}_1*")
            assert result.code == 0
            assert one(result, "tenants", "databases") == ("ok", "2 other databases: all is well.")
        finally:
            for name in names:
                client.drop_database(name)


def test_a_function_of_the_settings_that_fails(folder: Folder, server: Server) -> None:
    folder.write(
        "migrations/settings.py",
        f"""\
        def bad():
            print('hello')
            raise ValueError('mongodb://me:top-secret@host')

        def good():
            return ['{folder.db_name}']

        ENVIRONMENTS = {{
            'bad': {{'uri': {server.uri!r}, 'db_name': bad}},
            'good': {{'uri': {server.uri!r}, 'db_name': good}},
        }}
        """,
    )
    result = folder.monarch("doctor", "--json")
    assert result.code == 2
    found = {(row["subject"], row["check"]): row["state"] for row in result.json["findings"]}
    assert (found["bad", "settings"], found["good", "server"]) == ("problem", "ok")
    assert "top-secret" not in result.output


def test_a_bucket(project: Folder, s3: S3Server) -> None:
    name = f"b-{ObjectId()}"
    settings = project.path / "migrations/settings.py"
    text = settings.read_text()
    project.variables["XDG_CACHE_HOME"] = str(project.path / "cache")
    bucket = s3.settings(name)
    settings.write_text(f"{text}BACKUPS = {{'S3': {bucket!r}}}\n")
    result = project.monarch("doctor", "dev")
    assert result.code == 5
    assert "There is no bucket" in one(result, "BACKUPS", "store")[1]
    s3.client().create_bucket(Bucket=name)
    project.database.dogs.insert_one({})
    assert project.monarch("backup", "dev").code == 0
    before = project.files()
    result = project.monarch("doctor", "dev")
    assert result.code == 0, result.out
    assert one(result, "BACKUPS", "store")[1].endswith("has 1 backup.")
    assert one(result, "dev", "backup")[0] == "ok"
    assert project.files() == before, "the listing was remembered"
    wrong = {**bucket, "aws_secret_access_key": "very-hush-very-hush"}
    settings.write_text(f"{text}BACKUPS = {{'S3': {wrong!r}}}\n")
    result = project.monarch("doctor", "dev")
    assert (result.code, "hush" in result.output) == (5, False)


def test_keys(folder: Folder, tmp_path: Path) -> None:
    ours, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    keys = tmp_path / "keys.txt"
    folder.settings(dev={"embedded": True, "db_name": "app"})
    folder.keep_backups()
    states = []
    for identities, text in ((None, ""), (keys, ""), (keys, str(other)), (keys, str(ours))):
        folder.encrypt_backups(str(ours.to_public()), identities=identities)
        if text:
            keys.write_text(text)
            keys.chmod(0o600)
        states.append(one(folder.monarch("doctor"), "BACKUPS", "keys")[0])
    assert states == ["skipped", "warning", "warning", "ok"]
    assert str(ours) not in folder.monarch("doctor").output


def test_a_store_that_is_full_or_closed(folder: Folder, small_disk: Path, plain_rights: list[str]) -> None:
    folder.settings(dev={"embedded": True, "db_name": "app"})
    (small_disk / "other").write_bytes(b"x" * 560_000)
    folder.keep_backups(str(small_disk / "backups"))
    assert one(folder.monarch("doctor"), "BACKUPS", "space")[0] == "warning"
    closed = folder.path / "closed"
    closed.mkdir(mode=0o500)
    folder.keep_backups("closed")
    state, text = one(folder.monarch("doctor", prefix=plain_rights or ["env"]), "BACKUPS", "rights")
    assert (state, "the right w on" in text) == ("warning", True)
    (folder.path / "migrations").chmod(0)
    try:
        result = folder.monarch("doctor", prefix=plain_rights or ["env"])
    finally:
        (folder.path / "migrations").chmod(0o700)
    assert (result.code, result.err) == (2, "")
    assert one(result, "settings", "load")[0] == "problem"


def test_tools_that_are_too_old(project: Folder, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("mongodump", "mongorestore"):
        (programs / name).write_text("#!/bin/sh\necho mongodump version: 3.2.1\n")
        (programs / name).chmod(0o755)
    result = project.monarch("doctor", "dev", variables={"PATH": f"{programs}:{os.environ['PATH']}"})
    assert result.code == 5
    state, text = one(result, "tools", "mongodump")
    assert (state, "too old" in text) == ("problem", True)
