"""Zip files of monarch 0.1: valid ones are read, dangerous ones refused, damaged ones detected."""

from __future__ import annotations

import random
import re
import stat
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from pathlib import Path

import pytest

from monarch.backups.zip_v01 import ZippedFiles
from monarch.errors import DamagedError
from monarch.stores.base import NotStored
from monarch.stores.local.store import LocalStore
from tests.support import counts
from tests.support.samples.zips import CENTRAL, END, LOCAL, NAME, make_zip, open_zip, patch_header, read_files
from tests.support.stores.memory import MemoryStore

FILES: dict[str, bytes | str] = {
    "users.bson": b"".join(b"%07d" % number for number in range(300)),
    "users.metadata.json": '{"indexes":[]}',
    "né.bson": b"",
    "né.metadata.json": "{}",
}
CONTENTS = {name: text.encode() if isinstance(text, str) else text for name, text in FILES.items()}


def error_message(data: bytes) -> str:
    """Check that reading fails; return the message, which is one line."""
    with pytest.raises(DamagedError) as raised:
        read_files(open_zip(data))
    assert "\n" not in raised.value.message
    return raised.value.message


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("folder", ["", "app", "dump/app", "."])
def test_at_the_root_or_in_one_folder(folder: str, method: int) -> None:
    files = open_zip(make_zip(FILES, folder, method))
    assert files.sizes() == {name: len(content) for name, content in CONTENTS.items()}
    assert read_files(files) == CONTENTS


def test_an_empty_zip() -> None:
    assert open_zip(make_zip({})).sizes() == {}


@pytest.mark.parametrize(
    ("raw", "name"), [("né".encode(), "né"), (b"n\x82", "né"), ("日本".encode(), "日本")]
)
def test_names_without_an_encoding(raw: bytes, name: str) -> None:
    """Python 2 wrote the bytes of a name unchanged, usually UTF-8; the format prescribes cp437."""
    data = make_zip({"x" * len(raw) + ".bson": b"1"}).replace(b"x" * len(raw), raw)
    assert read_files(open_zip(data)) == {name + ".bson": b"1"}


@pytest.mark.parametrize(
    "name",
    [
        *("../users.bson", "a/../../users.bson", "a/..", "..", "/etc/users.bson", "/", "../", "a/../"),
        *("\\users.bson", "..\\users.bson", "a\\..\\users.bson", "\\\\server\\users.bson"),
        *("C:\\users.bson", "c:/users.bson", "C:\\..\\users.bson", "..\n/../users.bson"),
    ],
)
def test_a_name_that_leads_out_of_the_zip(name: str) -> None:
    message = error_message(make_zip({"a.bson": b"", name: b""}))
    assert message == f"monarch refuses it: {name!r} in its zip has a name that leads out of the zip."


@pytest.mark.parametrize(
    "name", ["a:b.bson", "back\\slash.bson", "..a.bson", "a...bson", "C:.bson", "~.bson"]
)
def test_a_name_that_only_seems_to_lead_out_of_the_zip(name: str) -> None:
    assert read_files(open_zip(make_zip({name: b"1"}))) == {name: b"1"}


def test_a_member_without_a_name() -> None:
    assert (
        error_message(make_zip({"@": b"1"}).replace(b"@", b"\0"))
        == "monarch refuses it: '' in its zip has no name."
    )


@pytest.mark.parametrize(
    "kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFSOCK, stat.S_IFDIR]
)
def test_a_link_or_special_file(kind: int) -> None:
    def mark(zipped: zipfile.ZipFile) -> None:
        zipped.getinfo("users.bson").external_attr = (kind | 0o777) << 16

    message = error_message(make_zip({"users.bson": "/etc/passwd"}, change=mark))
    assert (
        message == "monarch refuses it: 'users.bson' in its zip is not a file, but a link or something else."
    )


