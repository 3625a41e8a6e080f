"""Partial copies and backups through the real commands."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pexpect
import pytest
from bson import json_util

from tests.commands.console.test_questions import end
from tests.support.runs.shell import MONARCH, CommandResult, Folder
from tests.support.runs.two_environments import DOCUMENTS, TwoEnvironments, assert_error, entry, fill
from tests.support.samples.ages import make_key
from tests.support.samples.equality import assert_equal, describe
from tests.support.servers.mongod import Server

pytestmark = pytest.mark.server

AWESOME = """
from monarch import QuerySet
from click import echo

class AwesomeDogsQuerySet(QuerySet):

    def run(self):

        awesome_dogs = self.database.dogs.find({"type": "Awesome"})
        awesome_dog_ids = [dog['_id'] for dog in awesome_dogs]
        echo("awesome dog ids: {}".format(awesome_dog_ids))

        self.dump_collection('dogs', {"_id": {"$in": awesome_dog_ids}})
        self.dump_collection('dog_houses', {"dog_id": {"$in": awesome_dog_ids}})
"""
ACCOUNT = """
from monarch import QuerySet
from click import echo, prompt

class AccountQuerySet(QuerySet):

    def run(self):

        account_id = prompt('Please enter a account id', type=int)

        account_i_care_about = self.database.accounts.find({"_id": account_id})

        self.dump_collection('account', {"_id": account_id})
        self.dump_collection('campaigns', {"account_id": account_i_care_about})
