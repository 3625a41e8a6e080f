"""Encrypted backups of PostgreSQL: verified, restored, rekeyed, with the wrong key, and damaged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.runs.postgres_pair import PostgresPair, make_pair
from tests.support.runs.two_environments import assert_error
from tests.support.samples.ages import Key, make_key
from tests.support.servers.postgres import PostgresServer

pytestmark = pytest.mark.server
NAME = "secret"
ROWS = 3_000


@pytest.fixture
def pair(tmp_path: Path, postgres: PostgresServer) -> Iterator[PostgresPair]:
    with make_pair(tmp_path, postgres, postgres) as made:
        made.source.run(
            "CREATE TABLE people (id int PRIMARY KEY, name text NOT NULL, at timestamptz DEFAULT now())",
            f"INSERT INTO people SELECT n, 'hush ' || n FROM generate_series(1, {ROWS}) n",
            "CREATE INDEX by_name ON people (name)",
            "CREATE VIEW names AS SELECT name FROM people",
        )
        yield made


@pytest.fixture
def keys(pair: PostgresPair) -> tuple[Key, Key]:
    folder = pair.folder.path
    return make_key(folder / "old"), make_key(folder / "new")


def backed_up(pair: PostgresPair, key: Key) -> str:
    """Take a backup that is encrypted for ``key``; return its name."""
    pair.folder.encrypt_backups(key.recipient, identities=key.path)
    made = pair.folder.invoke("backup", "production", "--name", NAME, "--json")
    assert made.code == 0, made.output
    return str(made.json["name"])


def stored(pair: PostgresPair, name: str) -> set[str]:
    """The ends of the names of its files, without the line of a journal that the database does not have."""
    files = {path.name.removeprefix(name) for path in (pair.folder.path / "backups").glob(f"{name}*")}
    return files - {".journal"}


def assert_restored(pair: PostgresPair, name: str) -> None:
    restored = pair.folder.invoke("restore", f"{name}:dev", "--yes")
    assert restored.code == 0, restored.output
    assert pair.target.dump() == pair.source.dump()


def test_the_story(pair: PostgresPair, keys: tuple[Key, Key]) -> None:
    old, new = keys
    name = backed_up(pair, old)
    invoke = pair.folder.invoke
    archive = pair.folder.path / "backups" / f"{name}.dmp.zst.age"
    assert archive.read_bytes().startswith(b"age-encryption.org/v1\n")
    assert b"hush" not in archive.read_bytes()
    assert "CREATE" not in archive.with_name(f"{archive.name}.json").read_text()
    for deep in (False, True):
        (verified,) = invoke("verify_backup", name, "--json", *["--deep"] * deep).json
        assert (verified["good"], verified["contents_checked"]) == (True, deep)
    assert_restored(pair, name)
    pair.folder.encrypt_backups(new.recipient, identities=old.path)
    assert invoke("rekey_backup", name, "--yes").code == 0
    assert stored(pair, name) == {".dmp.zst.2.age", ".dmp.zst.2.age.json"}
    # The old key does not open it any more.
    before = pair.target.dump()
    assert_error(
        invoke("restore", f"{name}:dev", "--yes"),
        2,
        f"The key in {old.path} does not open",
        "Add the private",
    )
    deep_check = invoke("verify_backup", name, "--deep")
    assert (deep_check.code, "does not open" in deep_check.output) == (2, True)
    assert invoke("verify_backup", name).code == 0
    assert pair.target.dump() == before
    assert pair.leftovers() == []
    pair.folder.encrypt_backups(new.recipient, identities=new.path)
    assert invoke("verify_backup", name, "--deep").code == 0
    assert_restored(pair, name)


def test_a_plain_one_is_encrypted(pair: PostgresPair, keys: tuple[Key, Key]) -> None:
    old, _ = keys
    name = pair.back_up().name.removesuffix(".dmp.zst")
    pair.folder.encrypt_backups(old.recipient, identities=old.path)
    assert pair.folder.invoke("rekey_backup", "--all", "--yes").code == 0
    assert stored(pair, name) == {".dmp.zst.age", ".dmp.zst.age.json"}
    assert pair.project().backups.manifest(pair.project().backups.get(name)).digests == ()
    assert_restored(pair, name)


@pytest.mark.parametrize("place", [150, 0.5, -1, "cut"])
def test_a_changed_archive_touches_nothing(
    pair: PostgresPair, keys: tuple[Key, Key], place: int | float | str
) -> None:
    old, new = keys
    name = backed_up(pair, old)
    archive = pair.folder.path / "backups" / f"{name}.dmp.zst.age"
    data = bytearray(archive.read_bytes())
    if place == "cut":
        del data[-70:]
    else:
        assert not isinstance(place, str)
        data[int(len(data) * place) if isinstance(place, float) else place] ^= 1
    archive.write_bytes(data)
    before = pair.target.dump()
    for command in (("restore", f"{name}:dev", "--yes"), ("verify_backup", name, "--deep")):
        result = pair.folder.invoke(*command)
        assert result.code == 1
        assert "Traceback" not in result.output
    pair.folder.encrypt_backups(new.recipient, identities=old.path)
    # Of one that was cut, the size tells already.
    assert pair.folder.invoke("rekey_backup", name, "--yes").code == (2 if place == "cut" else 1)
    assert stored(pair, name) == {".dmp.zst.age", ".dmp.zst.age.json"}
    assert pair.target.dump() == before
    assert pair.leftovers() == []
    assert archive.read_bytes() == bytes(data)
