"""What the tests of monarch 0.1's zip files have in common."""

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
# Where the headers of members begin: those in front of their bytes, and those in the directory at the end.
LOCAL, CENTRAL, END = b"PK\3\4", b"PK\1\2", b"PK\5\6"


def packed(
    files: Mapping[str, bytes | str],
    folder: str = "",
    method: int = zipfile.ZIP_DEFLATED,
    change: Callable[[zipfile.ZipFile], object] = lambda _: None,
) -> bytes:
    """A zip of ``files``. What ``change`` does to its members is said of them only in the directory."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as zipped:
        if folder:
            zipped.mkdir(folder)
        for name, content in files.items():
            zipped.writestr(f"{folder}/{name}" if folder else name, content)
        change(zipped)
    return sink.getvalue()


def opened(data: bytes) -> FileSet:
    store = MemoryStore()
    store.prepare()
    with store.create(NAME) as upload:
        upload.write(data)
        upload.finish()
    return ZippedFiles(store, NAME, len(data))


def contents(files: FileSet) -> dict[str, bytes]:
    """All that is in them, read in small pieces."""
    found = {}
    for name, size in files.sizes().items():
        content = bytearray()
        with files.open(name) as stream:
            while part := stream.read(1000):
                content += part
        assert len(content) == size
        found[name] = bytes(content)
    return found


def poked(data: bytes, sign: bytes, offset: int, form: str, value: int | bytes) -> bytes:
    """``data`` with ``value`` as the number at ``offset`` of the first header that has this ``sign``."""
    changed = bytearray(data)
    struct.pack_into(form, changed, data.index(sign) + offset, value)
    return bytes(changed)
