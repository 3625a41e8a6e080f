"""Compression of archives as streams: zstd compresses better, more programs read gzip.

zstd comes with Python 3.14, and as a backport for older versions. gzip is compressed by isal, which is ten
times as fast as Python's own and has the levels 1 to 3.
"""

from __future__ import annotations

import os
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import import_module
from typing import Any

from monarch.errors import DamagedError, UsageError
from monarch.system.streams import Sink, Stream

_CUT_OFF = "Its compressed data is cut off."
_CHUNK = 1 << 18
_JOB = 1 << 20


class Compressor(ABC):
    """A sink that compresses into another."""

    @abstractmethod
    def write(self, data: bytes, /) -> None:
        """Add ``data``."""

    @abstractmethod
    def close(self) -> None:
        """Write the rest. The other sink stays open."""


class Codec(ABC):
    """A compression format. ``level`` is the default of its ``levels``; a higher level compresses better."""

    name: str
    levels: range
    level: int

    @abstractmethod
    def compress(self, sink: Sink, level: int) -> Compressor:
        """Return a compressor that writes into ``sink``."""

    @abstractmethod
    def decompress(self, stream: Stream) -> Stream:
        """Return ``stream`` as it was before compression.

        :raises DamagedError: while it is read, if it is damaged or cut off.
        """


class Zstandard(Codec):
    """Zstandard frames (RFC 8878), each with a checksum."""

    name = "zst"
    levels = range(1, 20)
    level = 3

    def compress(self, sink: Sink, level: int) -> Compressor:
        zstd = _zstd()
        parameter = zstd.CompressionParameter
        options = {parameter.compression_level: level, parameter.checksum_flag: 1}
        # Worker threads, one for each core. More than four use much memory and are faster than any disk.
        # The maximum is 0 if the library was built without threads.
        most = parameter.nb_workers.bounds()[1]
        options[parameter.nb_workers] = min(os.cpu_count() or 1, 4, most)
        if options[parameter.nb_workers]:
            # The bytes of one job. The default uses 50 MB more and does not compress better.
            options[parameter.job_size] = _JOB
        return _Compressing(zstd.ZstdCompressor(options=options), sink)

    def decompress(self, stream: Stream) -> Stream:
        zstd = _zstd()
        return _Decompressing(zstd.ZstdDecompressor, stream, zstd.ZstdError)


class Gzip(Codec):
    """gzip members (RFC 1952)."""

    name = "gz"
    levels = range(1, 4)
    level = 2

    def compress(self, sink: Sink, level: int) -> Compressor:
        from isal import isal_zlib

        return _Compressing(isal_zlib.compressobj(level, wbits=16 + zlib.MAX_WBITS), sink)

    def decompress(self, stream: Stream) -> Stream:
        from isal import igzip_lib

        def begin() -> Any:
            return igzip_lib.IgzipDecompressor(igzip_lib.DECOMP_GZIP)

        failure: Any = igzip_lib.IsalError  # a type; its stubs are wrong
        return _Decompressing(begin, stream, failure)


CODECS: dict[str, Codec] = {codec.name: codec for codec in (Zstandard(), Gzip())}


def find_codec(name: str, level: int | None) -> tuple[Codec, int]:
    """Return the codec called ``name``, and ``level`` or the default level.

    :raises UsageError: if it has no such level.
    """
    codec = CODECS[name]
    if level is None:
        return codec, codec.level
    if level not in codec.levels:
        first, last = codec.levels[0], codec.levels[-1]
        raise UsageError(f"{name} has no level {level}.", f"Use --level {first} to {last}.")
    return codec, level


class _Compressing(Compressor):
    def __init__(self, compressor: Any, sink: Sink) -> None:
        self._compressor = compressor
        self._sink = sink

    def write(self, data: bytes, /) -> None:
        if packed := self._compressor.compress(data):
            self._sink.write(packed)

    def close(self) -> None:
        if packed := self._compressor.flush():
            self._sink.write(packed)


class _Decompressing(Stream):
    """Concatenated streams, each decompressed by a decompressor that ``begin`` makes."""

    def __init__(self, begin: Callable[[], Any], stream: Stream, failure: type[Exception]) -> None:
        self._begin = begin
        self._stream = stream
        self._failure = failure
        self._current: Any = None

    def read(self, size: int, /) -> bytes:
        while True:
            data = self._more()
            if data is None:
                return b""
            try:
                plain: bytes = self._current.decompress(data, size)
            except (self._failure, EOFError) as error:
                raise DamagedError(f"Its compressed data is damaged ({error}).") from error
            if plain:
                return plain

    def _more(self) -> bytes | None:
        """Return the bytes to decompress next, b"" if output is pending, None at the end."""
        current = self._current
        if current is not None and not current.eof:
            data = self._stream.read(_CHUNK) if current.needs_input else None
            if data == b"":
                raise DamagedError(_CUT_OFF)
            return data or b""
        rest: bytes = current.unused_data if current is not None else b""
        rest = rest or self._stream.read(_CHUNK)
        if not rest:
            if current is None:
                raise DamagedError(_CUT_OFF)
            return None
        self._current = self._begin()
        return rest


def _zstd() -> Any:
    try:
        return import_module("compression.zstd")
    except ModuleNotFoundError:  # before Python 3.14
        return import_module("backports.zstd")
