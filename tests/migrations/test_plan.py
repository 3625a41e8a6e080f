from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from monarch.errors import MigrationError, ProjectError
from monarch.history import Record, State
from monarch.migrations.files import MigrationFile
from monarch.migrations.plan import list_status, pending

A, B, C = (MigrationFile(Path(f"_2014{n}_{n}_migration.py"), f"2014{n}", n) for n in "abc")
FILES = (A, B, C)


def records(**states: State) -> dict[str, Record]:
    when = datetime(2014, 5, 29, 0, 38)
    return {f"_2014{n}_{n}_migration": Record(f"_2014{n}_{n}_migration", s, when) for n, s in states.items()}


def test_what_is_not_completed_is_pending_also_what_was_merged_late() -> None:
    assert pending(FILES, records(b=State.COMPLETED), "dev") == (A, C)
    assert pending(FILES, records(a=State.NEW), "dev") == FILES
    assert pending(FILES, records(a=State.COMPLETED, b=State.COMPLETED, c=State.COMPLETED), "dev") == ()
    assert pending((), {}, "dev") == ()


@pytest.mark.parametrize("state", [State.FAILED, State.PROCESSING])
def test_nothing_goes_past_what_did_not_finish(state: State) -> None:
    known = records(a=State.COMPLETED, b=state)
    with pytest.raises(MigrationError, match=A.name) as caught:
        pending(FILES, known, "dev")
    assert B.key in caught.value.message
    assert f"monarch migrate_one {B.key} dev" in str(caught.value.hint)
    assert "monarch migrate dev --retry" in str(caught.value.hint)
    assert pending(FILES, known, "dev", retry=True) == (B, C)


def test_what_did_not_finish_and_is_not_here_stands_in_the_way_of_a_retry_too() -> None:
    with pytest.raises(MigrationError, match="its file is not here"):
        pending((A, C), records(b=State.FAILED), "dev", retry=True)


def test_a_history_without_any_file_is_the_wrong_folder() -> None:
    with pytest.raises(MigrationError, match="There are no migrations here"):
        pending((), records(a=State.COMPLETED), "dev")


def test_list_status_shows_both_sides() -> None:
    rows = list_status((A, C), records(a=State.COMPLETED, b=State.COMPLETED))
    assert [(row.key, row.state, row.file) for row in rows] == [
        (A.key, State.COMPLETED, A),
        (B.key, State.COMPLETED, None),
        (C.key, State.NEW, C),
    ]


def test_two_of_one_name_may_both_have_run_but_neither_may_be_pending() -> None:
    again = MigrationFile(Path("_2015a_A_migration.py"), "2015a", "A")
    both = {key: Record(key, State.COMPLETED) for key in (A.key, again.key)}
    assert pending((A, again), both, "dev") == ()
    for known in ({}, {A.key: both[A.key]}, {again.key: both[again.key]}):
        with pytest.raises(ProjectError, match="Two migrations are called"):
            pending((A, again), known, "dev")