"""


@pytest.fixture
def dogs(two: TwoEnvironments) -> TwoEnvironments:
    source = two.source
    source.dogs.insert_many({"_id": n, "type": "Awesome" if n % 3 == 0 else "Good"} for n in range(10))
    source.dogs.create_index("type")
    source.dog_houses.insert_many({"_id": f"h{n}", "dog_id": n} for n in range(10))
    source.accounts.insert_many({"_id": n} for n in range(50))
    source.account.insert_many({"_id": n, "name": f"a{n}"} for n in range(50))
    source.campaigns.insert_many({"_id": n, "account_id": n % 50} for n in range(200))
    two.folder.write("querysets/__init__.py", "")
    two.folder.write("querysets/awesome_dogs_queryset.py", AWESOME)
    two.folder.write("querysets/whatever.py", ACCOUNT)
    return two


def ids(two: TwoEnvironments, name: str) -> list[Any]:
    return [document["_id"] for document in two.target[name].find().sort("_id")]


@pytest.mark.parametrize("engine", ["native", "tools"])
def test_the_first_example(dogs: TwoEnvironments, engine: str, tools: Path) -> None:
    result = dogs.copy(
        "--yes",
        "--engine",
        engine,
        "-q",
        "AwesomeDogsQuerySet",
        prefix=["env", f"PATH={tools}:/usr/bin:/bin"],
    )
    assert result.code == 0, result.output
    assert "awesome dog ids: [0, 3, 6, 9]" in result.out
    assert ids(dogs, "dogs") == [0, 3, 6, 9]
    assert ids(dogs, "dog_houses") == ["h0", "h3", "h6", "h9"]
    assert "type_1" in dogs.target.dogs.index_information()
    # Collections without queries are complete.
    assert dogs.target.users.count_documents({}) == DOCUMENTS
    assert dogs.target.young.count_documents({}) == 10
    assert dogs.target.mongo_migration_history.count_documents({}) == 1


def test_the_second_example(dogs: TwoEnvironments) -> None:
    result = dogs.copy("--yes", "--engine", "native", "--query-set", "AccountQuerySet", "-o", "account_id=42")
    assert result.code == 0, result.output
    assert ids(dogs, "account") == [42]
    assert ids(dogs, "campaigns") == [42, 92, 142, 192]
    assert dogs.target.accounts.count_documents({}) == 50
    without = dogs.copy("--yes", "--engine", "native", "-q", "AccountQuerySet")
    assert_error(without, 2, "AccountQuerySet asks “Please enter a account id”", "-o account_id=VALUE")
    wrong = dogs.copy("--yes", "--engine", "native", "-q", "AccountQuerySet", "-o", "account_id=x")
    assert_error(wrong, 2, "'x' is not a valid integer", "Please enter a account id")


def define(two: TwoEnvironments, body: str, above: str = "") -> None:
    """Write the query set ``Part``, a class with this ``body``."""
    source = f"from monarch import QuerySet\n{dedent(above)}\nclass Part(QuerySet):\n"
    two.folder.write("querysets/part.py", source + indent(dedent(body).strip(), "    ") + "\n")


def copy(two: TwoEnvironments, *arguments: str, **more: Any) -> CommandResult:
    return two.copy("--yes", "--engine", "native", "-q", "Part", *arguments, **more)


def test_the_plan_shows_the_documents_and_changes_nothing(dogs: TwoEnvironments) -> None:
    define(dogs, "def run(self):\n    self.dump_collection('dogs', {'type': 'Awesome'})")
    plan = ("production:dev", "--plan", "--engine", "native")
    result = dogs.folder.monarch("copy_db", *plan, "-q", "Part")
    assert (result.code, result.err) == (0, "")
    rows = [line.split() for line in result.out.splitlines()]
    assert ["dogs", "4"] in [row[:2] for row in rows]
    assert ["dog_houses", "10"] in [row[:2] for row in rows]
    assert result.out.endswith("Nothing was changed.\n")
    report = dogs.folder.monarch("copy_db", *plan, "-q", "Part", "--json").json
    whole = dogs.folder.monarch("copy_db", *plan, "--json").json
    (part,), (all_of_them,) = (
        [held for held in one["copied"] if held["name"] == "dogs"] for one in (report, whole)
    )
    assert (part["documents"], part["indexes"], part["kind"]) == (4, 2, "collection")
    assert part["bytes"] == round(all_of_them["bytes"] * 4 / 10)
    assert [held["name"] for held in report["copied"]] == [held["name"] for held in whole["copied"]]
    assert "monarch_lease" not in dogs.target.list_collection_names()
    dogs.assert_unchanged()


@pytest.mark.parametrize("command", [("copy_db", "production:dev", "--yes"), ("backup", "production")])
def test_references_that_find_nothing_are_noted(dogs: TwoEnvironments, command: tuple[str, ...]) -> None:
    dogs.folder.keep_backups()
    define(dogs, "def run(self): self.follow('dogs.owner', 'accounts._id')")
    for more in ((), ("--plan",)) if command[0] == "copy_db" else ((),):
        result = dogs.folder.monarch(*command, "-q", "Part", *more)
        assert result.code == 0, result.err
        assert "Note: follow('dogs.owner', 'accounts._id'): no included document has a value" in result.output
    printed = dogs.folder.monarch(*command, "-q", "Part", "--json").json
    assert len(printed["notes"]) == 1


def test_with_json_only_json_is_on_stdout(dogs: TwoEnvironments) -> None:
    define(
        dogs,
        """
        def run(self):
            echo("by echo")
            print("by print")
            self.dump_collection("dogs", {"type": "Awesome"})
        """,
        above="from click import echo",
    )
    for more in (("--plan",), ("--yes",)):
        result = dogs.copy("--engine", "native", "-q", "Part", "--json", *more)
        assert result.code == 0, result.output
        assert isinstance(result.json, dict)
        assert result.err == "by echo\nby print\n"
    assert {row["name"]: row["documents"] for row in result.json["collections"]}["dogs"] == 4


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("-q", "Prat"), "There is no query set 'Prat' in querysets/.", "Did you mean 'Part'?"),
        (("-q", "Part"), "Part asks “account id”, and there is no terminal", "-o account_id=VALUE"),
        (("-q", "Part", "-o", "account_id=x"), "'x' is not of type int", "Use a whole number"),
        (("-q", "Part", "-o", "account_id"), "-o account_id: that is not NAME=VALUE.", "account_id=42"),
        (("-q", "Part", "-o", "accountid=1"), "Part has no option 'accountid'", "Did you mean 'account_id'"),
        (("-q", "Part", "-o", "account_id=1", "-o", "accout_id=1"), "Part has no option 'accout_id'", "mean"),
        (("-o", "account_id=1"), "-o is for a query set, but no query set is named.", "Name one: -q NAME"),
    ],
)
@pytest.mark.parametrize("command", ["copy_db", "backup"])
def test_wrong_arguments(
    dogs: TwoEnvironments, command: str, arguments: tuple[str, ...], message: str, hint: str
) -> None:
    store_folder = dogs.folder.keep_backups()
    define(dogs, "account_id: int\ndef run(self): ...")
    first = ("copy_db", "production:dev", "--yes") if command == "copy_db" else ("backup", "production")
    assert_error(dogs.folder.monarch(*first, *arguments), 2, re.escape(message), hint)
    dogs.assert_unchanged()
    assert not store_folder.exists()


@pytest.mark.parametrize(
    ("body", "code", "message", "hint"),
    [
        (
            "def run(self):\n    self.dump_collection('dogs')\n    raise ValueError('no such luck')",
            1,
            r"Part failed: ValueError: no such luck \(querysets/part.py, line 6\)",
            "Nothing was changed. Fix it and try again.",
        ),
        (
            "def run(self): self.dump_collection('system.js')",
            2,
            r"dump_collection\(\) names 'system.js': no subset includes a system collection.",
            "Only a copy or a backup without a query set includes 'system.js'.",
        ),
        (
            'def run(self):\n    """Select documents here"""\n    raise NotImplementedError',
            2,
            "querysets/part.py is as `monarch generate_query_set` wrote it: its run.. selects nothing yet.",
            "Select documents in run(), or delete the file. Nothing was changed.",
        ),
        (
            "def run(self): self.dump_collection('dogs', {'_id': {'$inn': [1]}})",
            1,
            "'production' rejected the query of 'dogs': unknown operator: .inn",
            "Nothing was changed. Fix the query in the query set.",
        ),
        (
            "def run(self): self.dump_collection('dogz', {'_id': 1})",
            2,
            r"dump_collection\(\) names 'dogz', and 'production' has no such collection",
            "Did you mean 'dogs'?",
        ),
        ("def only(self): return ['dogs', 'dog_huoses']", 2, r"only\(\) names 'dog_huoses'", "'dog_houses'"),
        ("def exclude(self): return ['acount']", 2, r"exclude\(\) names 'acount'", "Did you mean 'account'?"),
        (
            "def run(self): self.follow('dogs._id', 'dog_house.dog_id')",
            2,
            r"follow\(\) names 'dog_house.dog_id', and 'production' has no",
            "Did you mean 'dog_houses'?",
        ),
    ],
)
def test_an_invalid_selection_changes_nothing(
    dogs: TwoEnvironments, body: str, code: int, message: str, hint: str
) -> None:
    define(dogs, body)
    assert_error(copy(dogs), code, message, hint)
    dogs.assert_unchanged()
    if code == 1:
        store_folder = dogs.folder.keep_backups()
        assert_error(dogs.folder.monarch("backup", "production", "-q", "Part"), code, message, hint)
        # The folder may exist, but is empty.
        assert list(store_folder.glob("*")) == []


def test_the_option_whose_value_a_query_set_rejects_is_named(dogs: TwoEnvironments) -> None:
    body = """
    def run(self):
        self.dump_collection("dogs", {"_id": int(prompt("account id")), "key": int(prompt("password"))})
    """
    define(dogs, body, above="from click import prompt")
    result = copy(dogs, "-o", "account_id=abc", "-o", "password=1")
    message = r"Part failed: ValueError: invalid literal for int\(\).*'abc' \(querysets/part.py, line 5\)"
    assert_error(result, 1, message, "Use another value for -o account_id, or fix the query set.")
    secret = copy(dogs, "-o", "account_id=1", "-o", "password=hush-hush")
    assert_error(secret, 1, "Part failed: ValueError", "Use another value for -o password")
    assert "hush" not in secret.output


def test_no_value_of_a_document_is_in_the_error_of_a_query_set(dogs: TwoEnvironments) -> None:
    dogs.source.dogs.insert_one({"_id": "a", "owner": "ann@example.com"})
    define(
        dogs, "def run(self): list(self.database.dogs.aggregate([{'$project': {'x': {'$toInt': '$owner'}}}]))"
    )
    result = copy(dogs, "--traceback")
    assert result.code == 1
    assert "Part failed: OperationFailure: " in result.err
    assert "Traceback (most recent call last)" in result.err
    assert "ann@" not in result.err


def test_no_secret_is_printed_of_an_option_with_a_wrong_value(dogs: TwoEnvironments) -> None:
    define(dogs, "password: int\ndef run(self): ...")
    result = copy(dogs, "-o", "password=hush-hush")
    assert_error(result, 2, "is not of type int", "Use a whole number, such as 42.")
    assert "hush" not in result.output


def test_an_option_may_be_a_relative_time(dogs: TwoEnvironments) -> None:
    now = datetime.now(UTC)
    dogs.source.visits.insert_many({"_id": days, "at": now - timedelta(days=days)} for days in (1, 29, 31))
    body = """
    since: datetime
    def run(self): self.dump_collection("visits", {"at": {"$gte": self.since}})
    """
    define(dogs, body, above="from datetime import datetime")
    result = copy(dogs, "-o", "since=30d")
    assert result.code == 0, result.output
    assert ids(dogs, "visits") == [1, 29]


def test_a_reference_need_not_lead_on(dogs: TwoEnvironments) -> None:
    """The authors of the messages of a channel are included, but not all their messages."""
    dogs.source.people.insert_many({"_id": n} for n in range(4))
    dogs.source.messages.insert_many(
        {"_id": n, "channel": n // 2, "author": author} for n, author in enumerate([0, 1, 1, 2])
    )
    body = """
    def run(self):
        self.dump_collection("messages", {"channel": 0})
        self.dump_collection("people", {"_id": 2})
        self.follow("messages.author", "people._id", onward=False)
        self.follow("people._id", "messages.author")
    """
    define(dogs, body)
    result = copy(dogs)
    assert result.code == 0, result.output
    assert (ids(dogs, "people"), ids(dogs, "messages")) == ([0, 1, 2], [0, 1, 3])


def test_all_features_of_query_sets(dogs: TwoEnvironments) -> None:
    source = dogs.source
    source.create_collection("notes", validator={"n": {"$exists": True}})
    source.notes.insert_many({"n": n, "text": "x", "_id": n} for n in range(20))
    define(
        dogs,
        """
        at_most: int = 3
        def run(self):
            assert (self.environment.name, self.uri[:10]) == ("production", "mongodb://")
            assert self.client[self.database.name] == self.database
            self.dump_collection(self.database.notes, {"n": {"$gt": 4}}, sort=[("n", -1)], limit=self.at_most)
            self.dump_collection("dogs", sample=0.5, seed=1)
            self.dump_collection("account", {"_id": 1}, projection=["name"])
            self.dump_collection("account", {"_id": {"$lt": 3}}, projection=["name"])
            self.dump_collection("cats", {"a": 1}, missing_ok=True)
            self.follow("account._id", "campaigns.account_id")
        def exclude(self):
            return ["users", "young"]
        """,
    )
    result = copy(dogs, "-o", "at-most=2")
    assert result.code == 0, result.output
    assert ids(dogs, "notes") == [18, 19]
    assert len(ids(dogs, "dogs")) == 5
    assert ids(dogs, "account") == [0, 1, 2]
    assert ids(dogs, "campaigns") == [n for n in range(200) if n % 50 < 3]
    own = {"system.views", "monarch_lease", "mongo_migration_journal"}
    names = set(dogs.target.list_collection_names()) - own
    history = "mongo_migration_history"
    assert names == {"notes", "dogs", "dog_houses", "account", "accounts", "campaigns", history}
    (notes,) = dogs.target.list_collections(filter={"name": "notes"})
    assert notes["options"]["validator"] == {"n": {"$exists": True}}
    # The same seed selects the same dogs.
    before = ids(dogs, "dogs")
    assert copy(dogs).code == 0
    assert ids(dogs, "dogs") == before
    assert ids(dogs, "notes") == [17, 18, 19]


ASKS = """
def run(self):
    found = prompt("Please enter a dog id", type=int)
    self.dump_collection("dogs", {"_id": found})