@pytest.mark.parametrize("attributes", [0, 0x20, 0o600 << 16, (stat.S_IFREG | 0o644) << 16])
def test_a_regular_file_as_various_programs_write_it(attributes: int) -> None:
    def mark(zipped: zipfile.ZipFile) -> None:
        zipped.getinfo("users.bson").external_attr = attributes

    assert read_files(open_zip(make_zip(FILES, change=mark))) == CONTENTS


@pytest.mark.parametrize("flag", [0x1, 0x1 | 0x40])
def test_an_encrypted_member(flag: int) -> None:
    data = patch_header(patch_header(make_zip(FILES), LOCAL, 6, "<H", flag), CENTRAL, 8, "<H", flag)
    assert error_message(data) == "monarch refuses it: 'users.bson' in its zip is encrypted."


@pytest.mark.parametrize("flag", [0x20, 0x40])
def test_other_unreadable_members(flag: int) -> None:
    assert "'users.bson' in its zip is damaged" in error_message(
        patch_header(make_zip(FILES), CENTRAL, 8, "<H", flag)
    )


@pytest.mark.parametrize("method", [1, 9, 93, 98, 99])
def test_an_unknown_compression(method: int) -> None:
    message = error_message(patch_header(make_zip(FILES), CENTRAL, 10, "<H", method))
    assert message == f"monarch refuses it: 'users.bson' in its zip has an unknown compression ({method})."


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_compression_that_expands_a_few_bytes_to_gigabytes(method: int) -> None:
    """monarch 0.1 never wrote these, and zipfile decompresses each read at once, whatever its size."""
    message = error_message(make_zip({"users.bson": bytes(1 << 20)}, method=method))
    assert message == f"monarch refuses it: 'users.bson' in its zip has an unknown compression ({method})."


@pytest.mark.parametrize(
    "names", [("a/x.bson", "b/x.bson"), ("x.bson", "a/y.bson"), ("a/x.bson", "a/b/y.bson")]
)
def test_files_in_several_folders(names: tuple[str, str]) -> None:
    message = error_message(make_zip(dict.fromkeys(names, b"")))
    assert message == "The files in its zip are in several folders, not in one."


def test_two_files_with_one_name() -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = make_zip({"a.bson": b"1"}, change=lambda zipped: zipped.writestr("a.bson", b"2"))
    assert error_message(data) == "Its zip has two files with the same name."


def test_a_bomb() -> None:
    """Zeros, in one file or in many files."""
    for files in ({"a.bson": bytes(65 << 20)}, {f"{number}.bson": bytes(7 << 20) for number in range(10)}):
        data = make_zip(files)
        message = error_message(data)
        assert message.startswith(
            f"monarch refuses it: {len(data):,} bytes of zip would become {sum(map(len, files.values())):,}"
        )
        assert message.endswith("as in a zip bomb.")


def test_a_bomb_whose_members_overlap() -> None:
    """David Fifield's bomb: all members share one kernel, and each quotes the headers after its own."""
    plain = bytes(1 << 16)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = packer.compress(plain) + packer.flush()
    entries = []
    for number in range(50, 0, -1):
        name = b"%02d.bson" % number
        sizes = struct.pack("<3L2H", zlib.crc32(plain), len(body), len(plain), len(name), 0)
        header = struct.pack("<4s5H", LOCAL, 20, 0, 8, 0, 0x21) + sizes + name
        entries.append((name, sizes, len(body) + len(header)))
        plain, body = (
            header + plain,
            struct.pack("<BHH", 0, len(header), len(header) ^ 0xFFFF) + header + body,
        )
    body = body[5:]  # the first one is not quoted
    directory = b"".join(
        struct.pack("<4s6H", CENTRAL, 20, 20, 0, 8, 0, 0x21)
        + sizes
        + struct.pack("<3H2L", 0, 0, 0, 0, len(body) - behind)
        + name
        for name, sizes, behind in reversed(entries)
    )
    end = struct.pack("<4s4H2LH", END, 0, 0, 50, 50, len(directory), len(body), 0)
    assert len(body + directory + end) < 10_000
    assert error_message(body + directory + end).endswith("as in a zip bomb.")


