"""A store is one module and one line: every command for backups works on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from monarch.errors import SettingsError
from monarch.stores import STORES, parse_store
from tests.support.runs.two_environments import Two
from tests.support.stores.toy import SHELVES


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(STORES, "TOY", "tests.support.stores.toy")


@pytest.mark.server
def test_every_command_for_backups_works_on_a_new_store(two: Two) -> None:
    def run(*arguments: str) -> str:
        ran = two.folder.inside(*arguments)
        assert ran.code == 0, ran.said
        return ran.out

    with (two.folder.path / "migrations/settings.py").open("a", encoding="utf-8") as settings:
        settings.write(f"BACKUPS = {{'TOY': {{'shelf': {two.source.name!r}}}}}\n")
    assert f"the shelf {two.source.name}" in run("backup", "production")
    (row,) = json.loads(run("list_backups", "--json"))
    assert (row["state"], row["environment"]) == ("good", "production")
    schema = json.loads((Path(__file__).parents[3] / "docs/manifest.schema.json").read_text())
    jsonschema.validate(json.loads(SHELVES[two.source.name][f"{row['archive']}.json"][0]), schema)
    assert row["name"] in run("show_backup", row["name"])
    assert row["name"] in run("verify_backup", row["name"])
    two.make_old()
    run("restore", f"{row['name']}:dev", "--yes")
    two.assert_copied()
    two.folder.migration("more", stamp="201501010000")
    run("migrate", "production", "--backup", "--yes")
    assert len(json.loads(run("list_backups", "--json"))) == 2
    run("delete_backup", row["name"], "--yes")
    (left,) = json.loads(run("list_backups", "--json"))
    assert left["name"] != row["name"]


@pytest.mark.parametrize(
    ("backups", "message", "hint"),
    [
        ({"TOI": {}}, "Unknown store 'TOI' in BACKUPS.", "'TOY'"),
        ({"TOY": {"shelv": "a"}}, "Unknown key 'shelv' in BACKUPS['TOY'].", "'shelf'"),
        ({"TOY": {}}, "BACKUPS['TOY'] has no 'shelf'.", "'shelf'"),
    ],
)
def test_its_keys_are_named_as_those_of_any_store(backups: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_store(backups)
    assert caught.value.message == message
    assert hint in str(caught.value.hint)
