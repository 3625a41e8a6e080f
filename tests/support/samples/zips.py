"""Samples for the tests of monarch 0.1's zip files."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Mapping

from monarch.backups.zip_v01 import ZippedFiles
from monarch.databases.transfer import FileSet
from tests.support.stores.memory import MemoryStore

NAME = "app__2014_05_29.dmp.zip"
ID = '{"v":1,"key":{"_id":1},"ns":"app.users","name":"_id_"}'
# The signatures of a member's local header, its header in the central directory, and the directory's end.
LOCAL, CENTRAL, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"


def make_zip(
    files: Mapping[str, bytes | str],
    folder: str = "",
    method: int = zipfile.ZIP_DEFLATED,
    change: Callable[[zipfile.ZipFile], object] = lambda _: None,
) -> bytes:
    """Return a zip of ``files``. Changes of its members by ``change`` affect only the central directory."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as zipped:
        if folder:
            zipped.mkdir(folder)
        for name, content in files.items():
            zipped.writestr(f"{folder}/{name}" if folder else name, content)
        change(zipped)
    return sink.getvalue()


def open_zip(data: bytes) -> FileSet:
    store = MemoryStore()
    store.prepare()
    with store.create(NAME) as upload:
        upload.write(data)
        upload.finish()
    return ZippedFiles(store, NAME, len(data))


def read_files(files: FileSet) -> dict[str, bytes]:
    """Return the contents of all ``files``, read in small parts."""
    found = {}
    for name, size in files.sizes().items():
        content = bytearray()
        with files.open(name) as stream:
            while part := stream.read(1000):
                content += part
        assert len(content) == size
        found[name] = bytes(content)
    return found


def patch_header(data: bytes, signature: bytes, offset: int, form: str, value: int | bytes) -> bytes:
    """Return ``data`` with ``value`` at ``offset`` of the first header with this ``signature``."""
    changed = bytearray(data)
    struct.pack_into(form, changed, data.index(signature) + offset, value)
    return bytes(changed)