"""


def test_prompts_are_answered_in_a_terminal(dogs: TwoEnvironments) -> None:
    define(dogs, "kind: str\n" + ASKS, above="from click import prompt")
    terminal = dogs.folder.terminal("copy_db", "production:dev", "--engine", "native", "-q", "Part")
    terminal.expect(r"kind \(str\): ")
    terminal.sendline("Awesome")
    terminal.expect("Please enter a dog id: ")
    terminal.sendline("three")
    terminal.expect("'three' is not a valid integer")
    terminal.expect("Please enter a dog id: ")
    terminal.sendline("3")
    terminal.expect("are you SURE")
    terminal.sendline("y")
    code, output = end(terminal)
    assert code == 0, output
    assert ids(dogs, "dogs") == [3]


def interrupt(terminal: pexpect.spawn[str]) -> tuple[int | None, str]:
    """Press Ctrl-C until the process ends: Python's input() misses one that comes just before it waits."""
    output = ""
    for _ in range(20):
        terminal.sendintr()
        ended = terminal.expect([pexpect.EOF, pexpect.TIMEOUT], timeout=5) == 0
        output = terminal.before or ""
        if ended:
            break
    code, rest = end(terminal)
    return code, output + rest


@pytest.mark.parametrize(("above", "asked"), [("", "dog id: "), ("kind: str\n", "kind .*: ")])
def test_ctrl_c_at_a_prompt_changes_nothing(dogs: TwoEnvironments, above: str, asked: str) -> None:
    define(dogs, above + ASKS, above="from click import prompt")
    arguments = ("copy_db", "production:dev", "--yes", "--engine", "native", "-q", "Part")
    terminal = dogs.folder.terminal(*arguments)
    terminal.expect(asked)
    code, output = interrupt(terminal)
    assert code == 130
    assert output.splitlines()[-1].endswith("Interrupted. Nothing was changed.")
    assert "Traceback" not in output
    dogs.assert_unchanged()


