"""What a restored database is compared with: the counts, indexes and hashes of the manifest."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monarch.backups.proof.comparison import HashVerdict, compare
from monarch.databases.transfer import CollectionDigest, CollectionSummary, InspectedCollection
from tests.backups.test_manifest import MANIFEST

DOGS = CollectionSummary("dogs", "collection", 3, 99, 2)
DIGEST = CollectionDigest("dogs", "sha256:1", "sha256:2", {"_id_": "sha256:3", "name_1": "sha256:4"})
TAKEN = replace(MANIFEST, collections=(DOGS,), digests=(DIGEST,))
RESTORED = InspectedCollection(DOGS, DIGEST)


def test_what_is_equal_has_no_problems() -> None:
    (one,) = compare(TAKEN, [RESTORED])
    assert (one.name, one.contents, one.problems) == ("dogs", HashVerdict.SAME, ())


@pytest.mark.parametrize(
    ("restored", "problem"),
    [
        (replace(RESTORED, summary=replace(DOGS, documents=2)), "It has 2 documents, not 3."),
        (
            replace(RESTORED, digest=replace(DIGEST, contents="sha256:9")),
            "Its contents are others: their hash differs.",
        ),
        (replace(RESTORED, digest=replace(DIGEST, definition="sha256:9")), "Its definition is another one."),
        (
            replace(RESTORED, digest=replace(DIGEST, indexes={"_id_": "sha256:3"})),
            "It lacks the index 'name_1'.",
        ),
        (
            replace(RESTORED, digest=replace(DIGEST, indexes={**DIGEST.indexes, "age_1": "sha256:5"})),
            "It has the index 'age_1' too.",
        ),
        (
            replace(RESTORED, digest=replace(DIGEST, indexes={**DIGEST.indexes, "_id_": "sha256:9"})),
            "The index '_id_' is another one.",
        ),
    ],
)
def test_each_difference_is_a_problem(restored: InspectedCollection, problem: str) -> None:
    (one,) = compare(TAKEN, [restored])
    assert one.problems == (problem,)


def test_missing_and_additional_collections_are_problems() -> None:
    cats = CollectionSummary("cats", "collection", 0, 0, 1)
    other = InspectedCollection(cats, CollectionDigest("cats", None, None, {}))
    found = {one.name: one.problems for one in compare(TAKEN, [other])}
    assert found == {"cats": ("The manifest does not have it.",), "dogs": ("It was not restored.",)}


def test_hashes_of_different_schemes_are_not_compared() -> None:
    """Such as definitions that another version of a server has printed."""
    other = replace(
        DIGEST,
        contents="rows:1",
        definition="postgres17:2",
        indexes={name: hash.replace("sha256", "postgres17") for name, hash in DIGEST.indexes.items()},
    )
    (one,) = compare(TAKEN, [replace(RESTORED, digest=other)])
    assert (one.contents, one.problems) == (HashVerdict.UNKNOWN, ())


def test_what_may_shrink_or_grow_needs_no_equal_count() -> None:
    restored = InspectedCollection(replace(DOGS, documents=2), replace(DIGEST, contents=None), is_exact=False)
    (one,) = compare(TAKEN, [restored])
    assert (one.contents, one.problems) == (HashVerdict.UNKNOWN, ())


def test_a_backup_of_an_older_monarch_has_only_counts() -> None:
    old = replace(TAKEN, digests=())
    (one,) = compare(old, [RESTORED])
    assert (one.contents, one.problems) == (HashVerdict.UNKNOWN, ())
    (one,) = compare(old, [replace(RESTORED, summary=replace(DOGS, indexes=1))])
    assert one.problems == ("It has 1 indexes, not 2.",)


def test_the_definition_of_a_view_is_compared_as_its_contents() -> None:
    view = CollectionSummary("young", "view", 0, 0, 0)
    digest = CollectionDigest("young", None, "sha256:2", {})
    taken = replace(TAKEN, collections=(view,), digests=(digest,))
    (one,) = compare(taken, [InspectedCollection(view, digest)])
    assert one.contents is HashVerdict.SAME
    (one,) = compare(taken, [InspectedCollection(view, replace(digest, definition="sha256:9"))])
    assert (one.contents, one.problems) == (HashVerdict.DIFFERENT, ("Its definition is another one.",))


def test_the_documents_of_a_time_series_are_counted() -> None:
    """Masked ones, and those of old tools, are in a backup as documents; the server makes buckets of them."""
    series = CollectionSummary("weather", "timeseries", 300, 99, 0)
    digest = CollectionDigest("weather", None, "sha256:2", {})
    taken = replace(TAKEN, collections=(series,), digests=(digest,))
    restored = InspectedCollection(replace(series, documents=24), replace(digest, contents="sha256:7"))
    (one,) = compare(taken, [replace(restored, unpacked=300)])
    assert (one.contents, one.problems) == (HashVerdict.UNKNOWN, ())
    assert one.found is not None
    assert one.found.documents == 300
    (one,) = compare(replace(taken, digests=()), [replace(restored, unpacked=300)])
    assert one.problems == ()
    (one,) = compare(taken, [replace(restored, unpacked=299)])
    assert one.problems == ("It has 24 buckets, not 300.",)
    (one,) = compare(replace(taken, digests=(restored.digest,)), [replace(restored, unpacked=300)])
    assert one.problems == ("It has 24 buckets, not 300.",)
