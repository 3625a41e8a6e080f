"""What a listing needs of a manifest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from monarch.backups.manifest import Manifest
from monarch.errors import DamagedError, StoreError


@dataclass(frozen=True, slots=True)
class ManifestSummary:
    """The members of a manifest that a listing shows or compares. See `Manifest`.

    ``encrypted`` if it has recipients.
    """

    encrypted: bool
    size: int
    taken_at: datetime
    kind: str
    environment: str
    database: str
    documents: int
    buckets: int
    query_set: str | None
    query_options: tuple[str, ...]
    private: bool
    masked: bool
    empty: bool

    @classmethod
    def of(cls, manifest: Manifest) -> ManifestSummary:
        """Return the summary of ``manifest``."""
        return cls(
            encrypted=bool(manifest.recipients),
            size=manifest.size,
            taken_at=manifest.taken_at,
            kind=manifest.kind,
            environment=manifest.environment,
            database=manifest.database,
            documents=manifest.documents,
            buckets=manifest.buckets,
            query_set=manifest.query_set,
            query_options=manifest.query_options,
            private=manifest.private,
            masked=manifest.masked,
            empty=manifest.empty,
        )


def read_manifest(text: bytes | StoreError) -> Manifest:
    """Return the manifest with this ``text``, as `Store.read_small` returned it.

    :raises StoreError: if it could not be read.
    :raises DamagedError: if it is not as it was written.
    """
    if isinstance(text, StoreError):
        raise text
    return Manifest.from_bytes(text)


def read_summary(text: bytes | StoreError) -> ManifestSummary | StoreError | DamagedError:
    """Return the summary of the manifest with this ``text``, or the error that `read_manifest` raises."""
    try:
        return ManifestSummary.of(read_manifest(text))
    except (StoreError, DamagedError) as error:
        return error
