"""The manifest: it says what was written, or that it does not."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from monarch.backups.manifest import Manifest
from monarch.databases.base import CollectionSummary
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


def test_one_of_a_part_of_a_database() -> None:
    """What is said of parts stands in their manifests, and not in those of whole databases."""
    assert b"query_options" not in MANIFEST.to_bytes()
    part = replace(
        MANIFEST, query_set="DogsQuerySet", query_options=("dog=1",), query_filters=('dogs: {"_id": "?"}',)
    )
    assert Manifest.from_bytes(part.to_bytes()) == part


def test_there_and_back() -> None:
    text = MANIFEST.to_bytes()
    assert Manifest.from_bytes(text) == MANIFEST
    assert (MANIFEST.documents, MANIFEST.plain_bytes) == (3, 149)
    assert json.loads(text)["collections"][0]["documents"] == 3


def test_every_changed_byte_is_found() -> None:
    text = MANIFEST.to_bytes()
    for place in range(len(text)):
        for other in (text[place] ^ 1, text[place] ^ 0x20, 0, 0xFF):
            if other != text[place]:
                with pytest.raises(DamagedError, match=r"^Its manifest is") as raised:
                    Manifest.from_bytes(text[:place] + bytes([other]) + text[place + 1 :])
                assert "\n" not in raised.value.message


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000, b"9" * 10_000])
def test_what_is_none(text: bytes) -> None:
    with pytest.raises(DamagedError, match="Its manifest is damaged"):
        Manifest.from_bytes(text)


def test_a_newer_format_is_told() -> None:
    members = {**json.loads(MANIFEST.to_bytes()), "monarch_backup": 2, "more": 1}
    with pytest.raises(DamagedError, match="of format 2, which a newer monarch has written"):
        Manifest.from_bytes(json.dumps(members).encode())


def test_the_same_text_written_otherwise_is_not_ours() -> None:
    """So that nothing in it can change unseen, not even a space."""
    with pytest.raises(DamagedError):
        Manifest.from_bytes(json.dumps(json.loads(MANIFEST.to_bytes())).encode())


def test_the_checksum_can_be_made_by_hand() -> None:
    """As the module says."""
    text = MANIFEST.to_bytes()
    checksum = json.loads(text)["checksum"]
    assert hashlib.sha256(text.replace(checksum.encode(), b"")).hexdigest() == checksum
    assert Manifest.from_bytes(replace(MANIFEST, size=13).to_bytes()).size == 13
