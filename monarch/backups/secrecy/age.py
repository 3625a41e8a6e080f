"""Encryption and decryption of streams in the age format, by pyrage, which is imported when it is used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

from monarch.backups.secrecy.threads import StreamThread
from monarch.errors import DamagedError, MonarchError, UsageError
from monarch.system.streams import Sink, Stream

_CHUNK = 1 << 18


class HeaderRefused(MonarchError):
    """None of the keys opens the header of an encrypted file, or the header is damaged."""


def age_library() -> Any:
    """Return pyrage.

    :raises UsageError: if it is not installed.
    """
    try:
        return import_module("pyrage")
    except ImportError as error:
        raise UsageError(
            f"Encrypted backups need pyrage ({error}).", "Run: pip install 'monarch[encrypt]'"
        ) from error


class EncryptingSink:
    """A sink that encrypts into another. `close` writes the rest; the other sink stays open."""

    def __init__(self, sink: Sink, thread: StreamThread) -> None:
        self._sink = sink
        self._thread = thread

    def write(self, data: bytes, /) -> None:
        """Add ``data``."""
        self._thread.feed(data)
        if sealed := self._thread.take():
            self._sink.write(sealed)

    def close(self) -> None:
        """Write the rest."""
        self._thread.close()
        while True:
            self._thread.wait()
            finished = self._thread.finished
            if sealed := self._thread.take():
                self._sink.write(sealed)
            elif finished:
                return


@contextmanager
def encrypting(sink: Sink, recipients: tuple[Any, ...]) -> Iterator[EncryptingSink]:
    """Encrypt for ``recipients`` of pyrage into ``sink``, for as long as the context lasts."""
    library = age_library()

    def encrypt(reader: Any, writer: Any) -> None:
        library.encrypt_io(reader, writer, list(recipients))

    thread = StreamThread(encrypt)
    try:
        yield EncryptingSink(sink, thread)
    finally:
        thread.stop()


@contextmanager
def decrypting(stream: Stream, identities: tuple[Any, ...]) -> Iterator[Stream]:
    """Decrypt ``stream`` by one of the ``identities`` of pyrage, for as long as the context lasts.

    At its end, ``stream`` was read to its end too.

    :raises HeaderRefused: if none of them opens it, or its header is damaged.
    :raises DamagedError: while it is read, if it is not as it was encrypted.
    """
    library = age_library()
    thread = StreamThread(partial(_decrypt, library, identities))
    try:
        yield _Decrypted(stream, thread)
    finally:
        thread.stop()


def _decrypt(library: Any, identities: tuple[Any, ...], reader: Any, writer: Any) -> None:
    try:
        library.decrypt_io(reader, writer, list(identities))
    except library.DecryptError as error:  # of the header: nothing was decrypted yet
        raise HeaderRefused(str(error)) from error
    except OSError as error:
        raise DamagedError(f"Its encrypted data is damaged ({error}).") from error


class _Decrypted(Stream):
    """Opens the header at once, so that a wrong key is known before anything else happens."""

    def __init__(self, stream: Stream, thread: StreamThread) -> None:
        self._stream = stream
        self._thread = thread
        self._ready = self._more()
        self._place = 0

    def read(self, size: int, /) -> bytes:
        if self._place == len(self._ready):
            self._ready, self._place = self._more(), 0
        data = self._ready[self._place : self._place + size]
        self._place += len(data)
        return data

    def _more(self) -> bytes:
        while True:
            finished = self._thread.finished
            if plain := self._thread.take():
                return plain
            if finished:
                # It has seen all of the stream, but the end of the stream may check something.
                while self._stream.read(_CHUNK):
                    pass
                return b""
            if not self._thread.hungry:
                self._thread.wait()
            elif data := self._stream.read(_CHUNK):
                self._thread.feed(data)
            else:
                self._thread.close()
