"""Backups whose bytes have changed: detected, reported, and without effect on the target.

Bytes are flipped, cut, repeated and swapped at up to 200 places of an archive and of its manifest. The places
are the same in every run, and an error names the place.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pymongo.database import Database

from monarch import Project
from monarch.backups.catalog import BackupCatalog
from monarch.backups.codecs import CODECS
from monarch.backups.manifest import Manifest
from monarch.backups.reader import BrokenBackup, verify
from monarch.backups.state import Backup, BackupState
from monarch.databases.history import IncompleteDatabase
from monarch.databases.mongo.archive import TERMINATOR
from monarch.databases.transfer import CollectionSummary
from monarch.errors import DamagedError
from monarch.stores.base import Store, StoredFile, Upload
from monarch.stores.local.store import LocalStore
from monarch.system.streams import Stream
from tests.support import counts
from tests.support.runs.copy_kills import fill
from tests.support.runs.shell import Folder
from tests.support.samples.equality import Description, assert_equal, describe
from tests.support.servers.mongod import Server

NAMES = sorted(CODECS)
PLACES = 200
SEED = 5
LONGEST = 40  # bytes that are cut, repeated or swapped
Change = Callable[[bytes, random.Random], bytes]


def flip(data: bytes, chance: random.Random) -> bytes:
    offset = chance.randrange(len(data))
    return data[:offset] + bytes([data[offset] ^ 1 << chance.randrange(8)]) + data[offset + 1 :]


def cut(data: bytes, chance: random.Random) -> bytes:
    """Remove some bytes in the middle, or all to the end."""
    offset = chance.randrange(len(data))
    return data[:offset] + (data[offset + chance.randint(1, LONGEST) :] if chance.random() < 0.7 else b"")


def repeat(data: bytes, chance: random.Random) -> bytes:
    """Repeat some bytes: insert them, or overwrite the following ones."""
    offset, length = chance.randrange(len(data)), chance.randint(1, LONGEST)
    some = data[offset : offset + length]
    over = data[: offset + len(some)] + some + data[offset + 2 * len(some) :]
    return over if len(over) == len(data) and over != data else data[:offset] + some + data[offset:]


def swap(data: bytes, chance: random.Random) -> bytes:
    """Swap some bytes with the same number of others."""
    length = chance.randint(1, LONGEST)
    one, other = sorted(chance.sample(range(0, len(data) - length, length), 2))
    return (
        data[:one]
        + data[other : other + length]
        + data[one + length : other]
        + data[one : one + length]
        + data[other + length :]
    )


CHANGES: dict[str, Change] = {change.__name__: change for change in (flip, cut, repeat, swap)}


def changed(data: bytes, kind: str, number: int) -> bytes:
    """Return ``data`` with a change of this ``kind`` at the offset for ``number``."""
    chance = random.Random(f"{SEED} {kind} {number}")
    while (other := CHANGES[kind](data, chance)) == data:
        pass  # for example a swap of equal bytes
    return other


@dataclass(repr=False)
class Case:
    """A store with two backups of ``one`` for each codec and a newer one, and a newest one of ``other``.

    ``target`` is the database of ``other``.
    """

    folder: Folder
    store: Path
    target: Database[dict[str, Any]]
    # Both have the same documents except one, which has the same length.
    first: dict[str, str]
    second: dict[str, str]
    newest: str
    newest_of_all: str
    held: Description

    def __repr__(self) -> str:
        return f"Case({self.store})"

    @property
    def project(self) -> Project:
        return Project(self.folder.path)

    @property
    def catalog(self) -> BackupCatalog:
        return self.project.backups

    def archive(self, codec: str, *, second: bool = False) -> Path:
        return self.store / f"{(self.second if second else self.first)[codec]}.dmp.{codec}"

    def manifest(self, codec: str, *, second: bool = False) -> Path:
        archive = self.archive(codec, second=second)
        return archive.with_name(archive.name + ".json")

    def read_manifest(self, codec: str, *, second: bool = False) -> Manifest:
        return Manifest.from_bytes(self.manifest(codec, second=second).read_bytes())

    @contextmanager
    def replaced(self, path: Path, content: bytes, what: str) -> Iterator[None]:
        """Replace the file's content while the context lasts; add ``what`` to errors."""
        original = path.read_bytes()
        path.write_bytes(content)
        try:
            yield
        except BaseException as error:
            error.add_note(f"{path.name} was changed: {what}.")
            raise
        finally:
            path.write_bytes(original)

    def assert_found(
        self, codec: str, *, state: str = "broken", manifest: bool = False, listed: Backup | None = None
    ) -> None:
        """Check that the first backup is reported as broken, with the backup to use instead.

        If it was ``listed`` before the change, only reading can detect it. If the ``manifest`` cannot be
        read, its environment is unknown.
        """
        with pytest.raises(BrokenBackup) as raised:
            verify(self.catalog, listed or self.catalog.get(self.first[codec]))
        self._assert_error(raised.value, codec, manifest and listed is None, state)

    def assert_refused(self, codec: str, *, in_place: bool, manifest: bool = False) -> None:
        """Check that a restore is refused and the target is unchanged."""
        with pytest.raises(BrokenBackup) as raised:
            self.project.restore(self.first[codec], "other", engine="native", in_place=in_place)
        self._assert_error(raised.value, codec, manifest)
        self.assert_untouched()

    def assert_found_in_time(self, codec: str, content: bytes) -> None:
        """Check that a restore is refused if the archive becomes ``content`` after it was verified."""
        project = self.project
        project.backups = BackupCatalog(
            ChangingStore(LocalStore(self.store), self.archive(codec).name, content)
        )
        with pytest.raises(BrokenBackup) as raised:
            project.restore(self.first[codec], "other", engine="native")
        self._assert_error(raised.value, codec)
        assert raised.value.message.endswith("'other' is as it was.")
        self.assert_untouched()

    def _assert_error(
        self, error: BrokenBackup, codec: str, manifest: bool = False, state: str = "broken"
    ) -> None:
        expected = f"Backup '{self.first[codec]}' is {state}: .*[^.][.]$"
        assert re.match(expected, error.message), error.message
        assert error.hint is not None
        # Only the manifest has the environment.
        expected = "Its environment is unknown" if manifest else repr(self.newest)
        assert expected in error.hint, error.hint

    def assert_untouched(self) -> None:
        """Check that the target is unchanged and has no staging collections."""
        assert_equal(self.held, describe(self.target))
        names = set(self.target.list_collection_names())
        assert names - {"monarch_lease", "system.views"} == set(self.held)


