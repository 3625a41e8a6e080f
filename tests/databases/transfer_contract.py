"""The contract of database kinds that support transfers. Subclass it and define how to open two databases."""

from __future__ import annotations

import io
import time
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import suppress

import pytest

from monarch.databases import open_archive
from monarch.databases.history import Action, MigrationState, Operation
from monarch.databases.transfer import CollectionSummary, TransferDatabase
from monarch.errors import MonarchError, UsageError
from monarch.progress import SILENT, Progress
from monarch.system.ci import Origin


class TransformError(MonarchError):
    """The error of a transform in these tests."""


class Failing(Progress):
    """Fails as late as a replacement can be given up."""

    def phase(self, name: str) -> None:
        if name == "swapping":
            raise TransformError("stop")


def _operation(command: str, action: Action, environment: str) -> Operation:
    origin = Origin(commit="abc")
    return Operation(command, action, environment, origin, time.monotonic(), "b", "Q", ("a=1",))


class TransferContract:
    """``source`` and ``target`` are two open databases of one kind, both empty."""

    @pytest.fixture
    @abstractmethod
    def source(self) -> Iterator[TransferDatabase]: ...

    @pytest.fixture
    @abstractmethod
    def target(self) -> Iterator[TransferDatabase]: ...

    @abstractmethod
    def fill(self, database: TransferDatabase, word: str) -> None:
        """Write documents that contain ``word`` into the collection ``word``."""

    @abstractmethod
    def words(self, database: TransferDatabase) -> set[str]:
        """Return the words of all documents of ``database``."""

    def replace(self, target: TransferDatabase, source: TransferDatabase, **changes: object) -> None:
        engine = target.choose_engine("auto")
        contents = source.read(engine)
        with target.lease("a test") as lease:
            target.replace(contents, engine, lease, "a test", progress=SILENT)

    def test_a_complete_database_needs_no_recovery(self, target: TransferDatabase) -> None:
        target.require_whole()
        with target.lease("a test") as lease:
            assert target.recover(lease) is None

    def test_an_unknown_engine_is_refused(self, target: TransferDatabase) -> None:
        with pytest.raises(UsageError):
            target.choose_engine("nonsense")

    def test_the_target_has_exactly_the_contents_of_the_source(
        self, source: TransferDatabase, target: TransferDatabase
    ) -> None:
        self.fill(source, "new")
        self.fill(target, "old")
        self.replace(target, source)
        assert self.words(target) == {"new"}
        summaries = [database.read(database.choose_engine("auto")).summaries for database in (source, target)]
        assert summaries[0] == summaries[1]

    def test_that_contents_are_unmasked_is_recorded_with_them(
        self, source: TransferDatabase, target: TransferDatabase
    ) -> None:
        """In the staging: a run may be killed right after the swap, and one that fails brings nothing."""
        self.fill(source, "new")
        self.fill(target, "old")
        engine = target.choose_engine("auto")
        for command, in_place in (("failing", False), ("beside", False), ("in place", True)):
            arrival = Operation(command, Action.RAW, "x", Origin(commit="abc"), 0.0)
            progress = Failing() if command == "failing" else SILENT
            # Tools that are newer than the server may refuse to write in place.
            refusal = UsageError if in_place else TransformError
            with target.lease("a test") as lease, suppress(refusal):
                target.replace(
                    source.read(engine),
                    engine,
                    lease,
                    "a test",
                    in_place=in_place,
                    operation=arrival,
                    progress=progress,
                )
                assert command != "failing"
                entry = target.history.entries()[-1]
                assert (entry.key, entry.action, entry.commit) == (command, Action.RAW, "abc")
                assert entry.outcome is MigrationState.COMPLETED
                assert entry.finished_at is not None
                assert entry.pid
            assert self.words(target) == {"old" if command == "failing" else "new"}
        assert "failing" not in {entry.key for entry in target.history.entries()}
        assert target.history.read() == {}

    @pytest.mark.parametrize("in_place", [False, True])
    def test_the_journal_of_the_target_outlives_its_contents(
        self, source: TransferDatabase, target: TransferDatabase, in_place: bool
    ) -> None:
        self.fill(source, "new")
        self.fill(target, "old")
        for database, key in ((source, "arrives"), (target, "own")):
            with database.lease("a test") as lease:
                database.recorder(lease).mark(key, MigrationState.COMPLETED, "sum", Origin())
        name = target.history.entries()[0].environment
        assert name
        assert target.record(_operation("backup x", Action.BACKUP, name))
        engine = target.choose_engine("auto")
        for _ in range(2):
            copy = _operation("copy", Action.COPY, name)
            with target.lease("a test") as lease:
                try:
                    target.replace(
                        source.read(engine),
                        engine,
                        lease,
                        "a test",
                        in_place=in_place,
                        operation=copy,
                        progress=SILENT,
                    )
                except UsageError:
                    assert in_place  # tools that are newer than the server may refuse that
                    return
        entries = target.history.entries(everything=True)
        own = [entry for entry in entries if entry.key != "arrives"]
        assert [(entry.key, entry.replaced) for entry in own] == [
            ("own", True),
            ("backup x", True),
            ("copy", True),
            ("copy", False),
        ]
        assert {entry.environment for entry in own} == {name}
        last = own[-1]
        assert (last.outcome, last.query_options) == (MigrationState.COMPLETED, ("a=1",))
        assert last.documents
        assert last.bytes
        assert last.seconds is not None
        assert last.started_at
        assert last.finished_at
        assert set(target.history.read()) == {"arrives"}
        # Those of the commands are shown only if they are asked for.
        assert not {"backup x", "copy"} & {entry.key for entry in target.history.entries()}
        assert [one.key for one in target.history.entries("copy", everything=True)] == ["copy"] * 2

    def test_an_operation_is_recorded_where_there_is_a_journal(self, source: TransferDatabase) -> None:
        self.fill(source, "one")
        operation = _operation("backup x", Action.BACKUP, "x")
        before = dict(source.fingerprint())
        assert not source.record(operation)
        assert dict(source.fingerprint()) == before
        with source.lease("a test"):
            pass
        assert source.record(operation)
        (entry,) = source.history.entries(everything=True)
        assert (entry.key, entry.backup, entry.query_set, entry.commit) == ("backup x", "b", "Q", "abc")
        assert source.history.entries() == ()
        assert source.history.read() == {}
        assert source.history.checksums() == {}

    def test_a_change_alters_the_fingerprint(self, source: TransferDatabase) -> None:
        self.fill(source, "one")
        before = dict(source.fingerprint())
        assert dict(source.fingerprint()) == before
        self.fill(source, "two")
        after = dict(source.fingerprint())
        assert after.pop("two")
        assert after == before

    def test_an_archive_is_a_source(self, source: TransferDatabase, target: TransferDatabase) -> None:
        self.fill(source, "new")
        self.fill(target, "old")
        engine = source.choose_engine("auto")
        archive = io.BytesIO()
        live = source.read(engine)
        written = live.write_archive(archive, SILENT, hashes=False)
        assert live.digests == ()
        summaries = tuple(
            CollectionSummary(one.name, one.kind, one.documents, one.bytes, one.indexes) for one in written
        )
        archive.seek(0)
        with target.lease("a test") as lease:
            opened = open_archive(source.kind, archive, summaries)
            target.replace(opened, engine, lease, "a test", progress=SILENT)
        assert self.words(target) == {"new"}


