"""Migrations with typical Python code of a team: processes, threads, streams, base classes, helpers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from tests.support.runs.shell import MONARCH, Folder
from tests.support.servers.mongod import Server

POOL = """\
import concurrent.futures
import multiprocessing
import os
import sys
import time

from monarch import MongoBackedMigration


def work(number):
    time.sleep(0.05)
    if number == 3:
        raise ValueError("no 3")
    return number


def double(number):
    return 2 * number


class PoolMigration(MongoBackedMigration):
    def run(self):
        {body}
"""
# A pool in plain Python ends with the error of the item, and terminates processes that still work.
POOLS = {
    f"{method} {how}": f"with {pool} as pool:\n            {use}"
    for method in ("fork", "spawn", "forkserver")
    for how, pool, use in (
        (
            "pool",
            f"multiprocessing.get_context('{method}').Pool(2)",
            "list(pool.imap_unordered(work, range(60)))",
        ),
        (
            "executor",
            f"concurrent.futures.ProcessPoolExecutor(2, mp_context=multiprocessing.get_context('{method}'))",
            "list(pool.map(work, range(60)))",
        ),
    )
}


def write(project: Folder, name: str, source: str) -> None:
    project.write(f"migrations/_201405290038_{name}_migration.py", source)


@pytest.mark.parametrize("how", POOLS)
def test_a_pool_with_a_failing_item_ends(project: Folder, how: str) -> None:
    write(project, "pool", POOL.format(body=POOLS[how]))
    result = project.monarch("migrate", "dev")
    assert result.code == 1
    assert "pool_migration failed on 'dev': ValueError: no 3" in result.err
    assert "Traceback" not in result.err
    assert "KeyboardInterrupt" not in result.err
    assert project.invoke("unlock", "dev", "--yes").err.count("nobody") <= 1


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_pool_works_without_additional_output(project: Folder, method: str) -> None:
    body = (
        f"with multiprocessing.get_context('{method}').Pool(2) as pool:\n"
        "            print(sum(pool.map(double, range(9))))"
    )
    write(project, "pool", POOL.format(body=body))
    result = project.monarch("migrate", "dev")
    assert result.code == 0, result.err
    assert "72" in result.out
    assert result.err == ""


def test_a_fork_that_returns_is_not_a_second_monarch(project: Folder) -> None:
    fork = "if os.fork() == 0:\n            raise SystemExit({code})\n        os.wait()"
    write(project, "pool", POOL.format(body=fork.format(code=0)))
    result = project.monarch("migrate", "dev")
    assert result.code == 0, result.err
    assert result.out.count("1 migration done") == 1
    assert len(project.states()) == 1


@pytest.mark.parametrize(
    "hook", ["before_migrate(context)", "after_migrate(context, result)", "on_failure(context, error)"]
)
def test_a_fork_in_a_hook_is_not_a_second_monarch(project: Folder, hook: str) -> None:
    with (project.path / "migrations/settings.py").open("a") as settings:
        settings.write(f"import os\ndef {hook}:\n    if os.fork() == 0:\n        return\n    os.wait()\n")
    project.migration("one", "print('once')" + ("\nraise ValueError" if "on_failure" in hook else ""))
    result = project.monarch("migrate", "dev")
    assert result.out.count("once") == 1, result.out + result.err


STREAMS = {
    "wrapped": "import io\nsys.stdout = io.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')\nprint('✓')",
    "wrapped and dropped": "import io\nio.TextIOWrapper(sys.stdout.buffer, encoding='utf-8')",
    "detached": "import io\nsys.stdout = io.TextIOWrapper(sys.stdout.detach(), encoding='utf-8')",
    "reconfigured": "sys.stdout.reconfigure(encoding='utf-8', line_buffering=True)\nprint('✓')",
    "closed": "sys.stdout.close()\nprint('still')",
    "replaced": "import io\nsys.stdout = io.StringIO()",
    "none": "sys.stdout = None",
    "codecs": "import codecs\nsys.stdout = codecs.getwriter('utf-8')(sys.stdout.buffer)\nprint('✓')",
    "bytes": "sys.stdout.buffer.write('✓ done\\n'.encode())\nsys.stdout.buffer.flush()",
    "redirected": "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()): print('hidden')",
    "errors too": "import io\nsys.stderr = io.TextIOWrapper(sys.stderr.buffer)\ndel sys.stderr",
    "rich": "from rich.console import Console\nConsole().print('[bold]✓[/bold]')",
    "colours": "import click\nclick.secho('✓', fg='green')\nclick.echo('é', err=True)",
    "a lone surrogate": "print('\\udc80')",
}


@pytest.mark.parametrize("how", STREAMS)
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_changes_of_the_streams_by_a_migration_cause_no_failure(
    project: Folder, how: str, options: list[str]
) -> None:
    project.migration("one", "import sys\n" + STREAMS[how])
    project.migration("two", "print('second')\nself.database.c.insert_one({})")
    ran = project.monarch("migrate", "dev", *options, variables={"PYTHONIOENCODING": "ascii"})
    assert ran.code == 0, ran.err
    assert set(project.states().values()) == {"Completed"}
    if options:
        result = json.loads(ran.out.splitlines()[-1])
        assert [key[-13:] for key in result["done"]] == ["one_migration", "two_migration"]


def test_a_log_handler_of_an_earlier_migration_still_arrives(project: Folder) -> None:
    project.migration(
        "one", "import logging, sys\nlogging.basicConfig(stream=sys.stdout)\nlogging.warning('first')"
    )
    project.migration("two", "import logging\nlogging.warning('second')")
    result = project.monarch("migrate", "dev")
    assert result.code == 0
    assert "WARNING:root:first" in result.out
    assert "WARNING:root:second" in result.out
    assert "Logging error" not in result.err


def test_a_closed_pipe_stops_the_run_after_the_migration(project: Folder) -> None:
    lines = "for n in range(50000):\n    print('x' * 80)\nself.database.c.insert_one({})"
    project.migration("one", lines)
    project.migration("two", "self.database.c.insert_one({})")
    process = subprocess.Popen(
        [*MONARCH, "migrate", "dev"], cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    while not process.stdout.readline().startswith(b"x"):
        pass
    process.stdout.close()
    assert process.wait(60) == 1
    assert list(project.states().values()) == ["Completed"]
    assert project.database.c.count_documents({}) == 1


FUTURE = """\
from dataclasses import dataclass, fields