@contextmanager
def case_of(folder: Folder, server: Server, *, size: int) -> Iterator[Case]:
    """Return a case whose source holds a hundred documents of random bytes."""
    with server.client() as client:
        source, target = (client[f"{folder.db_name}_{name}"] for name in ("one", "other"))
        folder.settings(
            one={"uri": server.uri, "db_name": source.name}, other={"uri": server.uri, "db_name": target.name}
        )
        store = folder.keep_backups()
        fill(source, "second")
        fill(target, "first", many=20)
        chance = random.Random(SEED)
        source["random"].insert_many({"_id": n, "data": chance.randbytes(size)} for n in range(100))
        project = Project(folder.path)
        first = {codec: project.backup("one", name=f"first_{codec}", codec=codec).name for codec in NAMES}
        source["random"].update_one({"_id": 50}, {"$set": {"data": chance.randbytes(size)}})
        second = {codec: project.backup("one", name=f"second_{codec}", codec=codec).name for codec in NAMES}
        newest = project.backup("one").name
        newest_of_all = project.backup("other").name
        yield Case(folder, store, target, first, second, newest, newest_of_all, describe(target))
        for database in (source, target):
            client.drop_database(database)


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Case]:
    with case_of(Folder(tmp_path_factory.mktemp("project"), server), server, size=2000) as made:
        yield made


@pytest.fixture(scope="module")
def large_case(tmp_path_factory: pytest.TempPathFactory, server: Server) -> Iterator[Case]:
    """A case whose archives need several reads."""
    with case_of(Folder(tmp_path_factory.mktemp("project"), server), server, size=40_000) as made:
        yield made


def test_all_are_good_before_any_change(case: Case) -> None:
    for backup in case.catalog.list():
        verify(case.catalog, backup)


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize("codec", NAMES)
def test_a_changed_archive_is_detected(case: Case, codec: str, kind: str) -> None:
    data = case.archive(codec).read_bytes()
    before = case.catalog.get(case.first[codec])
    for number in counts.sample(range(PLACES), 30):
        with case.replaced(case.archive(codec), changed(data, kind, number), f"{kind} {number}"):
            # Not only by its size: half of them were listed before the change.
            case.assert_found(codec, listed=before if number % 2 else None)


