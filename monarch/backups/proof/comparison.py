"""Comparing a restored database with the manifest of its backup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum

from monarch.backups.manifest import Manifest
from monarch.databases import find_kind
from monarch.databases.transfer import CollectionDigest, CollectionSummary, InspectedCollection


class HashVerdict(Enum):
    """What comparing the hash of the contents of a collection has found."""

    SAME = "same"
    DIFFERENT = "different"
    # The manifest has no hash of it, or one that the restored database cannot have.
    UNKNOWN = "not compared"


@dataclass(frozen=True)
class DrilledCollection:
    """A collection of a backup: what the manifest says of it, and what was ``found`` when it was restored.

    ``problems`` are sentences without values of documents.
    """

    expected: CollectionSummary | None
    found: CollectionSummary | None
    contents: HashVerdict
    problems: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its name."""
        known = self.expected or self.found
        assert known is not None
        return known.name

    @property
    def kind(self) -> str:
        """Its kind, as in `CollectionSummary`."""
        known = self.expected or self.found
        assert known is not None
        return known.kind


def compare(manifest: Manifest, restored: Iterable[InspectedCollection]) -> tuple[DrilledCollection, ...]:
    """Return each collection of the manifest, or restored, with what differs, sorted by name."""
    found = {one.summary.name: one for one in restored}
    digests = {one.name: one for one in manifest.digests}
    listed = {one.name: one for one in manifest.collections}
    part = find_kind(manifest.kind).words[1]
    return tuple(
        _compare_one(listed.get(name), digests.get(name), found.get(name), part)
        for name in sorted(listed.keys() | found.keys())
    )


def _compare_one(
    expected: CollectionSummary | None,
    digest: CollectionDigest | None,
    restored: InspectedCollection | None,
    part: str,
) -> DrilledCollection:
    if restored is None or expected is None:
        why = "It was not restored." if restored is None else "The manifest does not have it."
        summary = None if restored is None else restored.summary
        return DrilledCollection(expected, summary, HashVerdict.UNKNOWN, (why,))
    found = restored.summary
    if restored.unpacked == expected.documents and (digest is None or digest.contents is None):
        # The backup has the documents of a time series, which the server has packed into buckets of its own.
        found = replace(found, documents=restored.unpacked)
    problems = []
    if found.documents != expected.documents and restored.is_exact:
        counted = "bucket" if expected.kind == "timeseries" else part
        problems.append(f"It has {found.documents:,} {counted}s, not {expected.documents:,}.")
    contents = _compare_hashes(digest.contents if digest else None, restored.digest.contents)
    if contents is HashVerdict.DIFFERENT:
        problems.append("Its contents are others: their hash differs.")
    if digest is None:
        if found.indexes != expected.indexes:
            problems.append(f"It has {found.indexes:,} indexes, not {expected.indexes:,}.")
    else:
        problems += _compare_indexes(digest.indexes, restored.digest.indexes)
        definition = _compare_hashes(digest.definition, restored.digest.definition)
        if definition is HashVerdict.DIFFERENT:
            problems.append("Its definition is another one.")
        contents = definition if expected.kind == "view" else contents
    return DrilledCollection(expected, found, contents, tuple(problems))


def _compare_indexes(expected: Mapping[str, str], found: Mapping[str, str]) -> list[str]:
    problems = [f"It lacks the index {name!r}." for name in expected.keys() - found.keys()]
    problems += [f"It has the index {name!r} too." for name in found.keys() - expected.keys()]
    problems += [
        f"The index {name!r} is another one."
        for name in expected.keys() & found.keys()
        if _compare_hashes(expected[name], found[name]) is HashVerdict.DIFFERENT
    ]
    return sorted(problems)


def _compare_hashes(expected: str | None, found: str | None) -> HashVerdict:
    if expected is None or found is None:
        return HashVerdict.UNKNOWN
    if expected.partition(":")[0] != found.partition(":")[0]:
        return HashVerdict.UNKNOWN
    return HashVerdict.SAME if expected == found else HashVerdict.DIFFERENT
