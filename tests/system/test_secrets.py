from __future__ import annotations

import json
import pickle
import re
from collections.abc import Callable
from urllib.parse import quote

import pytest

from monarch.system.secrets import MASK, Secret, redact
from tests.support.servers.mongod import PASSWORD


def test_a_secret_is_hidden_unless_it_is_revealed() -> None:
    secret = Secret(PASSWORD)
    for text in (str(secret), repr(secret), f"{secret}", f"{secret!r:>20}", str([secret])):
        assert PASSWORD not in text
        assert MASK in text
    assert secret.reveal() == PASSWORD
    with pytest.raises(TypeError):
        pickle.dumps(secret)


SPELLINGS: list[Callable[[str], str]] = [
    str,
    repr,
    json.dumps,
    quote,
    lambda text: quote(text, safe=""),
    lambda text: re.sub("%..", lambda escape: escape[0].lower(), quote(text, safe="")),
    lambda text: json.dumps(text, ensure_ascii=False),
    lambda text: repr(json.dumps(text)),
    lambda text: repr(text.encode())[2:-1],
    lambda text: " ".join(text.split()),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_redact_masks_every_spelling_of_a_secret(spelling: Callable[[str], str]) -> None:
    password = PASSWORD + "  two  spaces"
    Secret(password)
    written = spelling(password)
    masked = redact(f"before {written} after")
    assert MASK in masked
    assert "spaces" not in masked
    assert "é" not in masked


@pytest.mark.parametrize(
    "uri", ["mongodb://me:unknown-to-us@host/db", "mongodb+srv://me:has@two@host/db", "mongodb://tok%40@h"]
)
def test_redact_masks_the_credentials_of_any_uri(uri: str) -> None:
    text = redact(f"cannot open {uri}, sorry")
    assert f"://{MASK}@h" in text
    for piece in ("unknown-to-us", "has@two", "tok"):
        assert piece not in text


def test_a_very_short_value_is_not_masked_in_texts() -> None:
    Secret("a")
    assert redact("a banana") == "a banana"


def test_a_secret_of_bytes_that_are_not_text() -> None:
    Secret(b"pass\xe9word".decode("utf-8", "surrogateescape"))
    assert redact("pass%E9word") == MASK


def test_a_word_of_millions_of_letters_is_redacted_quickly() -> None:
    """A quadratic search would exceed pytest's timeout."""
    word = "x" * 20_000_000
    assert redact(f"{word}://me:hush@host") == f"{word}://********@host"