@pytest.mark.parametrize("kind", CHANGES)
def test_a_changed_manifest_is_detected(case: Case, kind: str) -> None:
    codec = NAMES[0]
    data = case.manifest(codec).read_bytes()
    before = case.catalog.get(case.first[codec])
    for number in counts.sample(range(PLACES), 30):
        with case.replaced(case.manifest(codec), changed(data, kind, number), f"{kind} {number}"):
            (listed,) = (found for found in case.catalog.list() if found.name == case.first[codec])
            assert listed.state is BackupState.BROKEN
            assert (listed.why or "").startswith("Its manifest is")
            case.assert_found(codec, manifest=True, listed=before if number % 2 else None)


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("codec", NAMES)
def test_a_changed_backup_is_not_restored(large_case: Case, codec: str, in_place: bool) -> None:
    for path in (large_case.archive(codec), large_case.manifest(codec)):
        data = path.read_bytes()
        for kind in CHANGES:
            for number in counts.sample(range(PLACES, PLACES + 4), 1):
                with large_case.replaced(path, changed(data, kind, number), f"{kind} {number}"):
                    large_case.assert_refused(codec, in_place=in_place, manifest=path.suffix == ".json")


def without_journal(manifest: Manifest) -> list[CollectionSummary]:
    """Return the collections of ``manifest`` except the journal, to which each backup adds a line."""
    return [one for one in manifest.collections if one.name != "mongo_migration_journal"]


@pytest.mark.parametrize("codec", NAMES)
def test_an_archive_replaced_by_another_is_detected(case: Case, codec: str) -> None:
    """The other archive is valid, with documents of equal number and length: only the SHA-256 differs."""
    written, other = case.read_manifest(codec), case.archive(codec, second=True).read_bytes()
    assert without_journal(written) == without_journal(case.read_manifest(codec, second=True))
    with case.replaced(case.archive(codec), other, "another"):
        case.assert_found(codec)
        manifest = replace(written, size=len(other)).to_bytes()
        with case.replaced(case.manifest(codec), manifest, "as large as the other"):
            case.assert_found(codec)
            case.assert_refused(codec, in_place=True)


@pytest.mark.parametrize("codec", NAMES)
def test_a_manifest_replaced_by_another_is_detected(case: Case, codec: str) -> None:
    other = case.read_manifest(codec, second=True)
    for manifest in (other, replace(other, size=case.read_manifest(codec).size)):
        with case.replaced(case.manifest(codec), manifest.to_bytes(), f"another, of size {manifest.size}"):
            case.assert_found(codec)
            case.assert_refused(codec, in_place=True)


def frames(codec: str, parts: list[bytes]) -> list[bytes]:
    """Compress each part separately; concatenated, they decompress to all parts."""
    found = []
    for part in parts:
        sink = BytesIO()
        packing = CODECS[codec].compress(sink, CODECS[codec].level)
        packing.write(part)
        packing.close()
        found.append(sink.getvalue())
    return found


def decompressed(codec: str, data: bytes) -> bytes:
    stream = CODECS[codec].decompress(BytesIO(data))
    return b"".join(iter(lambda: stream.read(1 << 16), b""))


def fitting(written: Manifest, data: bytes) -> bytes:
    """Return a manifest with the size and the SHA-256 of ``data``."""
    return replace(written, size=len(data), sha256=hashlib.sha256(data).hexdigest()).to_bytes()


