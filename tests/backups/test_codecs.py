"""Compression and decompression: lossless, in little memory, and without silent corruption."""

from __future__ import annotations

import gzip
import io
import random
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monarch.backups.codecs import CODECS, find_codec
from monarch.errors import DamagedError, UsageError
from monarch.system.streams import Stream

NAMES = sorted(CODECS)


def pack(name: str, parts: list[bytes], level: int | None = None) -> bytes:
    codec, chosen = find_codec(name, level)
    sink = io.BytesIO()
    packing = codec.compress(sink, chosen)
    for part in parts:
        packing.write(part)
    packing.close()
    return sink.getvalue()


def unpack(name: str, data: bytes, size: int = 1 << 16) -> bytes:
    stream = CODECS[name].decompress(io.BytesIO(data))
    plain = bytearray()
    while part := stream.read(size):
        assert len(part) <= size
        plain += part
    assert stream.read(size) == b""
    return bytes(plain)


class SmallReads(Stream):
    """A stream that returns a few bytes at a time."""

    def __init__(self, data: bytes, chance: random.Random) -> None:
        self._data = io.BytesIO(data)
        self._chance = chance

    def read(self, size: int, /) -> bytes:
        return self._data.read(min(size, self._chance.randrange(1, 9)))


@pytest.mark.parametrize("name", NAMES)
@given(parts=st.lists(st.binary(max_size=3000), max_size=12), size=st.integers(1, 5000))
def test_round_trip(name: str, parts: list[bytes], size: int) -> None:
    assert unpack(name, pack(name, parts), size) == b"".join(parts)


@pytest.mark.parametrize("name", NAMES)
def test_at_every_level(name: str) -> None:
    chance = random.Random(4)
    data = b"".join(bytes(chance.choices(b"abcdef ", k=20)) * chance.randrange(4) for _ in range(3000))
    for level in CODECS[name].levels:
        assert unpack(name, pack(name, [data], level)) == data


@pytest.mark.parametrize("name", NAMES)
def test_bytes_that_arrive_a_few_at_a_time(name: str) -> None:
    data = random.Random(5).randbytes(20_000) + bytes(100_000)
    stream = CODECS[name].decompress(SmallReads(pack(name, [data]), random.Random(6)))
    assert b"".join(iter(lambda: stream.read(777), b"")) == data


@pytest.mark.parametrize("name", NAMES)
def test_concatenated_streams_are_one_stream(name: str) -> None:
    assert unpack(name, pack(name, [b"one "]) + pack(name, []) + pack(name, [b"two"])) == b"one two"


@pytest.mark.parametrize("name", NAMES)
def test_truncation_is_detected(name: str) -> None:
    packed = pack(name, [random.Random(7).randbytes(3000)])
    for length in range(0, len(packed), 7):
        with pytest.raises(DamagedError):
            unpack(name, packed[:length])


@pytest.mark.parametrize("name", NAMES)
def test_a_change_is_detected_or_has_no_effect(name: str) -> None:
    """Each format has a checksum; changes that it does not cover do not change the output."""
    data = random.Random(8).randbytes(500) + bytes(20_000)
    packed = pack(name, [data])
    for offset in range(len(packed)):
        changed = bytearray(packed)
        changed[offset] ^= 0x55
        with suppress(DamagedError):
            assert unpack(name, bytes(changed)) == data


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("more", [b"more", bytes(20)])
def test_trailing_bytes_are_detected(name: str, more: bytes) -> None:
    with pytest.raises(DamagedError):
        unpack(name, pack(name, [b"data"]) + more)


def test_standard_gzip_reads_the_output() -> None:
    data = random.Random(9).randbytes(9000) + bytes(90_000)
    assert gzip.decompress(pack("gz", [data])) == data
    assert unpack("gz", gzip.compress(data)) == data


def test_levels() -> None:
    with pytest.raises(UsageError, match="zst has no level 0"):
        find_codec("zst", 0)
    assert find_codec("gz", None) == (CODECS["gz"], CODECS["gz"].level)


PEAK = """
import io, sys
from monarch.backups.codecs import CODECS
class Zeros:
    left = int(sys.argv[2])
    def read(self, size):
        size = min(size, self.left); self.left -= size
        return bytes(size)
class Nothing:
    kept = b""
    def write(self, data): self.kept += data
sink, zeros, codec = Nothing(), Zeros(), CODECS[sys.argv[1]]
packing = codec.compress(sink, codec.level)
while part := zeros.read(1 << 20): packing.write(part)
packing.close()
stream, total = codec.decompress(io.BytesIO(sink.kept)), 0
while part := stream.read(1 << 20): total += len(part)
assert total == int(sys.argv[2])
print([line for line in open("/proc/self/status") if line.startswith("VmHWM")][0].split()[1])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks the kernel for its peak memory")
@pytest.mark.parametrize("name", NAMES)
def test_memory_does_not_grow_with_the_size(name: str) -> None:
    peaks = []
    for size in (8 << 20, 200 << 20):
        command = [sys.executable, "-c", PEAK, name, str(size)]
        peaks.append(int(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    assert peaks[1] - peaks[0] < 20_000  # kB