class TransformContract(TransferContract):
    """The contract of kinds whose transfers can change documents on their way, too."""

    def test_documents_pass_through_the_transforms_in_order(
        self, source: TransferDatabase, target: TransferDatabase
    ) -> None:
        self.fill(source, "new")
        engine = target.choose_engine("auto")
        contents = source.read(engine).transformed(
            (
                lambda _, documents: documents.replace(b"new", b"mid"),
                lambda _, documents: documents.replace(b"mid", b"end"),
            )
        )
        with target.lease("a test") as lease:
            target.replace(contents, engine, lease, "a test", progress=SILENT)
        assert self.words(target) == {"end"}
        assert self.words(source) == {"new"}

    @pytest.mark.parametrize("fault", ["raises", "loses documents"])
    def test_a_failing_transform_does_not_change_the_target(
        self, source: TransferDatabase, target: TransferDatabase, fault: str
    ) -> None:
        def fail(_: str, documents: bytes) -> bytes:
            if fault == "raises":
                raise TransformError("no")
            return b""

        self.fill(source, "new")
        self.fill(target, "old")
        before = dict(target.fingerprint())
        engine = target.choose_engine("auto")
        with target.lease("a test") as lease, pytest.raises(MonarchError):
            target.replace(source.read(engine).transformed((fail,)), engine, lease, "a test", progress=SILENT)
        assert dict(target.fingerprint()) == before
        target.require_whole()