def test_a_bomb_of_members_at_one_offset() -> None:
    def stack(zipped: zipfile.ZipFile) -> None:
        for member in zipped.infolist():
            member.header_offset = 0

    data = make_zip({f"{number}.bson": b"abc" for number in range(9)}, change=stack)
    assert error_message(data).endswith("as in a zip bomb.")


@pytest.mark.parametrize(
    "data",
    [b"", b"P", b"PK", b"no zip at all" * 100, zlib.compress(b"x" * 100), LOCAL * 50, END, bytes(1 << 17)],
)
def test_bytes_that_are_not_a_zip(data: bytes) -> None:
    assert error_message(data).startswith("It is not a zip file, or a damaged one (")


def test_every_truncation_is_detected() -> None:
    data = make_zip(FILES)
    for cut in range(len(data)):
        assert error_message(data[:cut]).startswith("It is not a zip file, or a damaged one (")


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_changed_bytes_are_detected_or_harmless(method: int) -> None:
    """Some bytes of a zip have no effect, such as times. Changes of other bytes must not change a file."""
    data = make_zip(FILES, "app", method)
    generator = random.Random(method)
    harmless = 0
    places = [*generator.sample(range(len(data)), 200), *range(len(data) - 400, len(data))]
    for offset in counts.sample(places, 120):
        for value in {*(data[offset] ^ 1 << bit for bit in range(8)), 0, 0xFF, ord("/")} - {data[offset]}:
            changed = bytearray(data)
            changed[offset] = value
            try:
                assert read_files(open_zip(bytes(changed))) == CONTENTS, (offset, value)
            except DamagedError:
                continue
            harmless += 1
    assert harmless > counts.number(reduced=20, full=100)


@pytest.mark.parametrize("times", [2, 50])
def test_duplicated_or_removed_bytes(times: int) -> None:
    data = make_zip(FILES)
    generator = random.Random(times)
    for _ in range(300):
        offset, size = generator.randrange(len(data)), generator.randrange(1, 50)
        middle = data[offset : offset + size] * generator.choice((0, times))
        try:
            assert read_files(open_zip(data[:offset] + middle + data[offset + size :])) == CONTENTS
        except DamagedError:
            continue


@pytest.mark.parametrize(
    ("what", "by"),
    [
        *(("file_size", by) for by in (-1, -2099, 1, 1 << 20, 2**32 - 3000, 2**40, 2**63 - 3000)),
        *(("compress_size", by) for by in (-1, -500, 1, 1 << 20, 2**32 - 3000, 2**40, 2**63 - 3000)),
        *(("header_offset", by) for by in (1, 100, 1 << 20, 2**32 - 3000, 2**40, 2**64 - 1)),
        *(("CRC", by) for by in (-1, 1)),
    ],
)  # fmt: skip
def test_a_directory_with_false_sizes(what: str, by: int) -> None:
    """The false size of a member is detected without reading beyond it or reserving memory for it."""

    def lie(zipped: zipfile.ZipFile) -> None:
        member = zipped.getinfo("users.bson")
        setattr(member, what, getattr(member, what) + by)

    data = make_zip(FILES, change=lie)
    tracemalloc.start()
    try:
        assert read_files(open_zip(data)) == CONTENTS
        assert (what, abs(by)) == ("compress_size", 1)  # one byte more or less at the end has no effect
    except DamagedError as error:
        assert re.search("'users.bson'|bomb", error.message)  # noqa: PT017 - or it is read correctly
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4_000_000


def test_a_member_that_includes_others() -> None:
    """A member whose comment claims to include the members after it."""
    data = make_zip(FILES)
    rest = data.index(END) - data.index(CENTRAL) - 46 - len("users.bson")
    message = error_message(patch_header(data, CENTRAL, 32, "<H", rest))
    assert message == "It is a damaged zip file: its end gives another number of members."


