"""Lists of backups of several kinds of databases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from monarch.backups.manifest import Manifest
from tests.support.runs.shell import Folder

MANIFEST = Path(__file__).parents[2] / "data/manifests/whole.json"


def keep(folder: Folder, kind: str) -> None:
    """Put a backup of ``kind`` into the store: a manifest, and an archive of the size that it gives."""
    store = folder.path / "backups"
    store.mkdir(exist_ok=True)
    manifest = Manifest.from_bytes(MANIFEST.read_bytes())
    archive = f"{kind}__2014_05_29.dmp.zst"
    dogs = (manifest.collections[0],)
    manifest = replace(manifest, archive=archive, kind=kind, collections=dogs)
    (store / f"{archive}.json").write_bytes(manifest.to_bytes())
    (store / archive).write_bytes(b"x" * manifest.size)


@pytest.mark.parametrize(
    ("kinds", "header", "numbers"),
    [
        (("mongo",), "DOCUMENTS", {"3"}),
        (("postgres",), "ROWS", {"3"}),
        (("mongo", "postgres"), "CONTENTS", {"3 documents", "3 rows"}),
    ],
)
def test_numbers_are_called_as_in_their_kind(
    folder: Folder, kinds: tuple[str, ...], header: str, numbers: set[str]
) -> None:
    folder.settings(dev={"host": "localhost", "db_name": "dev"})
    folder.keep_backups()
    for kind in kinds:
        keep(folder, kind)
    # One without a manifest, whose contents are unknown, has no part in the header.
    (folder.path / "backups" / "cut_off__2014_05_29.dmp.zst").write_bytes(b"x")
    listed = folder.invoke("list_backups")
    assert listed.code == 0
    heads, *rows = ([cell.strip() for cell in line.split("  ") if cell] for line in listed.out.splitlines())
    column = heads.index(header)
    assert {row[column] for row in rows} == numbers | {"-"}
