"""A listing with the cache is the listing without it, whatever is in the cache and happens to the store."""

from __future__ import annotations

import hashlib
import json
import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from monarch.backups.catalog import BackupCatalog
from monarch.backups.listing.cache import KnownManifest, ListingCache, know
from monarch.backups.listing.summary import ManifestSummary
from monarch.backups.names import MANIFEST, PROTECTED, archive_name
from monarch.backups.proof.freshness import Freshness, check_freshness
from monarch.backups.retention.protection import Protection
from monarch.backups.retention.prune import prune
from monarch.backups.state import Backup, BackupState
from monarch.databases.environment import Environment
from monarch.errors import StoreError
from monarch.progress import SILENT
from monarch.stores.base import SmallFile, StoredFile
from tests.support import counts
from tests.support.samples.backups import ARCHIVE, manifest_of
from tests.support.stores.memory import MemoryStore

DAY = datetime(2026, 11, 28, tzinfo=UTC)
NAMES = 8


def etag(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


class Versioned(MemoryStore):
    """A store with versions, as buckets have them. ``read`` are the files that were read.

    ``version_of`` gives a file its version; ``refuses`` that files are read.
    """

    def __init__(self) -> None:
        super().__init__()
        self.read: list[str] = []
        self.version_of: Callable[[bytes], str | None] = etag
        self.refuses = False
        self.before_reading: Callable[[], object] = lambda: None
        self.prepare()

    @property
    def identity(self) -> str:
        return "memory"

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        for stored in super().list(prefix):
            data = self.memory.files.get(stored.name)
            yield replace(stored, version=self.version_of(data[0])) if data else stored

    def read_small(self, names: Iterable[str], largest: int) -> Iterator[SmallFile]:
        names = [*names]
        self.read += names
        self.before_reading()
        for file in super().read_small(names, largest):
            assert isinstance(file.text, bytes)
            text = StoreError("S3 denies it.") if self.refuses else file.text
            yield replace(file, text=text, version=self.version_of(file.text))

    def put(self, name: str, data: bytes, at: datetime = DAY) -> None:
        self.memory.files[name] = data, at

    def add(self, name: str, environment: str = "dev", codec: str = "zst", at: datetime = DAY) -> str:
        archive = archive_name(name, codec)
        self.put(archive, ARCHIVE)
        self.put(archive + MANIFEST, manifest_of(archive, at, environment).to_bytes())
        return archive


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the cache, which is not there yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "monarch"


@pytest.fixture
def store() -> Versioned:
    made = Versioned()
    for number in range(NAMES):
        made.add(f"app__2026_11_{number + 1:02}", at=DAY + timedelta(hours=number))
    return made


def listed(store: Versioned) -> tuple[tuple[Backup, ...], list[str]]:
    """The backups of a listing with the cache, and the manifests that it read."""
    store.read.clear()
    found = BackupCatalog(store).list(cached=True)
    return found, [name for name in store.read if name.endswith(MANIFEST)]


def assert_equal(store: Versioned) -> list[str]:
    """Compare listings with the cache, twice, and without; return what the first of them read."""
    first, read = listed(store)
    assert first == BackupCatalog(store).list()
    assert listed(store)[0] == first
    return read


def test_manifests_are_read_once_and_then_one_of_them(store: Versioned, cache: Path) -> None:
    assert len(assert_equal(store)) == NAMES
    assert len(listed(store)[1]) == 1
    new = store.add("app__2026_11_20") + MANIFEST
    read = assert_equal(store)
    assert len(read) == 2
    assert new in read
    (file,) = cache.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert cache.stat().st_mode & 0o777 == 0o700
    # Nothing stays of a backup that is gone, and an unchanged cache is not written.
    written = file.stat().st_mtime_ns
    listed(store)
    assert file.stat().st_mtime_ns == written
    assert b"app__2026_11_20" in file.read_bytes()
    catalog = BackupCatalog(store)
    catalog.delete(catalog.get("app__2026_11_20"))
    listed(store)
    assert b"app__2026_11_20" not in file.read_bytes()


def test_the_cache_holds_what_a_listing_shows_and_nothing_else(store: Versioned, cache: Path) -> None:
    """Names of collections, servers and recipients stay in the manifests."""
    archive = archive_name("secret", "zst", 1)
    manifest = replace(manifest_of(archive, DAY, "dev"), recipients=("age1recipient",))
    store.put(archive, ARCHIVE)
    store.put(archive + MANIFEST, manifest.to_bytes())
    found, _ = listed(store)
    assert {backup.state for backup in found} == {BackupState.GOOD}
    (file,) = cache.iterdir()
    for word in (b"users", b"MongoDB", b"age1recipient", b"pymongo", manifest.sha256.encode()):
        assert word in b"".join(data for data, _ in store.memory.files.values())
        assert word not in file.read_bytes()


def test_without_the_option_nothing_is_read_from_the_cache_or_written_to_it(
    store: Versioned, cache: Path
) -> None:
    BackupCatalog(store).list()
    assert not cache.exists()
    listed(store)
    store.read.clear()
    BackupCatalog(store).list()
    assert len(store.read) == NAMES


# What may happen to a store between two listings.
def _add(store: Versioned, chance: random.Random) -> None:
    store.add(f"new__2026_10_{chance.randrange(1, 30):02}", chance.choice(["dev", "production", "größe\n"]))


def _add_encrypted(store: Versioned, chance: random.Random) -> None:
    archive = archive_name(f"sealed{chance.randrange(5)}", "zst", 1)
    manifest = replace(manifest_of(archive, DAY, "dev"), recipients=("age1…",), private=True)
    store.put(archive, ARCHIVE)
    store.put(archive + MANIFEST, manifest.to_bytes())


def _add_parts(store: Versioned, chance: random.Random) -> None:
    archive = archive_name(f"part{chance.randrange(5)}", "gz")
    manifest = replace(
        manifest_of(archive, DAY, "dev"),
        query_set="few",
        query_options=("of=?",),
        masked=chance.random() < 0.5,
    )
    store.put(archive, ARCHIVE)
    store.put(archive + MANIFEST, manifest.to_bytes())


def _some(store: Versioned, chance: random.Random, ending: str) -> str | None:
    names = sorted(name for name in store.memory.files if name.endswith(ending))
    return chance.choice(names) if names else None


def _remove(store: Versioned, chance: random.Random) -> None:
    if name := _some(store, chance, chance.choice(["", MANIFEST, ".zst"])):
        del store.memory.files[name]


def _damage(store: Versioned, chance: random.Random) -> None:
    if name := _some(store, chance, MANIFEST):
        data = bytearray(store.memory.files[name][0] or b"x")
        data[chance.randrange(len(data))] ^= 1
        store.put(name, bytes(data), store.memory.files[name][1])


def _replace(store: Versioned, chance: random.Random) -> None:
    """Write another manifest of the same size, at the same time."""
    if name := _some(store, chance, MANIFEST):
        at = store.memory.files[name][1]
        archive = name.removesuffix(MANIFEST)
        store.put(name, manifest_of(archive, DAY, chance.choice(["dev", "qa1", "qa2"])).to_bytes(), at)


def _newer(store: Versioned, chance: random.Random) -> None:
    if name := _some(store, chance, MANIFEST):
        store.put(name, b'{"monarch_backup": 99}')


def _cut_archive(store: Versioned, chance: random.Random) -> None:
    if name := _some(store, chance, ".zst"):
        store.put(name, ARCHIVE[: chance.randrange(4)])


def _protect(store: Versioned, chance: random.Random) -> None:
    if name := _some(store, chance, ".zst"):
        store.put(name + PROTECTED, Protection(who="me").to_bytes())


def _begin(store: Versioned, chance: random.Random) -> None:
    with suppress(StoreError):
        store.create(archive_name(f"begun{chance.randrange(5)}", "zst")).write(b"some")


def _put_others(store: Versioned, chance: random.Random) -> None:
    store.put("dump.archive", b"\x6d\xe2\x99\x81")
    store.put("old.dmp.zip", b"PK")
    store.put("notes.txt", b"mine")


CHANGES = (
    *(_add, _add_encrypted, _add_parts, _remove, _damage, _replace, _newer),
    *(_cut_archive, _protect, _begin, _put_others),
)


@pytest.mark.parametrize("seed", range(counts.number(reduced=15, full=150)))
def test_listings_are_equal_whatever_happens_in_between(store: Versioned, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(8):
        for _ in range(chance.randrange(4)):
            chance.choice(CHANGES)(store, chance)
        assert_equal(store)


# What may happen to the file of the cache. ``text`` is what was in it.
def _body(text: bytes) -> tuple[bytes, dict[str, object]]:
    head, _, body = text.partition(b"\n")
    return head, json.loads(body)


def _sealed(written: object) -> bytes:
    body = json.dumps(written).encode()
    return b"monarch listing " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _swap(text: bytes) -> dict[str, object]:
    _, written = _body(text)
    manifests = written["manifests"]
    assert isinstance(manifests, dict)
    one, two, *_ = manifests
    manifests[one], manifests[two] = manifests[two], manifests[one]
    return written


def _with(**about: object) -> Callable[[bytes], bytes]:
    def change(text: bytes) -> bytes:
        _, written = _body(text)
        return _sealed({**written, "about": {**written["about"], **about}})  # type: ignore[dict-item]

    return change


def _with_row(change: Callable[[list[object]], object]) -> Callable[[bytes], bytes]:
    def changed(text: bytes) -> bytes:
        _, written = _body(text)
        manifests = written["manifests"]
        assert isinstance(manifests, dict)
        return _sealed({**written, "manifests": {name: change(row) for name, row in manifests.items()}})

    return changed


TEXTS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda text: b"",
    "zeros": lambda text: bytes(len(text)),
    "cut at half": lambda text: text[: len(text) // 2],
    "cut by one": lambda text: text[:-1],
    "cut in the head": lambda text: text[:20],
    "one bit": lambda text: text[:300] + bytes([text[300] ^ 1]) + text[301:],
    "one bit of the head": lambda text: text[:20] + bytes([text[20] ^ 1]) + text[21:],
    "more at the end": lambda text: text + b" ",
    "twice": lambda text: text + text,
    "swapped": lambda text: _body(text)[0] + b"\n" + json.dumps(_swap(text)).encode(),
    "another store": _with(store="another"),
    "another format": _with(format=1),
    "another version": _with(monarch="0.9"),
    "no JSON": lambda text: _sealed("x").replace(b'"', b"!"),
    "no object": lambda text: _sealed([1, 2]),
    "no manifests": lambda text: _sealed({"about": _body(text)[1]["about"]}),
    "short rows": _with_row(lambda row: row[:5]),
    "long rows": _with_row(lambda row: [*row, 1]),
    "no rows": _with_row(lambda row: None),
    "an unknown kind": _with_row(lambda row: [*row[:7], "oracle", *row[8:]]),
    "a time that is none": _with_row(lambda row: [*row[:6], "today", *row[7:]]),
    "deep": lambda text: _sealed(0)[:80] + b"[" * 100_000,
}


@pytest.mark.parametrize("change", TEXTS.values(), ids=TEXTS.keys())
def test_a_file_that_is_not_as_it_was_written_counts_as_empty(
    store: Versioned, cache: Path, change: Callable[[bytes], bytes]
) -> None:
    listed(store)
    (file,) = cache.iterdir()
    changed = change(file.read_bytes())
    assert changed != file.read_bytes()
    file.write_bytes(changed)
    assert len(assert_equal(store)) == NAMES
    assert len(listed(store)[1]) == 1


def test_swapped_entries_with_a_right_hash_are_found_by_their_versions(store: Versioned, cache: Path) -> None:
    listed(store)
    (file,) = cache.iterdir()
    file.write_bytes(_sealed(_swap(file.read_bytes())))
    assert len(assert_equal(store)) == 3  # both of them, and the one that is always read


def _folder_in_its_place(file: Path) -> None:
    file.unlink()
    (file / "x").mkdir(parents=True)


def _link(file: Path) -> None:
    file.symlink_to(file.rename(file.parent.parent / "moved"))


def _pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def _huge(file: Path) -> None:
    os.truncate(file, 1 << 40)


def _for_others(file: Path) -> None:
    file.chmod(0o666)


def _of_another_user(file: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root")
    os.chown(file, 12_345, 12_345)


def _folder_of_another_user(file: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("needs root")
    os.chown(file.parent, 12_345, 12_345)


def _folder_for_others(file: Path) -> None:
    file.parent.chmod(0o777)


def _linked_folder(file: Path) -> None:
    file.parent.symlink_to(file.parent.rename(file.parent.parent / "moved"))


def _file_for_a_folder(file: Path) -> None:
    file.parent.rename(file.parent.parent / "moved")
    file.parent.write_text("")


@pytest.mark.parametrize(
    ("change", "kept_again"),
    [
        (_folder_in_its_place, False),
        (_link, True),
        (_pipe, True),
        (_huge, True),
        (_for_others, True),
        (_of_another_user, True),
        (_folder_of_another_user, False),
        (_folder_for_others, False),
        (_linked_folder, False),
        (_file_for_a_folder, False),
    ],
)
def test_what_somebody_else_may_have_put_there_counts_as_empty(
    store: Versioned, cache: Path, change: Callable[[Path], None], kept_again: bool
) -> None:
    listed(store)
    (file,) = cache.iterdir()
    text = file.read_bytes()
    change(file)
    assert len(assert_equal(store)) == NAMES
    assert len(listed(store)[1]) == (1 if kept_again else NAMES)
    moved = cache.parent / "moved"
    if moved.is_file():
        assert moved.read_bytes() == text


@contextmanager
def _full_disk() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_a_full_disk_is_no_error(store: Versioned, cache: Path) -> None:
    with _full_disk():
        assert len(assert_equal(store)) == NAMES
    assert list(cache.iterdir()) == []
    listed(store)
    text = next(cache.iterdir()).read_bytes()
    store.add("app__2026_11_20")
    with _full_disk():
        assert_equal(store)
    assert [file.read_bytes() for file in cache.iterdir()] == [text]


@pytest.mark.parametrize("folder", ["/dev/null", "/proc/nothing", "relative", "", "/x\0y", "~"])
def test_a_folder_that_cannot_be_is_no_error(
    store: Versioned, folder: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    if "\0" in folder:
        monkeypatch.setenv("HOME", "/dev/null")
        monkeypatch.delenv("XDG_CACHE_HOME")
    else:
        monkeypatch.setenv("XDG_CACHE_HOME", folder)
    assert_equal(store)
    # A relative one is not used, as its specification says.
    kept = (tmp_path / "home" / ".cache" / "monarch").exists()
    assert kept == (folder in ("relative", "", "~"))
    assert not (tmp_path / "relative").exists()


def test_a_user_without_a_home_has_no_cache(store: Versioned, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", fail)
    assert_equal(store)


def test_a_store_without_versions_has_no_cache(store: Versioned, cache: Path) -> None:
    store.version_of = lambda data: None
    for _ in range(2):
        assert len(assert_equal(store)) == NAMES
    assert not cache.exists()


def test_a_store_without_an_identity_has_no_cache(cache: Path) -> None:
    store = MemoryStore()
    store.prepare()
    assert BackupCatalog(store).list(cached=True) == ()
    assert not cache.exists()


@pytest.mark.parametrize("of_list", [True, False])
def test_a_manifest_that_was_replaced_while_it_was_read_is_not_kept(store: Versioned, of_list: bool) -> None:
    name = archive_name("app__2026_11_01", "zst") + MANIFEST
    before, at = store.memory.files[name]
    other = manifest_of(name.removesuffix(MANIFEST), DAY, "qa1").to_bytes()
    store.before_reading = lambda: store.put(name, other, at)
    listed(store)
    store.before_reading = lambda: None
    if of_list:  # the listing was late, and still shows the old version
        store.put(name, before, at)
    assert name in assert_equal(store)


@pytest.mark.parametrize("what", ["version", "size", "time"])
def test_each_of_version_size_and_time_tells_manifests_apart(store: Versioned, what: str) -> None:
    """For example if the clock of the server goes back, or its versions are numbers that come again."""
    name = archive_name("app__2026_11_01", "zst") + MANIFEST
    if what != "version":
        store.version_of = lambda data: "1"
    listed(store)
    _, at = store.memory.files[name]
    other = manifest_of(name.removesuffix(MANIFEST), DAY, "other" if what == "size" else "qa1").to_bytes()
    store.put(name, other, at - timedelta(days=400) if what == "time" else at)
    assert name in assert_equal(store)
    assert "other" in str(listed(store)[0]) or "qa1" in str(listed(store)[0])


def test_a_server_whose_versions_are_wrong_is_found_out(store: Versioned) -> None:
    store.version_of = lambda data: "1"
    listed(store)
    for name, (_, at) in list(store.memory.files.items()):
        if name.endswith(MANIFEST):
            store.put(name, manifest_of(name.removesuffix(MANIFEST), DAY, "qa1").to_bytes(), at)
    assert len(assert_equal(store)) == NAMES + 1
    assert {backup.environment for backup in listed(store)[0]} == {"qa1"}


def test_who_may_not_read_manifests_any_more_sees_that(store: Versioned) -> None:
    listed(store)
    store.refuses = True
    assert_equal(store)
    assert {backup.state for backup in listed(store)[0]} == {BackupState.UNREADABLE}


def lie(store: Versioned, **changes: object) -> None:
    """Write a cache whose entries look right, and are not."""
    cache, known = ListingCache(store.identity), dict[str, KnownManifest]()
    for stored in store.list():
        if stored.name.endswith(MANIFEST):
            text = store.memory.files[stored.name][0]
            summary = ManifestSummary.of(BackupCatalog(store).manifest(_backup(store, stored.name)))
            known[stored.name] = know(stored, text, replace(summary, **changes))  # type: ignore[arg-type]
    cache.save(known)


def _backup(store: Versioned, manifest: str) -> Backup:
    (backup,) = BackupCatalog(store).find_all(manifest.removesuffix(MANIFEST))
    return backup


def test_what_restores_and_deletes_does_not_trust_the_cache(store: Versioned) -> None:
    catalog = BackupCatalog(store)
    true = catalog.list()
    lie(store, environment="other", taken_at=DAY - timedelta(days=900))
    false = catalog.list(cached=True)
    assert {backup.environment for backup in false} == {"other"}  # so this test tests something
    assert catalog.list() == true
    assert catalog.find(true[0].name) == true[0]
    assert catalog.newest("dev", "app") == true[-1]
    assert catalog.newest("other", "app") is None
    pruned = prune(catalog, false, lambda backup: None)
    assert pruned.deleted == ()
    assert len(pruned.refused) == NAMES
    assert catalog.list() == true


def test_a_check_of_freshness_reads_the_newest(store: Versioned) -> None:
    catalog = BackupCatalog(store)
    dev = Environment("dev", "mongo", "app", "localhost:27017")

    def check() -> tuple[Freshness, datetime]:
        limit = datetime.now(UTC) - DAY + timedelta(days=30)
        (result,) = check_freshness(catalog, [dev], limit, SILENT, lambda _: None, named=True)
        assert result.newest is not None
        return result.finding, result.newest.taken_at

    true = check()
    assert true[0] is Freshness.OK
    lie(store, taken_at=DAY + timedelta(days=9))
    assert max(backup.taken_at for backup in catalog.list(cached=True)) == DAY + timedelta(days=9)
    assert check() == true


def _known(store: Versioned, number: int) -> dict[str, KnownManifest]:
    """What is known of the manifests of `store`, many times, and different for each ``number``."""
    archive = next(iter(store.memory.files))
    text = manifest_of(archive, DAY, "dev").to_bytes()
    summary = ManifestSummary.of(BackupCatalog(store).manifest(_backup(store, archive + MANIFEST)))
    stored = StoredFile("x", number, DAY, version="1")
    return {f"{number} {n}": know(stored, text, summary) for n in range(300)}


def _numbers(known: dict[str, KnownManifest]) -> set[str]:
    return {name.split()[0] for name in known}


def test_processes_at_once_leave_what_one_of_them_wrote(store: Versioned, cache: Path) -> None:
    writing = [_known(store, number) for number in range(4)]
    children = []
    for known in writing:
        child = os.fork()
        if child == 0:
            for _ in range(30):
                ListingCache("x").save(known)
                if len(_numbers(ListingCache("x").load())) != 1:
                    os._exit(1)
            os._exit(0)
        children.append(child)
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0] * len(children)
    assert ListingCache("x").load() in writing
    assert len(list(cache.iterdir())) == 1


def test_a_writer_that_is_killed_leaves_what_was_there(store: Versioned, cache: Path) -> None:
    writing = [_known(store, number) for number in range(2)]
    ListingCache("x").save(writing[0])
    for number in range(counts.number(reduced=8, full=40)):
        child = os.fork()
        if child == 0:
            while True:
                for known in writing:
                    ListingCache("x").save(known)
        time.sleep(0.003 * (number % 7 + 1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert ListingCache("x").load() in writing
    left = [path for path in cache.iterdir() if path.name.endswith(".tmp")]
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in left)
    old = time.time() - 7_200
    cut = cache / ".listing-x.0123.tmp"
    cut.write_bytes(b"cut")
    for path in [*left, cut]:
        os.utime(path, (old, old))
    ListingCache("x").save(writing[1])
    assert len(list(cache.iterdir())) == 1


def test_files_of_stores_that_nobody_lists_any_more_go(store: Versioned, cache: Path) -> None:
    for name in ("forgotten", "used"):
        ListingCache(name).save(_known(store, 1))
        if name == "forgotten":
            (file,) = cache.iterdir()
            os.utime(file, (time.time() - 100 * 86_400,) * 2)
    assert ListingCache("forgotten").load() == {}
    assert ListingCache("used").load() != {}
