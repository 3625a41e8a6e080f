"""Everything about one kind of database is in its package, and everything about one store in its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import monarch

ROOT = Path(monarch.__file__).parent
OF_MONGO = re.compile(
    r"mongo|bson|E11000|(?<![\w.])_id\b|\bnative\b|queryFile|numInsertionWorkers", re.IGNORECASE
)
OF_STORES = re.compile(r"['\"`](LOCAL|S3)['\"`]|boto|bucket_name|backup_dir|LocalSettings|S3Settings")
# The modules that may mention MongoDB, and why.
MONGO_ALLOWED = {
    "__init__.py": "the public names, one of which is the base class of migrations of MongoDB",
    "databases/__init__.py": "the registry of kinds",
    "querysets/queryset.py": "queries are those of MongoDB until another kind has query sets",
    "commands/backups/adopt.py": "the tool whose dumps are taken over",
    "project/backups.py": "the tool whose dumps are taken over",
    "project/copies.py": "the names of engines, in the documentation of an argument",
    "commands/shell.py": "the names of the programs that it opens",
    "pytest_plugin.py": "the database that the tests of a team get is the driver's",
    "commands/__init__.py": "the help says what monarch is for; the driver's exit handler is slow",
    "commands/parsing/arguments.py": "the help of --engine",
    "commands/console/boundary.py": "the driver's exit handler is slow",
}


def modules(*but: str) -> list[Path]:
    paths = [path.relative_to(ROOT) for path in ROOT.rglob("*.py")]
    return sorted(path for path in paths if not str(path).startswith(but))


@pytest.mark.parametrize("path", modules("databases/mongo/", "demo/"), ids=str)
def test_mongodb_is_mentioned_only_in_its_package(path: Path) -> None:
    found = [line for line in (ROOT / path).read_text().splitlines() if OF_MONGO.search(line)]
    assert bool(found) <= (str(path) in MONGO_ALLOWED), found


def test_every_exception_is_necessary() -> None:
    needed = {
        str(path)
        for path in modules("databases/mongo/", "demo/")
        if OF_MONGO.search((ROOT / path).read_text())
    }
    assert {name for name in MONGO_ALLOWED if (ROOT / name).exists()} - needed == set()


@pytest.mark.parametrize("path", modules("stores/", "demo/"), ids=str)
def test_no_store_is_named_outside_the_stores(path: Path) -> None:
    found = [line for line in (ROOT / path).read_text().splitlines() if OF_STORES.search(line)]
    assert found == []