@pytest.mark.parametrize("command", [("copy_db", "production:dev", "--yes"), ("backup", "production")])
def test_ctrl_c_has_an_effect_even_if_a_query_set_catches_it(
    dogs: TwoEnvironments, command: tuple[str, ...]
) -> None:
    store_folder = dogs.folder.keep_backups()
    body = """
    def run(self):
        try:
            prompt("Please enter a dog id")
        except Exception:
            self.dump_collection("dogs", {"_id": 1})
    """
    define(dogs, body, above="from click import prompt")
    terminal = dogs.folder.terminal(*command, "--engine", "native", "-q", "Part")
    terminal.expect("dog id: ")
    code, output = interrupt(terminal)
    assert code == 130, output
    dogs.assert_unchanged()
    assert not store_folder.exists()


def test_with_json_prompts_are_on_stderr(dogs: TwoEnvironments, tmp_path: Path) -> None:
    define(dogs, ASKS, above="from click import prompt")
    out = tmp_path / "out.json"
    line = f"{shlex.join(MONARCH)} copy_db production:dev --plan --engine native -q Part --json > {out}"
    terminal = pexpect.spawn("sh", ["-c", line], cwd=str(dogs.folder.path), encoding="utf-8", timeout=30)
    terminal.expect("Please enter a dog id: ")
    terminal.sendline("3")
    assert end(terminal)[0] == 0
    held = {one["name"]: one["documents"] for one in json.loads(out.read_text())["copied"]}
    assert held["dogs"] == 1


