"""Summaries of the manifests that this machine has read before, in a file of this user for each store.

Manifests do not change, so a summary stays right as long as the store lists the same manifest: its name, its
version (the ETag of S3), its size and its time. A file that is cut, changed, of another store, of another
version of monarch or of another user counts as empty. It holds what `list_backups` shows and nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

from monarch.backups.listing.cached_files import read_cached, write_cached
from monarch.backups.listing.summary import ManifestSummary
from monarch.databases import KINDS
from monarch.stores.base import StoredFile
from monarch.version import __version__

# To be raised when the members of a summary change.
_FORMAT = 2
_HEAD = b"monarch listing "


@dataclass(frozen=True, slots=True)
class KnownManifest:
    """The ``summary`` of a manifest whose text has the hash ``sha256``, and how the store listed it then."""

    version: str
    bytes: int
    modified: datetime
    sha256: str
    summary: ManifestSummary

    def is_of(self, stored: StoredFile) -> bool:
        """Whether ``stored`` is the same file."""
        return (self.version, self.bytes, self.modified) == (stored.version, stored.bytes, stored.modified)


def know(stored: StoredFile, text: bytes, summary: ManifestSummary) -> KnownManifest:
    """Return what is known of the manifest ``stored``, which has a version, and has this ``text``."""
    assert stored.version is not None
    return KnownManifest(
        stored.version, stored.bytes, stored.modified, hashlib.sha256(text).hexdigest(), summary
    )


class ListingCache:
    """What is known of the manifests of a store, by their names. ``store`` identifies it among all others.

    Without ``keeps`` nothing is added to it.
    """

    def __init__(self, store: str, *, keeps: bool = True) -> None:
        self._keeps = keeps
        self._about = {"format": _FORMAT, "monarch": __version__, "store": store}
        self._file = f"listing-{hashlib.sha256(store.encode()).hexdigest()[:32]}"

    def load(self) -> dict[str, KnownManifest]:
        """Return what is known. Empty if there is any doubt about it."""
        text = read_cached(self._file)
        if text is None:
            return {}
        head, _, body = text.partition(b"\n")
        if head != _head(body):
            return {}
        try:
            written = json.loads(body)
            if written["about"] != self._about:
                return {}
            return {name: _read(row) for name, row in written["manifests"].items()}
        except Exception:  # written by a program that gave it the right hash
            return {}

    def save(self, known: Mapping[str, KnownManifest]) -> None:
        """Keep ``known`` in place of what was known before, if that is possible."""
        if not self._keeps:
            return
        manifests = {name: _row(one) for name, one in known.items()}
        body = json.dumps({"about": self._about, "manifests": manifests}, separators=(",", ":")).encode()
        write_cached(self._file, _head(body) + b"\n" + body)


def _head(body: bytes) -> bytes:
    return _HEAD + hashlib.sha256(body).hexdigest().encode()


def _row(known: KnownManifest) -> list[Any]:
    row = [known.version, known.bytes, known.modified, known.sha256, *astuple(known.summary)]
    return [value.isoformat() if isinstance(value, datetime) else value for value in row]


def _read(row: list[Any]) -> KnownManifest:
    version, size, modified, sha256, encrypted, archive_size, taken_at, *texts = row
    kind, environment, database, documents, buckets, query_set, query_options, private, masked, empty = texts
    if kind not in KINDS:
        raise ValueError("of another monarch")
    summary = ManifestSummary(
        encrypted,
        archive_size,
        datetime.fromisoformat(taken_at),
        kind,
        environment,
        database,
        documents,
        buckets,
        query_set,
        tuple(query_options),
        private,
        masked,
        empty,
    )
    return KnownManifest(version, size, datetime.fromisoformat(modified), sha256, summary)
