"""Without the key, guesses find nothing; with it, masks are the same in every process and version."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from hashlib import blake2b, md5, sha1, sha256, sha512
from pathlib import Path
from typing import Any

import pytest

from monarch import privacy
from monarch.privacy.key import MaskingKey
from monarch.privacy.rules import Mask, ValueKind
from monarch.system.secrets import Secret
from tests.privacy.values.masking import ALL, KEY, bound

KNOWN = Path(__file__).with_name("known.json")
GUESSES = [f"{first}.{last}@gmail.com" for first in range(100) for last in range(100)]
HASHES: tuple[Callable[[bytes], bytes], ...] = (
    lambda data: md5(data).digest(),
    lambda data: sha1(data).digest(),
    lambda data: sha256(data).digest(),
    lambda data: sha512(data).digest(),
    lambda data: blake2b(data, digest_size=32).digest(),
    lambda data: blake2b(data, digest_size=32, person=b"monarch masks 1").digest(),
)


@pytest.mark.parametrize("mask", [privacy.email(unique=True), privacy.hashed(), privacy.url()], ids=repr)
def test_a_dictionary_finds_nothing_without_the_key(mask: Mask) -> None:
    """The attacker has the masks of all guesses, monarch itself, and every key but the right one."""
    masks = {bound(mask)(guess) for guess in GUESSES}
    for number in range(3):
        wrong = bound(mask, key=MaskingKey(Secret(f"a wrong key {number}, long"), lasting=True))
        assert not masks & {wrong(guess) for guess in GUESSES}
    joined = "\n".join(masks)
    assert not any(guess in joined for guess in GUESSES[::50])
    hexadecimal = {hash_of(guess.encode()).hex()[:32] for hash_of in HASHES for guess in GUESSES}
    assert not hexadecimal & {mask.rpartition("/")[2][:32] for mask in masks}


def test_masks_that_are_drawn_do_not_follow_from_guesses() -> None:
    """With a wrong key a guess hits the mask as often as by chance: one name in 96,000."""
    right, wrong = (
        bound(privacy.full_name()),
        bound(privacy.full_name(), key=MaskingKey(Secret("wrong" * 4), True)),
    )
    assert sum(right(guess) == wrong(guess) for guess in GUESSES) <= 5


def test_a_known_mask_does_not_show_that_of_a_neighbour() -> None:
    function = bound(privacy.identifier(), ValueKind.INTEGER)
    steps = [function(10**8 + number + 1) - function(10**8 + number) for number in range(2000)]
    assert len(set(steps)) > 1990


def test_the_lengths_of_unique_mails_show_five_bytes_only() -> None:
    function = bound(privacy.email(unique=True))
    assert len({len(function("x" * length)) for length in range(1, 15)}) == 1


TEXTS = [
    "anna.smith@gmail.com",
    "+49 171 5550123",
    "DE89370400440532013000",
    "4111111111111111",
    "10.1.2.3",
    "Żółć 漢字 \ud800",
    "550e8400-e29b-41d4-a716-446655440000",
    "507f1f77bcf86cd799439011",
    "7",
    "x" * 140,
]
VALUES: dict[ValueKind, list[object]] = {
    ValueKind.TEXT: [*TEXTS],
    ValueKind.INTEGER: [0, 7, -1, 123_456, 1 << 40],
    ValueKind.FLOAT: [5.0, 123_456.0],
    ValueKind.DATE: [1_700_000_000_000],
    ValueKind.BINARY: [b"\0", b"twenty bytes of data", b"x" * 100],
    ValueKind.OBJECT_ID: [bytes(range(12))],
    ValueKind.UUID: [bytes(range(16))],
}


def known() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for mask in ALL:
        for kind, function in mask.bind(KEY).items():
            is_date = mask == privacy.shift_date() and kind is ValueKind.TEXT
            values: list[Any] = ["2024-05-01T10:00:00Z"] if is_date else VALUES.get(kind, [])
            if mask == privacy.location(km=10):
                values = [13.377, -73.9] if kind is ValueKind.FLOAT else [0, 52]
            found[f"{mask!r} {kind}"] = {ascii(value): ascii(function(value)) for value in values}
    return found


def test_masks_are_those_of_earlier_versions_in_every_process() -> None:
    """A lasting key promises the same masks for years. Write known.json anew only for a new mask."""
    shown = "import json; from tests.privacy.values.test_attacks import known; print(json.dumps(known()))"
    run = subprocess.run(
        [sys.executable, "-c", shown],
        capture_output=True,
        check=True,
        env={"PYTHONHASHSEED": "18", "PYTHONPATH": "."},
        cwd=Path(__file__).parents[3],
    )
    assert json.loads(run.stdout) == known() == json.loads(KNOWN.read_text())
