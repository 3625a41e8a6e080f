from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from monarch.databases.history import Action, Attempt, MigrationState, Record
from monarch.errors import MigrationError, ProjectError
from monarch.migrations.files.find import MigrationFile, checksum
from monarch.migrations.plan import AlreadyRunning, Reason, RunSelection, pending
from monarch.migrations.status import judge, list_status

WHEN = datetime(2014, 5, 29, 0, 38)


@pytest.fixture
def files(tmp_path: Path) -> tuple[MigrationFile, ...]:
    """The files of the migrations a, b and c."""
    made = tuple(MigrationFile(tmp_path / f"_2014{n}_{n}_migration.py", f"2014{n}", n) for n in "abc")
    for file in made:
        file.path.write_text(file.name)
    return made


def key(name: str) -> str:
    return f"_2014{name}_{name}_migration"


def records(**states: MigrationState) -> dict[str, Record]:
    return {key(name): Record(key(name), state, WHEN) for name, state in states.items()}


def names(
    files: tuple[MigrationFile, ...],
    known: dict[str, Record],
    selection: RunSelection = RunSelection(),  # noqa: B008
) -> str:
    return "".join(step.file.name for step in pending(files, known, "dev", selection))


def test_migrations_that_are_not_completed_are_pending_including_late_ones(
    files: tuple[MigrationFile, ...],
) -> None:
    assert names(files, records(b=MigrationState.COMPLETED)) == "ac"
    assert names(files, records(a=MigrationState.NEW)) == "abc"
    assert (
        names(
            files, records(a=MigrationState.COMPLETED, b=MigrationState.COMPLETED, c=MigrationState.COMPLETED)
        )
        == ""
    )
    assert pending((), {}, "dev", RunSelection()) == ()


def test_late_migrations_are_named_and_refused_in_strict_order(
    files: tuple[MigrationFile, ...],
) -> None:
    known = records(b=MigrationState.COMPLETED)
    assert [step.why for step in pending(files, known, "dev", RunSelection())] == [Reason.LATE, Reason.NEW]
    with pytest.raises(MigrationError, match=f"the order is strict: {key('a')}"):
        pending(files, known, "dev", RunSelection(strict_order=True))
    assert names(files, known, RunSelection(strict_order=True, only=("c",))) == "c"
    assert [row.late for row in list_status(files, known, {})] == [True, False, False]


@pytest.mark.parametrize("state", [MigrationState.FAILED, MigrationState.INTERRUPTED])
def test_an_unfinished_migration_blocks_later_ones(
    state: MigrationState, files: tuple[MigrationFile, ...]
) -> None:
    known = records(a=MigrationState.COMPLETED, b=state)
    for selection in (
        RunSelection(),
        RunSelection(only=("c",)),
        RunSelection(only=("c",), retry=True),
        RunSelection(to="b"),
    ):
        with pytest.raises(MigrationError, match=key("b")) as caught:
            pending(files, known, "dev", selection)
        assert f"monarch migrate_one {key('b')} dev" in str(caught.value.hint)
        assert "monarch migrate dev --retry" in str(caught.value.hint)
    assert names(files, known, RunSelection(retry=True)) == "bc"
    assert names(files, known, RunSelection(retry=True, only=("b",))) == "b"
    # Earlier migrations are not blocked.
    assert names(files, records(b=state), RunSelection(to="a")) == "a"


def test_the_error_names_the_backup_to_restore(files: tuple[MigrationFile, ...]) -> None:
    known = records(a=MigrationState.FAILED)
    known[key("a")] = replace(known[key("a")], attempt=Attempt("ann", backup="app__2014_05_29"))
    with pytest.raises(MigrationError) as caught:
        pending(files, known, "dev", RunSelection())
    assert "`monarch restore app__2014_05_29:dev`" in str(caught.value.hint)
    known[key("a")] = replace(known[key("a")], attempt=Attempt("ann", action=Action.ROLLBACK))
    with pytest.raises(MigrationError) as caught:
        pending(files, known, "dev", RunSelection())
    assert f"monarch rollback dev {key('a')}" in str(caught.value.hint)


def test_a_running_migration_is_not_retried(files: tuple[MigrationFile, ...]) -> None:
    running = Record(key("b"), MigrationState.PROCESSING, WHEN, Attempt("process 7 of ann on ci", alive=True))
    with pytest.raises(AlreadyRunning, match="by process 7 of ann on ci"):
        pending(files, {running.key: running}, "dev", RunSelection(retry=True))


