"""Encryption and decryption of streams: complete, in little memory, and their errors."""

from __future__ import annotations

import io
import random
import threading
import tracemalloc
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest

from monarch.backups.secrecy.age import HeaderRefused, decrypting, encrypting
from monarch.errors import DamagedError, StoreError
from tests.support.samples.ages import pyrage

KEY = pyrage.x25519.Identity.generate()
PLAIN = random.Random(5).randbytes(900_000)


class Kept:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes, /) -> None:
        self.data += data


def encrypted(plain: bytes = PLAIN, *keys: Any, piece: int = 70_000) -> bytes:
    sink = Kept()
    with encrypting(sink, keys or (KEY.to_public(),)) as secret:
        for start in range(0, len(plain), piece):
            secret.write(plain[start : start + piece])
        secret.close()
    return bytes(sink.data)


def decrypted(secret: bytes, *keys: Any, size: int = 100_000) -> bytes:
    with decrypting(io.BytesIO(secret), keys or (KEY,)) as stream:
        return b"".join(iter(lambda: stream.read(size), b""))


SECRET = encrypted()


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


@pytest.mark.parametrize("length", [0, 1, 65_535, 65_536, 65_537, 900_000, 9_000_000])
def test_round_trip(length: int) -> None:
    plain = (PLAIN * 10)[:length]
    secret = encrypted(plain)
    assert decrypted(secret) == plain
    # The other side reads it, and writes what is read here.
    assert pyrage.decrypt(secret, [KEY]) == plain
    assert decrypted(pyrage.encrypt(plain, [KEY.to_public()])) == plain


def test_each_of_several_keys_opens_it() -> None:
    other = pyrage.x25519.Identity.generate()
    secret = encrypted(PLAIN, KEY.to_public(), other.to_public())
    assert decrypted(secret, KEY) == decrypted(secret, pyrage.x25519.Identity.generate(), other) == PLAIN


def test_another_key() -> None:
    with pytest.raises(HeaderRefused, match="No matching keys"):
        decrypted(SECRET, pyrage.x25519.Identity.generate())


@pytest.mark.parametrize(
    "place", [0, 30, 100, 199, 250, 66_000, len(SECRET) // 2, len(SECRET) - 1], ids=count()
)
def test_a_flipped_bit(place: int) -> None:
    changed = bytearray(SECRET)
    changed[place] ^= 4
    with pytest.raises((DamagedError, HeaderRefused)):
        decrypted(bytes(changed))


@pytest.mark.parametrize(
    "secret", [b"", b"x", SECRET[:20], SECRET[:-1], SECRET[:66_000], SECRET + b"x"], ids=count()
)
def test_cut_off_and_lengthened(secret: bytes) -> None:
    with pytest.raises((DamagedError, HeaderRefused)):
        decrypted(secret)


def test_a_header_without_an_end() -> None:
    class Endless:
        def __init__(self) -> None:
            self.left = 40 << 20

        def read(self, size: int, /) -> bytes:
            taken = min(size, self.left)
            self.left -= taken
            return b"-> X25519 \n"[:taken] or b""

    with pytest.raises(HeaderRefused), decrypting(Endless(), (KEY,)):
        pass


def test_what_the_store_raises_is_raised_unchanged() -> None:
    class Broken:
        def __init__(self, good: int) -> None:
            self.good = good

        def read(self, size: int, /) -> bytes:
            if self.good <= 0:
                raise StoreError("The network is gone.")
            self.good -= size
            return SECRET[: min(size, 100_000)]

        def write(self, data: bytes, /) -> None:
            self.good -= len(data)
            if self.good <= 0:
                raise StoreError("The disk is full.")

    def read_all(good: int) -> None:
        with decrypting(Broken(good), (KEY,)) as stream:
            while stream.read(1 << 20):
                pass

    def write_all(good: int) -> None:
        with encrypting(Broken(good), (KEY.to_public(),)) as secret:
            secret.write(PLAIN)
            secret.close()

    for good in (0, 1):
        with pytest.raises(StoreError, match="The network"):
            read_all(good)
    for good in (1, 500_000):
        with pytest.raises(StoreError, match="The disk"):
            write_all(good)


def test_it_may_be_given_up_at_any_time() -> None:
    with encrypting(Kept(), (KEY.to_public(),)) as secret:
        secret.write(PLAIN)
    with decrypting(io.BytesIO(SECRET), (KEY,)) as stream:
        assert stream.read(10) == PLAIN[:10]


def test_memory_is_bounded() -> None:
    class Long:
        left = 200 << 20

        def read(self, size: int, /) -> bytes:
            taken = min(size, self.left)
            self.left -= taken
            return bytes(taken)

        def write(self, data: bytes, /) -> None:
            pass

    source = Long()
    tracemalloc.start()
    try:
        with encrypting(Long(), (KEY.to_public(),)) as secret:
            while data := source.read(1 << 18):
                secret.write(data)
            secret.close()
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()
