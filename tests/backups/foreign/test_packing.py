"""The packing of a foreign archive is detected by its first bytes, even if they are truncated."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile

import pytest

from monarch.backups.codecs import CODECS
from monarch.backups.foreign.packing import HEAD, Whole, is_tar, names_in, packing_of, read_head, unpack_head


def compressed(codec: str, data: bytes) -> bytes:
    sink = io.BytesIO()
    compressor = CODECS[codec].compress(sink, CODECS[codec].level)
    compressor.write(data)
    compressor.close()
    return sink.getvalue()


def tar(names: list[str], size: int = 0, form: int = tarfile.PAX_FORMAT) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w", format=form) as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = size
            archive.addfile(member, io.BytesIO(bytes(size)))
    return sink.getvalue()


@pytest.mark.parametrize("codec", CODECS)
def test_a_truncated_head_is_unpacked_as_far_as_possible(codec: str) -> None:
    data = bytes(range(256)) * 4000
    packed = compressed(codec, data)
    assert packing_of(packed) == codec
    assert unpack_head(packed) == data[:HEAD]
    assert data.startswith(unpack_head(packed[:2000]))
    assert unpack_head(packed[:5]) == b""
    assert unpack_head(packed[:2000] + b"nonsense" * 10)[:1000] == data[:1000]


def test_files_that_are_not_packed() -> None:
    for data in (b"", b"P", b"\x1f", b"something else"):
        assert packing_of(data) == ""
        assert unpack_head(data) == data


@pytest.mark.parametrize("size", [0, 1, 512, 513])
@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_the_names_in_a_tar(size: int, form: int) -> None:
    names = ["dump/app/users.bson", "dump/app/users.metadata.json"]
    data = tar(names, size, form)
    assert is_tar(data)
    assert names_in(gzip.compress(data), data) == names
    assert names_in(data, data) == names
    assert names_in(data, data[:600]) == names[:1]


def test_the_names_in_a_zip() -> None:
    sink = io.BytesIO()
    names = ["dump/", "dump/app/", "dump/app/users.bson"]
    with zipfile.ZipFile(sink, "w") as archive:
        for name in names:
            archive.writestr(name, b"" if name.endswith("/") else bytes(1000))
    data = sink.getvalue()
    assert packing_of(data) == "zip"
    assert names_in(data, data) == names
    for cut in range(len(data)):
        names_in(data[:cut], data[:cut])


def test_unusual_headers_are_not_an_error() -> None:
    data = bytearray(tar(["a.bson"]))
    data[124:136] = b"\x80" + bytes(10) + b"\7"  # a size in GNU's format for large files
    assert names_in(bytes(data), bytes(data)) == ["a.bson"]
    assert names_in(b"", b"") == []


def test_a_head_can_be_read_again() -> None:
    data = bytes(range(256)) * 1000
    stream = io.BytesIO(data)
    head = read_head(stream)
    assert head == data[:HEAD]
    whole = Whole(head, stream)
    found = b""
    while part := whole.read(1000):
        found += part
    assert found == data