from monarch import MongoBackedMigration


@dataclass
class User:
    age: int


class FutureMigration(MongoBackedMigration):
    def run(self):
        self.database.users.insert_one({"age": fields(User)[0].type("41")})
"""


def test_annotations_follow_the_imports_of_the_file(project: Folder) -> None:
    write(project, "future", FUTURE)
    result = project.monarch("migrate", "dev")
    assert result.code == 0, result.err
    assert [one["age"] for one in project.database.users.find()] == [41]


BASES = """\
import abc

from monarch import MongoBackedMigration


class _Step(MongoBackedMigration):
    @abc.abstractmethod
    def step(self): ...

    def run(self):
        self.database.c.insert_one({"by": self.step()})


class FirstMigration(_Step):
    def step(self):
        return "first"
"""


def test_a_base_class_in_the_file_does_not_run(project: Folder) -> None:
    write(project, "first", BASES)
    result = project.monarch("migrate", "dev")
    assert result.code == 0, result.err
    assert [one["by"] for one in project.database.c.find()] == ["first"]


@pytest.mark.parametrize(
    ("imports", "base"),
    [("from migrations.steps import Step", "Step"), ("from . import steps", "steps.Step")],
)
def test_a_base_class_of_the_team_may_be_in_a_helper(project: Folder, imports: str, base: str) -> None:
    project.write(
        "migrations/steps.py", BASES.replace("class _Step", "class Step").partition("class First")[0]
    )
    write(project, "first", f"{imports}\nclass FirstMigration({base}):\n    def step(self): return 'first'\n")
    result = project.monarch("migrate", "dev")
    assert result.code == 0, result.err


@pytest.mark.parametrize(
    "name", ["._x_migration.py", ".#_201405290038_x_migration.py", "._settings.py", ".x/a.py"]
)
def test_files_with_a_leading_dot_are_ignored(project: Folder, name: str) -> None:
    project.write(f"migrations/{name}", "\0 Mac OS X")
    project.migration("one")
    assert project.invoke("check", "dev").code == 3
    assert project.invoke("migrate", "dev").code == 0


def test_a_migration_runs_in_the_same_interpreter(project: Folder) -> None:
    project.migration("one", "import sys\nprint(sys.executable, __name__)")
    result = project.monarch("migrate", "dev")
    assert f"{sys.executable} migrations._20140529" in result.out


# Libraries with which teams define documents, and pymongo's asynchronous client.
MAPPERS = {
    "mongoengine": """
        import mongoengine

        class Page(mongoengine.Document):
            title = mongoengine.StringField(required=True)

        mongoengine.connect(self.database.name, host=self.uri)
        try:
            Page(title='a').save()
            echo(f'{Page.objects.count()} page')
        finally:
            mongoengine.disconnect()
        """,
    "beanie": """
        import asyncio
        import beanie
        from pymongo import AsyncMongoClient

        class Page(beanie.Document):
            title: str

        async def work():
            async with AsyncMongoClient(self.uri) as client:
                await beanie.init_beanie(database=client[self.database.name], document_models=[Page])
                await Page(title='a').insert()
                echo(f'{await Page.count()} page')

        asyncio.run(work())
        """,
    "asynchronous": """
        import asyncio
        from pymongo import AsyncMongoClient

        async def work():
            async with AsyncMongoClient(self.uri) as client:
                await client[self.database.name].page.insert_one({'title': 'a'})
                echo(f'{await client[self.database.name].page.count_documents({})} page')

        asyncio.run(work())
        """,
}


@pytest.mark.parametrize("library", MAPPERS)
def test_a_migration_uses_the_documents_of_a_library(project: Folder, library: str) -> None:
    project.migration("one", MAPPERS[library])
    result = project.monarch("migrate", "dev")
    assert result.code == 0, result.err
    assert "1 page\n" in result.out
    (name,) = {"page", "Page"} & set(project.database.list_collection_names())
    assert project.database[name].count_documents({"title": "a"}) == 1
    assert set(project.states().values()) == {"Completed"}
    assert "Nothing to do" in project.monarch("migrate", "dev").out


def test_an_index_violation_is_reported_without_values(project: Folder) -> None:
    project.migration(
        "one",
        """
        self.database.users.create_index('email', unique=True)
        rows = [{'_id': n, 'email': 'ann@example.com'} for n in (1, 2, 3)]
        self.database.users.insert_many(rows, ordered=False)
        """,
    )
    result = project.monarch("migrate", "dev", "--traceback")
    assert result.code == 1
    assert "pymongo.errors.BulkWriteError: E11000 duplicate key error" in result.err
    outputs = [result.err, project.monarch("list_migrations", "dev", "--json").out]
    for text in outputs:
        assert "E11000 duplicate key error" in text
        assert "email_1" in text
        assert "2 writes of the batch failed" in text
        assert "ann@example.com" not in text


@pytest.mark.parametrize(
    "work",
    [
        "self.database.users.create_index([('email', '2dsphere')])",
        "list(self.database.users.aggregate([{'$project': {'x': {'$toInt': '$email'}}}]))",
        "list(self.database.users.aggregate([{'$project': {'x': {'$toDate': '$email'}}}]))",
        "list(self.database.users.aggregate([{'$project': {'x': {'$toObjectId': '$email'}}}]))",
        "self.database.users.create_index([('name', 'text')], language_override='email')",
        "self.database.users.update_one({}, {'$inc': {'email': 1}})",
        # In a group, and as the cause of another error.
        "try:\n    self.database.users.update_one({}, {'$inc': {'email': 1}})\n"
        "except Exception as error:\n    raise ExceptionGroup('several', [error]) from error",
        # In the text of another error.
        "try:\n    self.database.users.update_one({}, {'$inc': {'email': 1}})\n"
        "except Exception as error:\n    raise RuntimeError(f'several, {error}') from error",
    ],
)
def test_no_value_of_a_document_is_in_an_error(project: Folder, work: str) -> None:
    project.database.users.insert_one({"_id": "ann@example.com", "email": "ann@example.com", "name": "a"})
    project.migration("one", work)
    result = project.monarch("migrate", "dev", "--traceback")
    assert result.code == 1
    assert "Traceback (most recent call last)" in result.err
    history = project.monarch("history", "dev", "--json").out
    for text in (result.output, history, str(list(project.database.mongo_migration_journal.find()))):
        words = ("caused by", "Cannot apply $inc", "language override", "several")
        assert any(word in text for word in words)
        assert "ann@" not in text


def test_no_value_that_cannot_be_stored_is_in_an_error(project: Folder) -> None:
    work = (
        "from fractions import Fraction\nself.database.users.insert_one({'salary': Fraction(98764 + 1, 2)})"
    )
    project.migration("one", work)
    result = project.monarch("migrate", "dev", "--traceback")
    assert result.code == 1
    history = project.monarch("history", "dev", "--json").out
    for text in (result.err, history):
        assert "cannot encode an object, of type: <class 'fractions.Fraction'>" in text
        assert "Fraction(98765, 2)" not in text


def test_an_error_that_cannot_be_described_is_recorded_without_its_text(project: Folder) -> None:
    work = """
    from pymongo.errors import OperationFailure
    who = '@'.join(['ann', 'example.com'])
    raise OperationFailure(who, 2, {'errmsg': who, 'keyPattern': 7})
    """
    key = project.migration("one", work)
    result = project.monarch("migrate", "dev", "--traceback")
    assert result.code == 1
    assert f"{key} failed on 'dev': OperationFailure (" in result.err
    assert project.states() == {key: "Failed"}
    for text in (result.output, str(list(project.database.mongo_migration_journal.find()))):
        assert "ann@" not in text


def test_no_value_of_a_document_is_in_the_error_of_a_hook(project: Folder) -> None:
    assert project.server is not None
    project.database.users.insert_one({"_id": "ann@example.com"})
    hook = f"""
    def before_migrate(context):
        from pymongo import MongoClient
        name = "@".join(["ann", "example.com"])
        MongoClient({project.server.uri!r})[{project.db_name!r}].users.insert_one({{"_id": name}})
    """
    settings = project.path / "migrations/settings.py"
    settings.write_text(settings.read_text() + dedent(hook))
    project.migration("one")
    result = project.monarch("migrate", "dev", "--traceback")
    assert "before_migrate() failed: DuplicateKeyError: E11000 duplicate key error" in result.err
    assert "ann@" not in result.err


@pytest.mark.server
@pytest.mark.parametrize("work", ["insert_one({})", "insert_many([{}, {}])", "bulk_write([InsertOne({})])"])
@pytest.mark.parametrize(
    ("fixture", "concern", "reason"),
    [
        ("server", 2, "is not replicated (this server is not a replica set: use w=1 or w='majority') (migr"),
        (
            "replica_set",
            2,
            "data-bearing nodes (it was written, but too few members can confirm it: use w='maj",
        ),
        (
            "replica_set",
            "'x'",
            "(it was written, but the server knows no write concern of that name: use w='majority') (migr",
        ),
    ],
)
def test_a_write_concern_that_the_server_cannot_satisfy(
    tmp_path: Path, request: pytest.FixtureRequest, fixture: str, concern: object, reason: str, work: str
) -> None:
    server: Server = request.getfixturevalue(fixture)
    project = Folder(tmp_path, server)
    project.settings(dev={"uri": server.uri, "db_name": project.db_name})
    users = f"self.database.get_collection('users', write_concern=WriteConcern(w={concern}))"
    project.migration("one", f"from pymongo import InsertOne, WriteConcern\n{users}.{work}")
    result = project.monarch("migrate", "dev")
    assert result.code == 1
    (error,) = [line for line in result.err.splitlines() if line.startswith("Error: ")]
    assert reason in error
    assert (project.database.users.find_one() is not None) == ("it was written" in reason)
    project.database.client.drop_database(project.db_name)


def test_a_validator_violation_is_reported(project: Folder) -> None:
    project.migration(
        "one",
        """
        rules = {'$jsonSchema': {'required': ['email'], 'properties': {'age': {'bsonType': 'int'}}}}
        self.database.create_collection('users', validator=rules)
        self.database.users.insert_one({'age': 'forty-one secret'})
        """,
    )
    result = project.monarch("migrate", "dev")
    assert result.code == 1
    assert "Document failed validation" in result.err
    assert "email" in result.err
    assert "age" in result.err
    assert "forty-one" not in result.err


def test_a_migration_knows_its_key_and_its_name(project: Folder) -> None:
    key = project.migration("add_users", "print(self.migration_key, self.migration_name)")
    assert f"{key} add_users" in project.monarch("migrate", "dev").out