@pytest.fixture
def watched(tools: Path, tmp_path: Path) -> Path:
    """A folder with tools that record their arguments before they do their work."""
    folder = tmp_path / "watched"
    folder.mkdir()
    for name in ("mongodump", "mongorestore"):
        log = tmp_path / f"{name}.log"
        lines = f'for one in "$@"; do echo "$one"; done >> {log}\necho -- >> {log}\n'
        (folder / name).write_text(f'#!/bin/sh\n{lines}exec {tools / name} "$@"\n')
        (folder / name).chmod(0o755)
    return folder


def calls(watched: Path, name: str) -> list[list[str]]:
    """Return the arguments of each call of the tool ``name``, except for its version."""
    text = (watched.parent / f"{name}.log").read_text()
    found = [call.splitlines() for call in text.split("--\n")]
    return [call for call in found if call and call != ["--version"]]


def test_the_tools_get_no_query_as_an_argument(dogs: TwoEnvironments, watched: Path) -> None:
    dogs.source.kinds.insert_many({"_id": n, **kinds(n)} for n in range(6))
    dogs.source.many.insert_many({"_id": f"id{n:05}"} for n in range(12_000))
    define(
        dogs,
        """
        def run(self):
            self.dump_collection("many", {"_id": {"$in": [f"id{n:05}" for n in range(10_000)]}})
            self.dump_collection("dogs", {"type": "Awesome"})
            self.dump_collection("dogs", {"_id": 1})
            self.dump_collection("kinds", {"$or": [
                {"a": datetime(2014, 5, 29, tzinfo=UTC)}, {"a": ObjectId("5" * 24)}, {"a": Decimal128("1.5")},
                {"a": Int64(3)}, {"a": re.compile("^hush", re.I)},
            ]})
            # mongodump has no option for this.
            self.dump_collection("account", sort="_id", limit=2)
        """,
        above="import re\nfrom datetime import UTC, datetime\nfrom bson import Decimal128, Int64, ObjectId",
    )
    with_tools = {"PATH": f"{watched}:{os.environ['PATH']}"}
    result = dogs.copy("--yes", "--engine", "tools", "-q", "Part", variables=with_tools)
    assert result.code == 0, result.output
    assert len(ids(dogs, "many")) == 10_000
    assert ids(dogs, "dogs") == [0, 1, 3, 6, 9]
    assert ids(dogs, "kinds") == [0, 1, 2, 3, 4]
    assert ids(dogs, "account") == [0, 1]
    assert dogs.target.users.count_documents({}) == DOCUMENTS
    dumps = calls(watched, "mongodump")
    chosen = [one for call in dumps for one in call if one.startswith("--collection=")]
    assert sorted(chosen) == ["--collection=dogs", "--collection=kinds", "--collection=many"]
    assert len(dumps) == 4  # including one for all the rest
    assert len(calls(watched, "mongorestore")) == 1
    for call in dumps:
        queries = [one for one in call if "uery" in one]
        assert all(re.fullmatch(r"--queryFile=/dev/fd/\d+", one) for one in queries)
        assert not re.search(r"Awesome|id0|hush|5555|2014", " ".join(call))