@pytest.mark.parametrize("codec", NAMES)
def test_an_archive_truncated_between_frames_is_detected(case: Case, codec: str) -> None:
    """Truncation is detected even if the manifest has the size of the truncated archive."""
    written, plain = case.read_manifest(codec), decompressed(codec, case.archive(codec).read_bytes())
    # At the ends of a collection's blocks, too.
    ends = {offset + 4 for offset in range(len(plain) - 4) if plain.startswith(TERMINATOR, offset)}
    some = random.Random(SEED).sample(range(1, len(plain)), counts.number(reduced=5, full=20))
    places = [0, *sorted(ends | set(some)), len(plain)]
    packed = frames(codec, [plain[one:other] for one, other in pairwise(places)])
    whole = b"".join(packed)
    with (
        case.replaced(case.archive(codec), whole, "frames"),
        case.replaced(case.manifest(codec), fitting(written, whole), "of that"),
    ):
        listed = case.catalog.get(case.first[codec])
        verify(case.catalog, listed)
        for number in range(len(packed)):
            short = b"".join(packed[:number])
            with case.replaced(case.archive(codec), short, f"{number} frames"):
                case.assert_found(codec)
                case.assert_found(codec, listed=listed)
                with case.replaced(case.manifest(codec), fitting(written, short), "of that"):
                    case.assert_found(codec)


@pytest.mark.parametrize("codec", NAMES)
def test_bytes_after_an_archive_are_detected(case: Case, codec: str) -> None:
    data, written = case.archive(codec).read_bytes(), case.read_manifest(codec)
    listed = case.catalog.get(case.first[codec])
    empty, block = frames(codec, [b"", TERMINATOR])
    more = {"itself": data, "a frame": block, "zeros": bytes(1000), "a zero": b"\0", "an empty frame": empty}
    for what, trailing in more.items():
        longer = data + trailing
        with case.replaced(case.archive(codec), longer, f"with {what} after it"):
            case.assert_found(codec)
            case.assert_found(codec, listed=listed)
            case.assert_refused(codec, in_place=True)
            with case.replaced(case.manifest(codec), fitting(written, longer), "of that"):
                if trailing is empty:  # this change adds nothing
                    verify(case.catalog, case.catalog.get(case.first[codec]))
                else:
                    case.assert_found(codec)


class ChangingStore(Store):
    """A store whose file ``name`` has different ``content`` at the second read."""

    def __init__(self, store: Store, name: str, content: bytes) -> None:
        self._store = store
        self._name = name
        self._content = content
        self._was_read = False

    @property
    def place(self) -> str:
        return self._store.place

    def prepare(self) -> str | None:
        return self._store.prepare()

    def create(self, name: str) -> Upload:
        return self._store.create(name)

    @contextmanager
    def open(self, name: str, start: int = 0) -> Iterator[Stream]:
        with self._store.open(name, start) as stream:
            yield BytesIO(self._content[start:]) if name == self._name and self._was_read else stream
            self._was_read |= name == self._name

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        return self._store.list(prefix)

    def delete(self, name: str) -> None:
        self._store.delete(name)

    def discard(self, name: str) -> None:
        self._store.discard(name)


def others(case: Case, codec: str) -> dict[str, bytes]:
    """Return contents to which an archive may change after it was verified."""
    data = case.archive(codec).read_bytes()
    (empty,) = frames(codec, [b""])
    return {
        "another that is whole": case.archive(codec, second=True).read_bytes(),
        "longer by nothing": data + empty,
        "cut off": data[:-1],
        "empty": b"",
        **{f"{kind} {number}": changed(data, kind, number) for kind in CHANGES for number in range(2)},
    }


@pytest.mark.parametrize("codec", NAMES)
def test_an_archive_that_changes_after_verification_is_detected(large_case: Case, codec: str) -> None:
    for what, content in others(large_case, codec).items():
        with large_case.replaced(large_case.archive(codec), large_case.archive(codec).read_bytes(), what):
            large_case.assert_found_in_time(codec, content)


@pytest.mark.parametrize("codec", NAMES)
def test_a_restore_in_place_leaves_an_incomplete_target(large_case: Case, codec: str) -> None:
    """The target is already emptied. The error reports that, and the partial data is marked as incomplete."""
    content = others(large_case, codec)["another that is whole"]
    project = large_case.project
    project.backups = BackupCatalog(
        ChangingStore(LocalStore(large_case.store), large_case.archive(codec).name, content)
    )
    with pytest.raises(BrokenBackup, match="'other' is empty now: it was to be replaced in place"):
        project.restore(large_case.first[codec], "other", engine="native", in_place=True)
    with pytest.raises(IncompleteDatabase, match="'other' was emptied for `restore first"):
        project.list_migrations("other")
    project.restore(large_case.newest_of_all, "other", engine="native")
    large_case.assert_untouched()


