"""``suggest_masks`` on a real server."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from bson import Binary, Code, DatetimeMS, Int64, ObjectId, Regex, Timestamp
from gridfs import GridFS

from monarch.databases.mongo.collection_names import HISTORY, JOURNAL, LEASE
from monarch.privacy.load import load_masks
from monarch.privacy.masks import CollectionMasks
from tests.support.people import DATA_SETS, DataSet
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import assert_error
from tests.support.servers.postgres import PostgresServer

FILE = "migrations/privacy.py"


def rules(project: Folder) -> dict[str, dict[str, str]]:
    """Return the rules of the project as text, as a copy would load them."""
    masks = load_masks(project.path)
    found: dict[str, dict[str, str]] = {}
    for name in masks:
        rule = masks.find(name)
        assert isinstance(rule, CollectionMasks)
        found[name] = {path: repr(one) for path, one in rule.items()}
    return found


def fill(project: Folder) -> None:
    users = [
        {"email": f"zebra{n}@post.example", "name": "Anna Zebra", "age": 20 + n, "n": n} for n in range(30)
    ]
    project.database.users.insert_many([dict(user) for user in users])
    project.database.users.create_index("email", unique=True)
    project.database.orders.insert_many([{"user_email": user["email"], "total": 3} for user in users])


def test_it_writes_a_rule_for_every_field_and_shows_no_value(project: Folder) -> None:
    fill(project)
    result = project.monarch("suggest_masks", "production")
    assert (result.code, result.err) == (0, "")
    assert "users.email" in result.out
    assert "email(unique=True)" in result.out
    assert result.out.endswith(
        f"Wrote {FILE}: 8 fields of 2 collections, 4 with a mask. Read every line before you rely on it.\n"
    )
    assert rules(project) == {
        "orders": {"_id": "keep", "total": "keep", "user_email": "email(unique=True)"},
        "users": {
            "_id": "keep",
            "age": "number(noise=0.1)",
            "email": "email(unique=True)",
            "n": "keep",
            "name": "full_name()",
        },
    }
    written = project.files()[FILE].decode()
    assert "    'age': number(noise=0.1),  # 100 %: integer; is named like ages\n" in written
    assert "# 'users': 30 documents, all read\n" in written
    assert "'*'" not in written
    for text in (result.out, written):
        assert "zebra" not in text.lower()
    assert project.monarch("list_migrations", "dev").code == 0
    assert project.monarch("check", "dev").code == 0


def test_run_again_it_adds_only_what_is_new(project: Folder) -> None:
    fill(project)
    assert project.monarch("suggest_masks", "dev").code == 0
    before = project.files()[FILE]
    again = project.monarch("suggest_masks", "dev")
    assert (again.code, again.err) == (0, "")
    assert again.out == f"Nothing new: {FILE} has a rule for every field that was seen.\n"
    assert project.files()[FILE] == before
    project.database.users.update_one({"n": 3}, {"$set": {"phones": ["+49 89 1234567"], "it's\n#": 1}})
    project.database.tickets.insert_one({"title": "Broken"})
    added = project.monarch("suggest_masks", "dev")
    assert added.out.endswith(
        f"Wrote {FILE}: 4 fields of 2 collections, 1 with a mask. Read every line before you rely on it.\n"
    )
    after = project.files()[FILE]
    assert after.startswith(before.rstrip())
    block = after[len(before.rstrip()) :].decode()
    assert "masks['users'].update({\n" in block
    assert "from monarch.privacy import phone  # noqa: E402\n" in block
    assert "'phones[]': phone(),  # 3 %: string;" in block
    assert rules(project)["users"]["it's\n#"] == "keep"
    assert rules(project)["tickets"] == {"_id": "keep", "title": "keep"}
    assert project.monarch("suggest_masks", "dev").out.startswith("Nothing new")


def test_rules_that_a_person_wrote_are_respected(project: Folder) -> None:
    fill(project)
    project.write(
        FILE,
        """
        from monarch.privacy import Masks, email, keep
        masks = Masks()
        masks['users'] = {'email': email(unique=True), '*': keep}

        @masks.of('orders')
        def orders(document): ...
        """,
    )
    before = project.files()
    assert project.monarch("suggest_masks", "dev").out.startswith("Nothing new")
    assert project.files() == before


def test_plan_and_json_write_what_they_say(project: Folder) -> None:
    fill(project)
    before = project.files()
    planned = project.monarch("suggest_masks", "dev", "--plan")
    assert (planned.code, planned.err) == (0, "")
    compile(planned.out, FILE, "exec")
    assert (
        "    'email': email(unique=True),  # 100 %: string; looks like mails (100 % of values)\n"
        in planned.out
    )
    as_json = project.monarch("suggest_masks", "dev", "--json", "--plan").json
    assert project.files() == before
    assert (as_json["environment"], as_json["written"]) == ("dev", False)
    users = next(one for one in as_json["collections"] if one["name"] == "users")
    assert (users["documents"], users["read"]) == (30, 30)
    assert users["fields"][2] == {
        "path": "email",
        "types": {"string": 30},
        "seen": 30,
        "rule": "email(unique=True)",
        "personal": True,
        "reason": "looks like mails (100 % of values)",
        "confidence": 0.98,
        "new": True,
    }
    written = project.monarch("suggest_masks", "dev", "--json")
    assert written.json["written"] is True
    assert project.files()[FILE].decode() == planned.out


def test_a_file_that_fails_is_an_error_and_stays(project: Folder) -> None:
    fill(project)
    project.write(FILE, "masks = {}\n")
    assert_error(project.monarch("suggest_masks", "dev"), 2, "has no `masks`", "Begin with")
    project.write(FILE, "1 / 0\n")
    assert_error(project.monarch("suggest_masks", "dev"), 2, "ZeroDivisionError", "Nothing has run")
    assert project.files()[FILE] == b"1 / 0\n"


def test_an_empty_database(project: Folder) -> None:
    result = project.monarch("suggest_masks", "dev")
    assert (result.code, result.out) == (0, "dev holds no collections: there is nothing to suggest.\n")
    assert FILE not in project.files()


def test_a_sample_has_the_first_and_the_last_documents(project: Folder) -> None:
    project.database.events.insert_many(
        {"n": number, ("old" if number < 5 else "new"): 1} for number in range(400)
    )
    project.database.events.insert_one({"n": 401, "newest": 1})
    found = project.monarch("suggest_masks", "dev", "--sample", "20", "--json", "--plan").json["collections"][
        0
    ]
    assert {field["path"] for field in found["fields"]} == {"_id", "n", "old", "new", "newest"}
    assert found["documents"] == 401
    assert 15 <= found["read"] <= 20


def test_what_is_read_and_what_is_left_out(project: Folder) -> None:
    database = project.database
    database.create_collection("ticks", timeseries={"timeField": "at", "metaField": "sensor"})
    database.ticks.insert_many(
        {"at": datetime(2024, 1, 1, tzinfo=UTC), "sensor": {"owner": "Anna Smith"}} for _ in range(3)
    )
    database.create_collection("log", capped=True, size=4096)
    database.log.insert_one({"line": "x"})
    database.create_collection("people", viewOn="users", pipeline=[])
    database["system.js"].insert_one({"_id": "f", "value": Code("function() {}")})
    GridFS(database).put(b"x" * 700_000, filename="Anna Smith cv.pdf")
    for ours in (HISTORY, JOURNAL, LEASE, "monarch_staging.a", "monarch_swap"):
        database[ours].insert_one({"secret": 1})
    database.create_collection("empty")
    assert project.monarch("suggest_masks", "dev").code == 0
    found = rules(project)
    assert set(found) == {"ticks", "log", "system.js", "fs.files", "fs.chunks", "empty"}
    assert found["empty"] == {}
    assert found["fs.chunks"]["data"] == "blank()"
    assert found["fs.files"]["filename"] == "text()"
    assert found["ticks"]["sensor.owner"] == "full_name()"
    assert found["system.js"] == {"_id": "keep", "value": "keep"}


def test_values_of_every_type_can_be_read(project: Folder) -> None:
    values = {
        "far": DatetimeMS(2**60),
        "regex": Regex("a"),
        "stamp": Timestamp(1, 1),
        "long": Int64(3),
        "binary": Binary(b"x" * 9),
        "uuid": Binary(b"x" * 16, 4),
        "bad_uuid": Binary(b"x", 4),
        "id": ObjectId(),
        "code": Code("x", {"y": 1}),
        "": 1,
        "*": 2,
        "a.b": 3,
        "nan": float("nan"),
    }
    project.database.odd.insert_one(values)
    result = project.monarch("suggest_masks", "dev")
    assert result.code == 0
    assert "odd has 2 fields whose names no path can have" in result.err
    assert rules(project)["odd"] == {
        **dict.fromkeys(
            ("_id", "far", "regex", "stamp", "long", "uuid", "id", "code", "a\\.b", "nan"), "keep"
        ),
        "binary": "blank()",
        "bad_uuid": "blank()",
    }


@pytest.mark.parametrize("data", DATA_SETS, ids=lambda data: data.name)
def test_the_file_of_a_data_set_loads_and_names_every_field(project: Folder, data: DataSet) -> None:
    for name, documents in data.build(random.Random(7), 40).items():
        project.database[name].insert_many(documents)
    for collection, field in data.unique:
        project.database[collection].create_index(field, unique=True)
    assert project.monarch("suggest_masks", "dev").code == 0
    found = {f"{name}.{path}" for name, fields in rules(project).items() for path in fields}
    assert data.personal <= found
    assert project.monarch("suggest_masks", "dev").out.startswith("Nothing new")


def test_rows_have_no_masks(folder: Folder, postgres: PostgresServer) -> None:
    folder.settings(dev={"uri": postgres.uri()})
    assert_error(
        folder.monarch("suggest_masks", "dev"),
        2,
        "monarch reads no samples of PostgreSQL databases",
        "other kinds",
    )


def test_privacy_is_no_migration(folder: Folder) -> None:
    folder.settings(dev={"host": "localhost", "db_name": "app"})
    folder.migration("one")
    folder.write(FILE, "from monarch.privacy import Masks\nmasks = Masks()\n")
    generated = folder.monarch("generate", "two")
    assert (generated.code, generated.err) == (0, "")