def test_a_directory_that_begins_at_its_own_end() -> None:
    """The directory claims to begin at the signature of the end."""
    message = error_message(patch_header(make_zip(FILES), END, 16, "4s", END))
    assert message.startswith("It is not a zip file, or a damaged one (")


def test_a_file_turned_into_a_folder() -> None:
    """One byte of its name in the directory was changed."""
    for name in (b"users.bson", "né.bson".encode()):
        data = make_zip(FILES)
        at = data.rindex(name) + len(name) - 1
        message = error_message(data[:at] + b"/" + data[at + 1 :])
        assert message.startswith(
            f"The file {name[:-1].decode() + '/'!r} in its zip is damaged (File name in dir"
        )


def test_a_folder_with_contents() -> None:
    data = make_zip({"users.bson": b"12"}).replace(b"users.bson", b"users.bso/")
    assert error_message(data) == "The folder 'users.bso/' in its zip has contents, like a file."


def test_a_comment_and_bytes_before_or_after_the_zip() -> None:
    def comment(zipped: zipfile.ZipFile) -> None:
        zipped.comment = b"kept since 2014 " * 4000

    assert read_files(open_zip(make_zip(FILES, change=comment))) == CONTENTS
    assert read_files(open_zip(b"#!/bin/sh\n" + make_zip(FILES))) == CONTENTS


@pytest.mark.parametrize("members", [5_000, 66_000])
def test_thousands_of_members(members: int) -> None:
    """Including more members than a two-byte number can count."""
    files = open_zip(
        make_zip({f"{number}.bson": b"" for number in range(members)}, method=zipfile.ZIP_STORED)
    )
    assert len(files.sizes()) == members
    for number in (0, members // 2, members - 1):
        with files.open(f"{number}.bson") as stream:
            assert stream.read(1) == b""


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A folder with a zip of 60 MB that compress to almost nothing, and of 20 MB that do not compress."""
    with zipfile.ZipFile(tmp_path / NAME, "w") as zipped:
        zipped.writestr("zeros.bson", bytes(60_000_000), zipfile.ZIP_DEFLATED)
        zipped.writestr("noise.bson", random.Random(1).randbytes(20_000_000), zipfile.ZIP_STORED)
    return tmp_path


def test_memory_stays_flat(large: Path) -> None:
    tracemalloc.start()
    files = ZippedFiles(LocalStore(large), NAME, (large / NAME).stat().st_size)
    total = 0
    for name in files.sizes():
        with files.open(name) as stream:
            while part := stream.read(1 << 18):
                total += len(part)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == 80_000_000
    assert peak < 3_000_000


WATCHED = """
import os, sys
from pathlib import Path
from monarch.backups.zip_v01 import ZippedFiles
from monarch.stores.local.store import LocalStore

def watch(event, arguments):
    if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
        raise SystemExit(f"{arguments[0]} was opened to be written")

folder, name = Path(sys.argv[1]), sys.argv[2]
sys.addaudithook(watch)
files = ZippedFiles(LocalStore(folder), name, (folder / name).stat().st_size)
for name in files.sizes():
    with files.open(name) as stream:
        while stream.read(1 << 20):
            pass
print("read")
if len(sys.argv) > 3:
    (folder / "other").write_bytes(b"")
"""


def test_nothing_is_written_to_the_disk(large: Path) -> None:
    command = [sys.executable, "-c", WATCHED, str(large), NAME]
    for more, code in ([], 0), (["write"], 1):  # the second case proves that writes are noticed
        done = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (code, "read\n"), done.stderr


def test_a_zip_deleted_while_it_is_read() -> None:
    store = MemoryStore()
    store.prepare()
    data = make_zip({"a.bson": random.Random(1).randbytes(1 << 20)})
    with store.create(NAME) as upload:
        upload.write(data)
        upload.finish()
    files = ZippedFiles(store, NAME, len(data))
    store.delete(NAME)
    with pytest.raises(NotStored), files.open("a.bson") as stream:
        stream.read(1)