def kinds(number: int) -> dict[str, Any]:
    values = (
        {"$date": "2014-05-29T00:00:00Z"},
        {"$oid": "5" * 24},
        {"$numberDecimal": "1.5"},
        {"$numberLong": "3"},
    )
    text = json.dumps({"a": [*values, "HUSHed", "b"][number]})
    found: dict[str, Any] = json_util.loads(text)
    return found


def test_a_failure_of_one_tool_changes_nothing(dogs: TwoEnvironments, watched: Path) -> None:
    """The mongodump of one collection fails while those of others run."""
    real = (watched / "mongodump").read_text().splitlines()
    fails = 'case "$*" in *--collection=campaigns*) echo "Failed: out of luck" >&2; exit 3;; esac'
    (watched / "mongodump").write_text("\n".join([real[0], fails, *real[1:]]) + "\n")
    define(
        dogs,
        """
        def run(self):
            for name in ("dogs", "dog_houses", "account", "accounts", "campaigns"):
                self.dump_collection(name, {"_id": {"$ne": 7}})
        """,
    )
    with_tools = {"PATH": f"{watched}:{os.environ['PATH']}"}
    result = dogs.copy("--yes", "--engine", "tools", "-q", "Part", variables=with_tools)
    assert_error(result, 5, "mongodump of 'production' failed: .*out of luck", "--engine native")
    dogs.assert_unchanged()


