"""The contract suite of stores. Subclass it and define how to open an empty store.

The suite does not assume files: a store may be unable to rename, may keep unfinished files as parts of
uploads, and may list a thousand names at a time.
"""

from __future__ import annotations

import hashlib
import random
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monarch.errors import LockedError, StoreError
from monarch.stores.base import NameTaken, NotStored, Store, StoredFile
from tests.support import counts

MiB = 1 << 20
# More than one page in stores that list a thousand names per page.
MANY = 1_250
HALF = b"half of it"
# Characters that names of backups may contain, including those special in shells, URLs and patterns.
ODD_NAMES = (
    "with spaces  in it",
    " before and behind ",
    "dot.dot..dot...",
    "production: the 2nd",
    "100%",
    "%41",
    "A",
    "a%2Fb",
    "1+1",
    "1 1",
    "a&b=c;d,e@f#g",
    "~user",
    "$HOME 'quoted' `ls`",
    "[ab]",
    "{a,b}",
    "größe 犬 🐕",
    "x" * 230,
    "犬" * 76,
)

T = TypeVar("T")
Names = Iterable[str]
_numbers = count(1)


class StoreContract(ABC):
    """The contract; ``store`` and ``again`` are two objects for one place, which is empty and prepared.

    ``many`` names need more than one page; ``rounds`` is how often the tests of concurrent writers repeat.
    """

    many = MANY
    rounds = 20

    @pytest.fixture
    @abstractmethod
    def store(self) -> Store: ...

    @pytest.fixture
    @abstractmethod
    def again(self) -> Store: ...

    @pytest.fixture
    @abstractmethod
    def nowhere(self) -> Store:
        """Return a store whose place does not exist yet."""

    @abstractmethod
    def die_writing(self, store: Store, names: Names) -> None:
        """Let writers begin files in the place of ``store``, write `HALF` and die."""

    @abstractmethod
    def intrude(self, store: Store, name: str, data: bytes) -> None:
        """Put a file into the store as a program that ignores the contract."""

    def test_a_place_has_a_readable_name(self, store: Store, again: Store) -> None:
        assert store.place.strip()
        assert store.place == again.place

    def test_an_existing_place_is_not_changed(self, store: Store) -> None:
        assert store.prepare() is None
        assert list(store.list()) == []

    def test_a_place_that_does_not_exist_is_empty(self, nowhere: Store) -> None:
        assert list(nowhere.list()) == []
        assert list(nowhere.list("a")) == []
        with pytest.raises(NotStored), nowhere.open("a"):
            pass
        with pytest.raises(NotStored):
            nowhere.delete("a")
        nowhere.prepare()
        assert nowhere.prepare() is None
        write(nowhere, "a", b"data")
        assert read(nowhere, "a") == b"data"

    @settings(
        max_examples=counts.number(reduced=15, full=40),
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    @given(
        parts=st.lists(st.binary(max_size=300), max_size=12),
        where=st.floats(0, 1),
        size=st.integers(1, 400),
    )
    def test_a_file_is_read_as_it_was_written(
        self, store: Store, again: Store, parts: list[bytes], where: float, size: int
    ) -> None:
        name, data = f"file {next(_numbers)}", b"".join(parts)
        write(store, name, *parts)
        start = round(len(data) * where)
        assert read(again, name, size=size) == data
        assert read(again, name, start, size) == data[start:]
        assert stored(again, name).bytes == len(data)

    def test_a_stream_of_many_small_writes(self, store: Store, again: Store) -> None:
        parts = [bytes([number % 251]) * (number % 50) for number in range(5_000)]
        write(store, "a", *parts)
        assert read(again, "a") == b"".join(parts)

    def test_a_large_file(self, store: Store, again: Store) -> None:
        """A file of several parts in every store, the last of which is shorter."""
        size, source, written = 18 * MiB + 12_345, random.Random(1), hashlib.sha256()
        with store.create("a") as upload:
            left = size
            while left:
                data = source.randbytes(min(left, source.choice([1, 70_000, MiB, 3 * MiB])))
                upload.write(data)
                written.update(data)
                left -= len(data)
            upload.finish()
        data = read(again, "a", size=MiB)
        assert hashlib.sha256(data).digest() == written.digest()
        assert stored(again, "a").bytes == size
        for start in (1, 5 * MiB, 5 * MiB + 1, 16 * MiB - 1, size - 1, size):
            assert read(again, "a", start, MiB) == data[start:]

    def test_an_empty_file(self, store: Store) -> None:
        write(store, "nothing written")
        write(store, "nothing in it", b"", b"")
        for name in ("nothing written", "nothing in it"):
            assert read(store, name) == b""
            assert stored(store, name).bytes == 0

    def test_a_stream_stays_at_its_end_and_returns_at_most_the_requested_size(self, store: Store) -> None:
        write(store, "a", b"0123456789")
        with store.open("a", 3) as stream:
            data = b""
            while part := stream.read(4):
                assert len(part) <= 4
                data += part
            assert data == b"3456789"
            assert stream.read(4) == b""

    def test_a_file_has_many_concurrent_readers(self, store: Store, again: Store) -> None:
        data = random.Random(2).randbytes(300_000)
        write(store, "a", data)
        with store.open("a") as one, again.open("a", 100_000) as two, store.open("a", 200_000) as three:
            for stream, start in ((two, 100_000), (one, 0), (three, 200_000)):
                assert stream.read(1) == data[start : start + 1]

    def test_an_error_of_the_reader_is_raised_unchanged(self, store: Store) -> None:
        write(store, "a", b"data")
        with pytest.raises(ZeroDivisionError), store.open("a"):
            raise ZeroDivisionError

    def test_a_finished_file_is_listed(self, store: Store, again: Store) -> None:
        write(store, "a", b"data")
        found = stored(again, "a")
        assert (found.bytes, found.unfinished, found.busy) == (4, False, False)
        assert found.modified.utcoffset() == timedelta(0)
        assert abs(datetime.now(UTC) - found.modified) < timedelta(minutes=5)

    def test_an_unfinished_file_is_listed_as_unfinished(self, store: Store, again: Store) -> None:
        with store.create("a") as upload:
            for data in (b"", b"some", bytes(100_000)):
                upload.write(data)
                found = stored(again, "a")
                assert found.unfinished
                assert found.modified.utcoffset() == timedelta(0)
                assert abs(datetime.now(UTC) - found.modified) < timedelta(minutes=5)
            upload.finish()
            assert not stored(again, "a").unfinished
        assert not stored(again, "a").unfinished

    def test_an_unfinished_file_cannot_be_opened(self, store: Store, again: Store) -> None:
        with store.create("a") as upload:
            upload.write(bytes(100_000))
            for one in (store, again):
                with pytest.raises(NotStored), one.open("a"):
                    pass
            upload.finish()
        assert read(again, "a") == bytes(100_000)

    def test_an_unfinished_file_reserves_its_name_and_is_not_disturbed(
        self, store: Store, again: Store
    ) -> None:
        with store.create("a") as upload:
            upload.write(b"mine, ")
            for one in (store, again):
                with pytest.raises(NameTaken):
                    one.create("a")
                assert stored(one, "a").unfinished
            upload.write(b"all of it")
            upload.finish()
        assert read(again, "a") == b"mine, all of it"

    def test_a_finished_file_reserves_its_name_and_is_not_replaced(self, store: Store, again: Store) -> None:
        write(store, "a", b"the first")
        for one in (store, again):
            with pytest.raises(NameTaken):
                one.create("a")
            assert [found.unfinished for found in one.list()] == [False]
        assert read(again, "a") == b"the first"

    def test_a_file_of_a_dead_writer_is_unfinished(self, store: Store, again: Store) -> None:
        self.die_writing(store, ["a"])
        found = stored(again, "a")
        assert found.unfinished
        assert not found.busy
        for one in (store, again):
            with pytest.raises(NotStored), one.open("a"):
                pass
            with pytest.raises(NameTaken):
                one.create("a")
        assert stored(again, "a").unfinished

    def test_a_file_of_a_dead_writer_can_be_deleted(self, store: Store, again: Store) -> None:
        self.die_writing(store, ["a"])
        again.delete("a")
        assert list(store.list()) == []
        with pytest.raises(NotStored):
            again.delete("a")
        write(store, "a", b"whole")
        assert read(again, "a") == b"whole"

    def test_one_of_two_concurrent_writers_gets_a_name(self, store: Store, again: Store) -> None:
        for number in range(self.rounds):
            name = f"file {number}"
            got = at_once(partial(begin_and_finish, (store, again), name), 6)
            (winner,) = (writer for writer in got if writer is not None)
            assert read(again, name) == bytes([winner]) * 1000
        assert [found.unfinished for found in store.list()] == [False] * self.rounds

    def test_many_concurrent_writers(self, store: Store, again: Store) -> None:
        def work(writer: int) -> None:
            for number in range(10):
                write((store, again)[writer % 2], f"{writer}-{number}", bytes([writer, number]) * 500)

        at_once(work, 6)
        assert len(names(store)) == 60
        for writer, number in ((0, 0), (3, 7), (5, 9)):
            assert read(again, f"{writer}-{number}") == bytes([writer, number]) * 500

    @pytest.mark.parametrize("size", [0, 1, 12 * MiB])
    def test_an_upload_that_is_given_up_leaves_nothing(self, store: Store, again: Store, size: int) -> None:
        upload = store.create("by a call")
        upload.write(bytes(size))
        upload.give_up()
        with store.create("at the end") as upload:
            upload.write(bytes(size))
        for error in (ValueError, KeyboardInterrupt):
            with pytest.raises(error):
                write_and_fail(store, f"by {error.__name__}", bytes(size), error)
        assert list(again.list()) == []

    def test_the_name_of_an_upload_that_was_given_up_is_free(self, store: Store, again: Store) -> None:
        upload = store.create("a")
        upload.write(b"the first")
        upload.give_up()
        with again.create("a") as second:
            second.write(b"the second")
            upload.give_up()  # a second call must not affect the new owner of the name
            assert stored(store, "a").unfinished
            second.finish()
        assert read(store, "a") == b"the second"

    def test_a_finished_file_is_not_given_up(self, store: Store, again: Store) -> None:
        with store.create("a") as upload:
            upload.write(b"data")
            upload.finish()
            upload.give_up()
        assert read(again, "a") == b"data"

    def test_a_file_does_not_replace_one_that_was_created_meanwhile(self, store: Store, again: Store) -> None:
        with store.create("a") as upload:
            upload.write(b"ours")
            self.intrude(store, "a", b"theirs")
            with pytest.raises(NameTaken):
                upload.finish()
        assert [found.unfinished for found in again.list()] == [False]
        assert read(again, "a") == b"theirs"

    def test_files_of_other_programs_keep_their_names(self, store: Store) -> None:
        self.intrude(store, "a", b"theirs")
        with pytest.raises(NameTaken):
            store.create("a")
        assert [found.unfinished for found in store.list()] == [False]
        assert read(store, "a") == b"theirs"

    def test_a_prefix_is_taken_literally(self, store: Store, again: Store) -> None:
        for name in ("app", "app%", "app__1", "app__1.json", "apple", "b*", "bb"):
            write(store, name, b"data")
        assert set(names(again, "app__")) == {"app__1", "app__1.json"}
        assert set(names(again, "app%")) == {"app%"}
        assert set(names(again, "b*")) == {"b*"}
        assert set(names(again, "app")) == {"app", "app%", "app__1", "app__1.json", "apple"}
        assert names(again, "application") == names(again, "APP") == []
        assert len(names(again)) == 7

    def test_a_prefix_finds_an_unfinished_file_by_its_name_only(self, store: Store, again: Store) -> None:
        with store.create("app__1") as upload:
            upload.write(b"data")
            assert names(again, "app_") == names(again, "app__1") == ["app__1"]
            for longer in (".", ".p", ".part", ".json", "/", "~"):
                assert names(again, "app__1" + longer) == []
            assert names(again, "pp") == []

    def test_many_files_are_listed_once_each(self, store: Store, again: Store) -> None:
        expected = [f"{'even' if number % 9 else 'odd'} {number}" for number in range(self.many)]
        with ThreadPoolExecutor(2) as threads:
            list(threads.map(lambda name: write(store, name, name.encode()), expected))
        assert Counter(names(again)) == Counter(expected)
        even = [name for name in expected if name.startswith("even")]
        assert len(even) > self.many * 4 // 5
        assert Counter(names(again, "even")) == Counter(even)
        assert sum(found.bytes for found in again.list()) == sum(map(len, expected))
        # A caller may stop early.
        assert next(again.list()).name in expected

    def test_many_unfinished_files_are_listed_once_each(self, store: Store, again: Store) -> None:
        expected = [f"file {number}" for number in range(self.many)]
        self.die_writing(store, expected)
        write(store, "whole", b"data")
        found = list(again.list())
        assert Counter(one.name for one in found) == Counter([*expected, "whole"])
        assert [one.name for one in found if not one.unfinished] == ["whole"]

    def test_delete_removes_one_file_only(self, store: Store, again: Store) -> None:
        for name in ("a", "a.json", "ab", "b"):
            write(store, name, name.encode())
        again.delete("a")
        assert sorted(names(store)) == ["a.json", "ab", "b"]
        assert read(store, "a.json") == b"a.json"
        for one in (store, again):
            with pytest.raises(NotStored), one.open("a"):
                pass
            with pytest.raises(NotStored):
                one.delete("a")

    def test_a_deleted_name_can_be_used_again(self, store: Store, again: Store) -> None:
        for number in range(3):
            data = f"number {number}".encode() * (3 - number)
            write(store, "a", data)
            assert read(again, "a") == data
            again.delete("a")
        assert list(store.list()) == []

    def test_a_missing_file_is_not_stored(self, store: Store) -> None:
        write(store, "ab", b"data")
        for name in ("a", "abc", "b"):
            with pytest.raises(NotStored, match=name), store.open(name):
                pass
            with pytest.raises(NotStored, match=name):
                store.delete(name)

    def test_discard_removes_only_an_unfinished_file(self, store: Store, again: Store) -> None:
        write(store, "whole", b"data")
        self.die_writing(store, ["cut"])
        again.discard("cut")
        for name in ("cut", "whole", "never"):
            with pytest.raises(NotStored):
                again.discard(name)
        assert read(again, "whole") == b"data"
        assert names(again) == ["whole"]

    def test_a_file_is_not_deleted_while_its_writer_is_known_to_be_alive(
        self, store: Store, again: Store
    ) -> None:
        with store.create("a") as upload:
            upload.write(b"the first")
            if stored(again, "a").busy:
                with pytest.raises(LockedError):
                    again.delete("a")
                upload.finish()
                assert read(again, "a") == b"the first"
                return
            again.delete("a")
            assert list(again.list()) == []
            # Its writer can no longer finish, and does not affect the upload of another writer.
            with again.create("a") as second:
                second.write(b"the second")
                with pytest.raises(StoreError):
                    upload.finish()
                upload.give_up()
                second.finish()
        assert read(again, "a") == b"the second"

    def test_unusual_names(self, store: Store, again: Store) -> None:
        for name in ODD_NAMES:
            write(store, name, b"of ", name.encode())
        assert Counter(names(again)) == Counter(ODD_NAMES)
        for name in ODD_NAMES:
            assert read(again, name) == b"of " + name.encode()
            assert name in names(again, name)
            with pytest.raises(NameTaken):
                again.create(name)
        for number, name in enumerate(ODD_NAMES, 1):
            again.delete(name)
            assert len(names(store)) == len(ODD_NAMES) - number

    def test_unusual_names_of_unfinished_files(self, store: Store, again: Store) -> None:
        self.die_writing(store, ODD_NAMES)
        assert {found.name: found.unfinished for found in again.list()} == dict.fromkeys(ODD_NAMES, True)
        for name in ODD_NAMES:
            again.delete(name)
        assert list(store.list()) == []


def write(store: Store, name: str, *parts: bytes) -> None:
    """Write a file in ``parts``."""
    with store.create(name) as upload:
        for part in parts:
            upload.write(part)
        upload.finish()


def read(store: Store, name: str, start: int = 0, size: int = 1 << 16) -> bytes:
    """Read the file ``name`` from ``start`` on, ``size`` bytes at a time."""
    data = bytearray()
    with store.open(name, start) as stream:
        while part := stream.read(size):
            data += part
    return bytes(data)


def names(store: Store, prefix: str = "") -> list[str]:
    """Return the names that ``store`` lists."""
    return [found.name for found in store.list(prefix)]


def stored(store: Store, name: str) -> StoredFile:
    """Return the only file called ``name``."""
    (found,) = (found for found in store.list(name) if found.name == name)
    return found


def write_and_fail(store: Store, name: str, data: bytes, error: type[BaseException]) -> None:
    """Begin a file and raise ``error``."""
    with store.create(name) as upload:
        upload.write(data)
        raise error


def begin_and_finish(handles: tuple[Store, Store], name: str, writer: int) -> int | None:
    """Write a file; return ``who``, or None if another writer got the name."""
    try:
        upload = handles[writer % 2].create(name)
    except NameTaken:
        return None
    with upload:
        upload.write(bytes([writer]) * 1000)
        upload.finish()
    return writer


def at_once(work: Callable[[int], T], many: int) -> list[T]:
    """Return the results of ``many`` threads that start at the same time."""
    barrier = threading.Barrier(many)

    def begin(writer: int) -> T:
        barrier.wait(20)
        return work(writer)

    with ThreadPoolExecutor(many) as threads:
        return list(threads.map(begin, range(many)))
