"""Backups that look whole to a listing: tiny archives with manifests of any time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from monarch.backups.manifest import Manifest
from monarch.backups.names import MANIFEST, archive_name
from monarch.databases.transfer import CollectionSummary

ARCHIVE = b"tiny"


def manifest_of(archive: str, taken_at: datetime, environment: str, database: str = "app") -> Manifest:
    """A manifest of an archive that holds `ARCHIVE`."""
    return Manifest(
        archive=archive,
        kind="mongo",
        environment=environment,
        database=database,
        server="MongoDB 7.0.0",
        engine="native",
        versions=("pymongo 4.0",),
        monarch="1.0",
        query_set=None,
        query_options=(),
        query_filters=(),
        one_moment=True,
        taken_at=taken_at,
        finished_at=taken_at,
        codec="zst",
        level=3,
        size=len(ARCHIVE),
        sha256=hashlib.sha256(ARCHIVE).hexdigest(),
        collections=(CollectionSummary("users", "collection", 10, 1000, 2),),
    )


def write_backups(
    folder: Path, moments: Sequence[datetime], environment: str = "dev", database: str = "app"
) -> list[str]:
    """Write a backup of ``environment`` for each of ``moments``; return their names."""
    folder.mkdir(exist_ok=True)
    names = []
    for number, moment in enumerate(moments):
        names.append(f"{environment}{number:03}__{moment:%Y_%m_%d}")
        archive = archive_name(names[-1], "zst")
        (folder / archive).write_bytes(ARCHIVE)
        (folder / (archive + MANIFEST)).write_bytes(
            manifest_of(archive, moment, environment, database).to_bytes()
        )
    return names