PARTIAL = """
account_id: int
def run(self):
    self.dump_collection("dogs", {"type": "Awesome", "hush": {"$ne": "a-secret-value"}})
    self.dump_collection("campaigns", {"account_id": {"$in": [self.account_id, 424_242]}})
    self.dump_collection("things", {"n": {"$lt": 5}})
def exclude(self):
    return ["accounts"]
"""
FILTERS = [
    'campaigns: {"account_id": {"$in": ["?"]}}',
    'dogs: {"type": "?", "hush": {"$ne": "?"}}',
    'things: {"n": {"$lt": "?"}}',
]


@pytest.fixture
def part(dogs: TwoEnvironments) -> TwoEnvironments:
    """Two environments and the query set ``Part``; `reduce` leaves only its subset in the source."""
    dogs.source.create_collection("things", collation={"locale": "de"}, validator={"n": {"$gte": 0}})
    dogs.source.things.create_index([("n", -1)], unique=True, expireAfterSeconds=10**9, name="my n")
    dogs.source.things.insert_many({"_id": n, "n": n} for n in range(20))
    dogs.folder.keep_backups()
    define(dogs, PARTIAL)
    return dogs


def reduce(two: TwoEnvironments) -> None:
    """Delete everything from the source that the query set does not select."""
    two.source.dogs.delete_many({"type": {"$ne": "Awesome"}})
    two.source.campaigns.delete_many({"account_id": {"$ne": 42}})
    two.source.things.delete_many({"n": {"$gte": 5}})
    two.source.accounts.drop()


@pytest.mark.parametrize("engine", ["native", "tools"])
def test_a_backup_of_a_subset_is_restored_like_any_other(
    part: TwoEnvironments, engine: str, tools: Path
) -> None:
    with_tools = {"PATH": f"{tools}:{os.environ['PATH']}"}
    arguments = ("backup", "production", "--engine", engine, "-q", "Part", "-o", "account_id=42")
    report = part.folder.monarch(*arguments, "--json", variables=with_tools).json
    assert (report["query_set"], report["query_options"]) == ("Part", ["account_id=42"])
    assert report["query_filters"] == FILTERS
    assert report["one_moment"] is False  # not a replica set
    assert part.folder.monarch("verify_backup", report["name"]).code == 0
    result = part.folder.monarch("restore", f"{report['name']}:dev", "--yes", "--engine", "native")
    assert result.code == 0, result.output
    reduce(part)
    part.assert_copied()


def test_the_manifest_of_a_subset(part: TwoEnvironments) -> None:
    whole = part.folder.monarch("backup", "production", "--name", "whole", "--json").json
    assert (whole["query_set"], whole["query_options"], whole["query_filters"]) == (None, [], [])
    report = part.folder.monarch("backup", "production", "-q", "Part", "-o", "account_id=42", "--json").json
    listed = {row["name"]: row for row in part.folder.monarch("list_backups", "--json").json}
    assert listed[report["name"]]["query_set"] == "Part"
    assert listed[whole["name"]]["query_set"] is None
    rows = [line.split() for line in part.folder.monarch("list_backups").out.splitlines()]
    assert rows[0][-2:] == ["QUERY", "SET"]
    assert {row[0]: row[-1] for row in rows[1:]} == {report["name"]: "Part", whole["name"]: "-"}
    shown = [
        " ".join(line.split()) for line in part.folder.monarch("show_backup", report["name"]).out.splitlines()
    ]
    assert "Query set Part" in shown
    assert "option account_id=42" in shown
    for one in FILTERS:
        assert f"filter {one}" in shown
    as_json = part.folder.monarch("show_backup", report["name"], "--json").json
    assert as_json["query_filters"] == FILTERS
    manifest = (part.folder.path / "backups" / f"{report['archive']}.json").read_text()
    assert FILTERS[0] in json.loads(manifest)["query_filters"]
    for value in ("Awesome", "a-secret-value", "424242"):
        assert value not in manifest


def test_a_hidden_answer_is_not_stored(dogs: TwoEnvironments) -> None:
    dogs.folder.keep_backups()
    body = """
    def run(self):
        self.dump_collection("dogs", {"type": prompt("Password", hide_input=True)})
    """
    define(dogs, body, above="from click import prompt")
    report = dogs.folder.monarch("backup", "production", "-q", "Part", "-o", "password=very-hush", "--json")
    assert report.json["query_options"] == ["password=********"]
    manifest = (dogs.folder.path / "backups" / f"{report.json['archive']}.json").read_bytes()
    assert b"very-hush" not in manifest
    assert "very-hush" not in report.output