def test_an_unfinished_migration_without_a_file_also_blocks_a_retry(
    files: tuple[MigrationFile, ...],
) -> None:
    a, _, c = files
    with pytest.raises(MigrationError, match="its file is not here"):
        pending((a, c), records(b=MigrationState.FAILED), "dev", RunSelection(retry=True))


def test_to_and_only(files: tuple[MigrationFile, ...]) -> None:
    assert names(files, {}, RunSelection(to="b")) == "ab"
    assert names(files, {}, RunSelection(only=("c", "a"))) == "ac"
    assert names(files, {}, RunSelection(only=("c", "a"), to="b")) == "a"
    assert names(files, records(a=MigrationState.COMPLETED), RunSelection(only=("a",))) == ""
    with pytest.raises(ProjectError, match="no migration 'd'"):
        pending(files, {}, "dev", RunSelection(to="d"))


def test_a_repeatable_migration_runs_again_after_a_change_and_after_the_others(
    files: tuple[MigrationFile, ...],
) -> None:
    known = records(a=MigrationState.COMPLETED, b=MigrationState.COMPLETED)
    known[key("a")] = replace(known[key("a")], repeats=checksum(files[0]))
    assert names(files, known) == "c"
    files[0].path.write_text("another")
    steps = pending(files, known, "dev", RunSelection())
    assert [(step.file.name, step.why) for step in steps] == [("c", Reason.NEW), ("a", Reason.CHANGED)]
    changed = list_status(files, known, {key("a"): "before"})[0]
    assert (changed.changed, changed.edited) == (True, False)
    assert judge("dev", list_status(files, known, {})).pending == (key("a"), key("c"))


def test_line_endings_are_not_a_change(files: tuple[MigrationFile, ...]) -> None:
    files[0].path.write_bytes(b"one\ntwo\n")
    before = checksum(files[0])
    files[0].path.write_bytes(b"one\r\ntwo\r\n")
    assert checksum(files[0]) == before


def test_a_history_without_any_file_is_the_wrong_folder() -> None:
    with pytest.raises(MigrationError, match="There are no migrations here"):
        pending((), records(a=MigrationState.COMPLETED), "dev", RunSelection())


def test_list_status_shows_files_and_history(files: tuple[MigrationFile, ...]) -> None:
    a, b, c = files
    rows = list_status((a, c), records(a=MigrationState.COMPLETED, b=MigrationState.COMPLETED), {})
    assert [(row.key, row.state, row.file, row.gone) for row in rows] == [
        (a.key, MigrationState.COMPLETED, a, False),
        (b.key, MigrationState.COMPLETED, None, True),
        (c.key, MigrationState.NEW, c, False),
    ]


def test_an_edited_migration_is_reported_until_the_edit_is_accepted(files: tuple[MigrationFile, ...]) -> None:
    known = records(a=MigrationState.COMPLETED, b=MigrationState.COMPLETED)
    a, b, _ = files
    rows = list_status((a,), known, {a.key: "before", b.key: checksum(b)})
    assert [(row.edited, row.gone) for row in rows] == [(True, False), (False, True)]
    rows = list_status((a,), known, {a.key: checksum(a), b.key: None})
    assert not any(row.edited or row.gone for row in rows)
    # The files that monarch 0.1 ran are unknown.
    assert not any(row.edited for row in list_status((a, b), known, {}))


def test_the_verdict(files: tuple[MigrationFile, ...]) -> None:
    a, b, c = files
    known = records(a=MigrationState.COMPLETED, b=MigrationState.INTERRUPTED)
    verdict = judge("dev", list_status(files, known, {a.key: "before"}))
    assert (verdict.unfinished, verdict.pending, verdict.edited) == ((b.key,), (c.key,), (a.key,))
    known = records(a=MigrationState.COMPLETED, c=MigrationState.COMPLETED)
    verdict = judge("dev", list_status((b,), known, {}))
    assert (verdict.gone, verdict.ahead, verdict.pending, verdict.late) == (
        (a.key,),
        (c.key,),
        (b.key,),
        (b.key,),
    )


def test_two_migrations_with_one_name_may_both_have_run_but_none_may_be_pending(
    files: tuple[MigrationFile, ...],
) -> None:
    a = files[0]
    again = MigrationFile(Path("_2015a_A_migration.py"), "2015a", "A")
    both = {file.key: Record(file.key, MigrationState.COMPLETED) for file in (a, again)}
    assert pending((a, again), both, "dev", RunSelection()) == ()
    for known in ({}, {a.key: both[a.key]}, {again.key: both[again.key]}):
        with pytest.raises(ProjectError, match="Two migrations are called"):
            pending((a, again), known, "dev", RunSelection())
