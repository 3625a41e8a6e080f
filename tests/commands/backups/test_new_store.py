"""A new store needs one package and one line; every command for backups works on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from monarch.errors import SettingsError
from monarch.stores import STORES, parse_store
from tests.support.runs.two_environments import TwoEnvironments, assert_error
from tests.support.stores.toy import SHELVES


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STORES, "TOY", "tests.support.stores.toy")


@pytest.fixture
def shelved(two: TwoEnvironments) -> TwoEnvironments:
    """Two environments with backups in the toy store, on a shelf with the name of the source's database."""
    with (two.folder.path / "migrations/settings.py").open("a", encoding="utf-8") as settings:
        settings.write(f"BACKUPS = {{'TOY': {{'shelf': {two.source.name!r}}}}}\n")
    return two


@pytest.mark.server
def test_every_command_for_backups_works_on_a_new_store(shelved: TwoEnvironments) -> None:
    two = shelved

    def run(*arguments: str) -> str:
        result = two.folder.invoke(*arguments)
        assert result.code == 0, result.output
        return result.out

    assert f"the shelf {two.source.name}" in run("backup", "production")
    (row,) = json.loads(run("list_backups", "--json"))
    assert (row["state"], row["environment"]) == ("good", "production")
    schema = json.loads((Path(__file__).parents[3] / "docs/manifest.schema.json").read_text())
    jsonschema.validate(json.loads(SHELVES[two.source.name][f"{row['archive']}.json"][0]), schema)
    assert row["name"] in run("show_backup", row["name"])
    assert row["name"] in run("list_backups")
    assert row["name"] in run("verify_backup", row["name"])
    assert row["name"] in run("verify_backup", "--all")
    two.reset_target()
    run("restore", f"{row['name']}:dev", "--yes")
    two.assert_copied()
    two.reset_target()
    run("restore", "production:dev", "--yes")
    two.assert_copied()
    two.folder.migration("more", stamp="201501010000")
    run("migrate", "production", "--backup", "--yes")
    assert len(json.loads(run("list_backups", "--json"))) == 2
    run("delete_backup", row["name"], "--yes")
    (left,) = json.loads(run("list_backups", "--json"))
    assert left["name"] != row["name"]


@pytest.mark.server
def test_damage_in_a_new_store_is_detected_and_changes_nothing(shelved: TwoEnvironments) -> None:
    two, files = shelved, SHELVES.setdefault(shelved.source.name, {})
    assert two.folder.invoke("backup", "production", "--name", "app").code == 0
    (row,) = two.folder.invoke("list_backups", "--json").json
    data, finished = files[row["archive"]]
    middle = len(data) // 2
    files[row["archive"]] = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :], finished
    assert two.folder.invoke("verify_backup", row["name"]).code == 1
    result = two.folder.invoke("restore", f"{row['name']}:dev", "--yes")
    assert_error(result, 1, f"Backup '{row['name']}' is broken", "no other good backup of production")
    two.assert_unchanged()
    del files[f"{row['archive']}.json"]
    assert two.folder.invoke("list_backups", "--json").json[0]["state"] == "incomplete"
    result = two.folder.invoke("restore", f"{row['name']}:dev", "--yes")
    assert_error(result, 1, f"Backup '{row['name']}' is incomplete", "Its environment is unknown")
    two.assert_unchanged()


@pytest.mark.server
def test_an_error_of_a_new_store_is_shown_unchanged(
    shelved: TwoEnvironments, monkeypatch: pytest.MonkeyPatch
) -> None:
    two = shelved
    two.folder.migration("more", stamp="201501010000")
    monkeypatch.setattr("tests.support.stores.toy.LOCKED", {two.source.name})
    for command in (
        ("backup", "production"),
        ("list_backups",),
        ("show_backup", "app"),
        ("verify_backup", "app"),
        ("verify_backup", "--all"),
        ("restore", "app:dev", "--yes"),
        ("restore", "production:dev", "--yes"),
        ("delete_backup", "app", "--yes"),
        ("migrate", "production", "--backup", "--yes"),
    ):
        result = two.folder.invoke(*command)
        assert result.code == 5, (command, result.output)
        expected = f"Error: The shelf {two.source.name} is locked.\nHint: Ask for its key.\n"
        assert result.err.endswith(expected), (command, result.err)
    two.assert_unchanged()
    assert SHELVES[two.source.name] == {}
    rows = {
        row["key"]: row["state"] for row in two.folder.invoke("list_migrations", "production", "--json").json
    }
    assert rows["_201501010000_more_migration"] == "New"


@pytest.mark.parametrize(
    ("backups", "message", "hint"),
    [
        ({"TOI": {}}, "Unknown store 'TOI' in BACKUPS.", "'TOY'"),
        ({"TOY": {"shelv": "a"}}, "Unknown key 'shelv' in BACKUPS['TOY'].", "'shelf'"),
        ({"TOY": {}}, "BACKUPS['TOY'] has no 'shelf'.", "'shelf'"),
        ({"TOY": "a"}, "BACKUPS['TOY'] is not a dict.", "{'TOY': {'shelf': '…'}}"),
        ({"TOY": {"shelf": 1}}, "BACKUPS['TOY']: 'shelf' is not a text.", "'text'"),
        ({"TOY": {}, "LOCAL": {}}, "BACKUPS has more than one store: 'TOY' and 'LOCAL'.", "Keep the one"),
        ([], "BACKUPS in migrations/settings.py is not a dict.", "'TOY'"),
    ],
)
def test_errors_name_its_keys(backups: Any, message: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_store(backups)
    assert caught.value.message == message
    assert hint in str(caught.value.hint)