def test_a_backup_of_a_subset_is_restored_without_monarch(part: TwoEnvironments, tools: Path) -> None:
    report = part.folder.monarch(
        *("backup", "production", "--engine", "native", "--codec", "gz"),
        *("-q", "Part", "-o", "account_id=42", "--json"),
    ).json
    part.target.old.drop()
    where = [f"--uri={part.server.uri}", f"--nsFrom={part.source.name}.*", f"--nsTo={part.target.name}.*"]
    with (part.folder.path / "backups" / report["archive"]).open("rb") as file:
        command = [str(tools / "mongorestore"), *where, "--archive", "--gzip", "--drop", "--stopOnError"]
        done = subprocess.run(command, stdin=file, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    reduce(part)
    assert_equal(describe(part.source), describe(part.target))


def test_a_subset_of_a_replica_set_is_from_one_snapshot(replica_set: Server, tmp_path: Path) -> None:
    folder = Folder(tmp_path, replica_set)
    with replica_set.client() as client:
        source = client[folder.db_name]
        fill(source)
        folder.settings(production=entry(replica_set, source.name))
        folder.keep_backups()
        folder.write(
            "querysets/part.py",
            "from monarch import QuerySet\nclass Part(QuerySet):\n"
            "    def run(self): self.dump_collection('users', {'_id': {'$lt': 9}})\n",
        )
        report = folder.monarch("backup", "production", "--engine", "native", "-q", "Part", "--json").json
        client.drop_database(source.name)
    assert report["one_moment"] is True
    assert {one["name"]: one["documents"] for one in report["collections"]}["users"] == 9


def test_a_backup_of_a_subset_is_never_the_newest(dogs: TwoEnvironments) -> None:
    """Restoring it by the name of its environment would delete everything else."""
    dogs.folder.keep_backups()
    part = dogs.folder.monarch("backup", "production", "-q", "AwesomeDogsQuerySet", "--name", "part")
    assert part.code == 0, part.output
    result = dogs.folder.monarch("restore", "production:dev", "--yes")
    assert_error(
        result,
        2,
        "There is no good backup of 'production'",
        "a backup of a subset is found by its own name only",
    )
    dogs.assert_unchanged()
    whole = dogs.folder.monarch("backup", "production", "--json").json["name"]
    part = dogs.folder.monarch(
        "backup", "production", "-q", "AwesomeDogsQuerySet", "--name", "part", "--json"
    )
    result = dogs.folder.monarch("restore", "production:dev", "--yes")
    assert f"The newest good backup of production is {whole}." in result.err
    dogs.assert_copied()
    # It can be restored by its own name, and the question says that it is a subset.
    name = part.json["name"]
    terminal = dogs.folder.terminal("restore", f"{name}:dev", columns=200)
    terminal.expect("the subset AwesomeDogsQuerySet of production")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    # It is not suggested in place of a broken complete backup either.
    archive = dogs.folder.path / "backups" / f"{whole}.dmp.zst"
    archive.write_bytes(archive.read_bytes()[:-9] + b"x" * 9)
    result = dogs.folder.monarch("restore", f"{whole}:dev", "--yes")
    assert_error(result, 1, "is broken", "There is no other good backup of production")


def test_a_manifest_of_an_encrypted_subset_shows_no_values(dogs: TwoEnvironments, tmp_path: Path) -> None:
    dogs.folder.keep_backups()
    options = ("backup", "production", "-q", "AccountQuerySet", "-o", "account_id=42", "--json")
    plain = dogs.folder.monarch(*options).json
    assert plain["query_options"] == ["account_id=42"]
    assert plain["query_filters"]
    dogs.folder.encrypt_backups(make_key(tmp_path / "keys").recipient)
    taken = dogs.folder.monarch(*options).json
    assert (taken["query_set"], taken["query_options"]) == ("AccountQuerySet", ["account_id=?"])
    assert taken["query_filters"] == []