# Wrong descriptions of a collection.
WRONG: dict[str, Callable[[CollectionSummary], tuple[CollectionSummary, ...]]] = {
    "one document more": lambda held: (replace(held, documents=held.documents + 1),),
    "no documents": lambda held: (replace(held, documents=0),),
    "a byte more": lambda held: (replace(held, bytes=held.bytes + 1),),
    "an index more": lambda held: (replace(held, indexes=held.indexes + 1),),
    "another name": lambda held: (replace(held, name="another"),),
    "another kind": lambda held: (replace(held, kind="timeseries"),),
    "not there": lambda held: (),
    "there twice": lambda held: (held, held),
    "one too many": lambda held: (held, replace(held, name="one too many")),
}


@pytest.mark.parametrize("what", WRONG)
def test_wrong_numbers_are_detected_despite_a_correct_checksum(case: Case, what: str) -> None:
    codec = NAMES[0]
    written = case.read_manifest(codec)
    for number, held in enumerate(written.collections):
        before, after = written.collections[:number], written.collections[number + 1 :]
        if (wrong := WRONG[what](held)) != (held,):
            manifest = replace(written, collections=(*before, *wrong, *after))
            with case.replaced(case.manifest(codec), manifest.to_bytes(), f"{what}: {held.name!r}"):
                case.assert_found(codec)


def text(members: dict[str, Any]) -> bytes:
    return (json.dumps(members, indent=1, ensure_ascii=False) + "\n").encode(errors="surrogatepass")


def signed(members: dict[str, Any]) -> bytes:
    """Return a manifest with these members and the correct checksum."""
    checksum = hashlib.sha256(text({**members, "checksum": ""})).hexdigest()
    return text({**members, "checksum": checksum})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *(("size", size) for size in (0, 1, 1 << 62)),
        *(("sha256", sha256) for sha256 in ("", "0" * 64)),
        *(("codec", codec) for codec in ("", "zip", NAMES[1])),
        *(("kind", kind) for kind in ("", "sql")),
    ],
)
def test_wrong_format_information_is_detected(case: Case, name: str, wrong: object) -> None:
    codec = NAMES[0]
    members = json.loads(case.manifest(codec).read_bytes())
    assert signed(members) == case.manifest(codec).read_bytes()
    other = {**members, name: wrong}
    # An unknown codec or kind of database may come from a newer monarch.
    newer = wrong in ("", "zip", "sql") and name in ("codec", "kind")
    with case.replaced(case.manifest(codec), signed(other), "with a checksum that fits"):
        case.assert_found(codec, state="unreadable" if newer else "broken", manifest=newer)
    with case.replaced(case.manifest(codec), text(other), "without"):
        case.assert_found(codec, manifest=True)


@settings(derandomize=True)
@given(st.binary(max_size=2000))
def test_random_bytes_are_not_a_manifest(data: bytes) -> None:
    with pytest.raises(DamagedError, match=r"^Its manifest is"):
        Manifest.from_bytes(data)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["zst", "mongo", "2014-05-29", "0001-01-01T00:00:00+23:59", 10**30]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = [one.name for one in fields(Manifest)]
HELD = [one.name for one in fields(CollectionSummary)]


@settings(derandomize=True, deadline=None, max_examples=counts.number(reduced=20, full=100))
@example("taken_at", "2014-05-29T00:38:00")
@example("finished_at", "2014-05-29T00:38:00+02:00")
@example("size", "12")
@example("kind", ["mongo"])
@example("collections name", None)
@example("collections bytes", 10**400)
@example("collections documents", True)
@given(st.sampled_from([*FIELDS, *(f"collections {name}" for name in HELD)]), VALUES)
def test_a_manifest_with_random_values_is_at_most_an_error(case: Case, name: str, value: object) -> None:
    """A handwritten manifest with a correct checksum gives an error, never a traceback."""
    codec = NAMES[0]
    members = json.loads(case.manifest(codec).read_bytes())
    outer, _, inner = name.partition(" ")
    if inner:
        members[outer][1][inner] = value
    else:
        members[outer] = value
    with case.replaced(case.manifest(codec), signed(members), name):
        for command in ("list_backups", "show_backup NAME", "verify_backup NAME"):
            result = case.folder.invoke(*command.replace("NAME", case.first[codec]).split())
            assert result.code in (0, 1), result.output
            assert "defect" not in result.err, result.output
