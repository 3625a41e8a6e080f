"""The manifest: read as it was written, or refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from monarch.backups.manifest import Manifest, NewerFormat
from monarch.databases.transfer import CollectionDigest, CollectionSummary
from monarch.errors import DamagedError

MANIFEST = Manifest(
    archive="app__2014_05_29.dmp.zst",
    kind="mongo",
    environment="production",
    database="app",
    server="MongoDB 6.0.5",
    engine="native",
    versions=("pymongo 4.20.1",),
    monarch="1.0.0",
    query_set=None,
    query_options=(),
    query_filters=(),
    one_moment=True,
    taken_at=datetime(2014, 5, 29, 0, 38, tzinfo=UTC),
    finished_at=datetime(2014, 5, 29, 0, 39, 1, 5, tzinfo=UTC),
    codec="zst",
    level=3,
    size=12,
    sha256="00" * 32,
    collections=(
        CollectionSummary("dogs", "collection", 3, 99, 1),
        CollectionSummary("ü\x1b\n\U0001f436", "view", 0, 0, 0),
        CollectionSummary("weather", "timeseries", 2, 50, 1),
    ),
)


PART = replace(
    MANIFEST,
    query_set="DogsQuerySet",
    query_options=("dog=1",),
    query_filters=('dogs: {"_id": "?"}',),
    one_moment=False,
)
# The bytes that monarch 1.0 wrote for these two.
RELEASED = Path(__file__).parents[1] / "data/manifests"
SCHEMA = json.loads((Path(__file__).parents[2] / "docs/manifest.schema.json").read_text())
BOTH = pytest.mark.parametrize(
    ("manifest", "file"), [(MANIFEST, "whole.json"), (PART, "part.json")], ids=["whole", "part"]
)


def written(members: Mapping[str, Any]) -> bytes:
    """Return a manifest with these members, as a newer monarch would write it."""
    members = {name: value for name, value in members.items() if name != "checksum"}

    def text(checksum: str) -> bytes:
        return (json.dumps({**members, "checksum": checksum}, indent=1) + "\n").encode()

    return text(hashlib.sha256(text("")).hexdigest())


@BOTH
def test_manifests_equal_those_of_monarch_1_0_byte_for_byte(manifest: Manifest, file: str) -> None:
    """Each version can read the manifests of the other."""
    released = (RELEASED / file).read_bytes()
    assert Manifest.from_bytes(released) == manifest
    assert manifest.to_bytes() == released


@BOTH
def test_the_schema_describes_manifests(manifest: Manifest, file: str) -> None:
    members = json.loads((RELEASED / file).read_bytes())
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(members, SCHEMA)
    assert set(members) <= set(SCHEMA["properties"])


@pytest.mark.parametrize("member", list(json.loads(MANIFEST.to_bytes())))
def test_the_reader_requires_what_the_schema_requires(member: str) -> None:
    members = json.loads(MANIFEST.to_bytes())
    del members[member]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(members, SCHEMA)
    text = written(members) if member != "checksum" else json.dumps(members, indent=1).encode() + b"\n"
    with pytest.raises(DamagedError, match="Its manifest is damaged"):
        Manifest.from_bytes(text)


@pytest.mark.parametrize(("private", "masked"), [(True, False), (True, True), (False, True)])
def test_format_2_tells_what_is_private_and_what_is_masked(private: bool, masked: bool) -> None:
    manifest = replace(MANIFEST, private=private, masked=masked)
    members = json.loads(manifest.to_bytes())
    assert (members["monarch_backup"], members["private"], members["masked"]) == (2, private, masked)
    jsonschema.validate(members, SCHEMA)
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest


ENCRYPTED = replace(
    MANIFEST, archive="app__2014_05_29.dmp.zst.age", recipients=("age1qq", "ssh-ed25519 AAAA")
)


def test_the_manifest_of_an_encrypted_backup() -> None:
    """A monarch that does not know the member must not take the archive for a damaged one."""
    members = json.loads(ENCRYPTED.to_bytes())
    jsonschema.validate(members, SCHEMA)
    assert (members["monarch_backup"], members["requires"]) == (2, ["recipients"])
    assert Manifest.from_bytes(ENCRYPTED.to_bytes()) == ENCRYPTED
    assert "requires" not in json.loads(replace(MANIFEST, private=True).to_bytes())
    newer = written({**members, "requires": ["recipients", "shards"]})
    with pytest.raises(NewerFormat, match="requires shards, which only a newer"):
        Manifest.from_bytes(newer)


@pytest.mark.parametrize("missing", [["private"], ["masked"], ["private", "masked"]])
def test_what_a_manifest_does_not_tell_is_false(missing: list[str]) -> None:
    members = json.loads(replace(MANIFEST, private=True, masked=True).to_bytes())
    for name in missing:
        del members[name]
    jsonschema.validate(json.loads(written(members)), SCHEMA)
    found = Manifest.from_bytes(written(members))
    assert found == replace(MANIFEST, private="private" not in missing, masked="masked" not in missing)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("value", ["true", 1, None])
def test_a_flag_that_is_no_truth_is_damage(number: int, value: Any) -> None:
    """Also in format 1: a damaged flag must not make a private backup public."""
    members = {**json.loads(MANIFEST.to_bytes()), "monarch_backup": number, "private": value}
    with pytest.raises(DamagedError, match="is damaged: a member is missing or wrong"):
        Manifest.from_bytes(written(members))


def test_unknown_members_are_ignored() -> None:
    members = json.loads(MANIFEST.to_bytes())
    members |= {"monarch_backup": 2, "signed": ["users.name"], "requires": []}
    members["collections"][0]["checksum"] = "of its own"
    jsonschema.validate(json.loads(written(members)), SCHEMA)
    assert Manifest.from_bytes(written(members)) == MANIFEST


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"monarch_backup": 3, "checksum": 1}, "has format 3, which only a newer monarch can read"),
        ({"monarch_backup": 2, "requires": ["encryption"]}, "requires encryption, which only a newer"),
        ({"kind": "oracle"}, "of a 'oracle' database, which this monarch does not know"),
        ({"codec": "br"}, "compressed with 'br', which this monarch does not know"),
    ],
)
def test_a_manifest_that_needs_a_newer_monarch_is_not_reported_as_damaged(
    more: dict[str, Any], why: str
) -> None:
    with pytest.raises(NewerFormat, match=why) as raised:
        Manifest.from_bytes(written({**json.loads(MANIFEST.to_bytes()), **more}))
    assert "damaged" not in raised.value.message


@pytest.mark.parametrize(
    "more", [{"monarch_backup": 0}, {"monarch_backup": True}, {"requires": "encryption"}, {"size": -1}]
)
def test_values_that_no_monarch_writes_are_damage(more: dict[str, Any]) -> None:
    with pytest.raises(DamagedError, match="is damaged: a member is missing or wrong"):
        Manifest.from_bytes(written({**json.loads(MANIFEST.to_bytes()), **more}))


def test_only_the_manifest_of_a_subset_has_its_options_and_filters() -> None:
    assert b"query_options" not in MANIFEST.to_bytes()
    assert Manifest.from_bytes(PART.to_bytes()) == PART


def test_round_trip() -> None:
    text = MANIFEST.to_bytes()
    assert Manifest.from_bytes(text) == MANIFEST
    assert (MANIFEST.documents, MANIFEST.plain_bytes) == (3, 149)
    assert json.loads(text)["collections"][0]["documents"] == 3


def test_every_changed_byte_is_detected() -> None:
    text = MANIFEST.to_bytes()
    for offset in range(len(text)):
        for other in (text[offset] ^ 1, text[offset] ^ 0x20, 0, 0xFF):
            if other != text[offset]:
                with pytest.raises(DamagedError, match=r"^Its manifest is") as raised:
                    Manifest.from_bytes(text[:offset] + bytes([other]) + text[offset + 1 :])
                assert "\n" not in raised.value.message


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000, b"9" * 10_000])
def test_a_text_that_is_not_a_manifest(text: bytes) -> None:
    with pytest.raises(DamagedError, match="Its manifest is damaged"):
        Manifest.from_bytes(text)


def test_the_same_members_in_different_bytes_are_damage() -> None:
    """Every change is detected, even of a space."""
    with pytest.raises(DamagedError):
        Manifest.from_bytes(json.dumps(json.loads(MANIFEST.to_bytes())).encode())


def test_the_checksum_can_be_computed_by_hand() -> None:
    """The documentation of the module explains how."""
    text = MANIFEST.to_bytes()
    checksum = json.loads(text)["checksum"]
    assert hashlib.sha256(text.replace(checksum.encode(), b"")).hexdigest() == checksum
    assert Manifest.from_bytes(replace(MANIFEST, size=13).to_bytes()).size == 13


def test_hashes_make_it_format_2_and_are_read_again() -> None:
    digests = (
        CollectionDigest("dogs", "sha256:1", None, {"_id_": "sha256:2", "ü": "sha256:3"}),
        CollectionDigest("young", None, "sha256:4", {}),
    )
    manifest = replace(MANIFEST, digests=digests)
    members = json.loads(manifest.to_bytes())
    assert (members["monarch_backup"], members["private"], members["masked"]) == (2, False, False)
    jsonschema.validate(members, SCHEMA)
    assert Manifest.from_bytes(manifest.to_bytes()) == manifest
    for wrong in ({"name": "dogs"}, {**members["digests"][0], "indexes": {"_id_": 1}}):
        with pytest.raises(DamagedError, match="a member is missing or wrong"):
            Manifest.from_bytes(written({**members, "digests": [wrong]}))


@pytest.mark.parametrize(
    ("kind", "names", "empty"),
    [
        ("mongo", ["mongo_migration_history", "mongo_migration_journal"], True),
        ("mongo", ["mongo_migration_history", "dogs"], False),
        ("postgres", ["monarch_history.history", "monarch_history.attempts"], True),
        ("postgres", ["monarch_history.history", "public.dogs"], False),
        ("mongo", [], True),
    ],
)
def test_the_records_of_monarch_fill_no_database(kind: str, names: list[str], empty: bool) -> None:
    collections = tuple(CollectionSummary(name, "collection", 3, 99, 1) for name in names)
    none = CollectionSummary("cats", "collection", 0, 0, 1)
    assert replace(MANIFEST, kind=kind, collections=(*collections, none)).empty is empty
