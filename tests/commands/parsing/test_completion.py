"""Shell completion, requested as bash requests it."""

from __future__ import annotations

import pytest

from tests.support.runs.shell import Folder


def complete(folder: Folder, line: str) -> set[str]:
    words = line.split(" ")
    result = folder.monarch(
        variables={
            "_MONARCH_COMPLETE": "bash_complete",
            "COMP_WORDS": line,
            "COMP_CWORD": str(len(words) - 1),
        }
    )
    assert (result.code, result.err) == (0, "")
    return {row.split(",", 1)[1] for row in result.out.splitlines() if row}


def test_completion_of_environments_and_migrations(folder: Folder) -> None:
    folder.settings(development={"embedded": True, "db_name": "a"}, production={"host": "h", "db_name": "a"})
    key = folder.migration("add_users")
    assert complete(folder, "monarch migrate dev") == {"development"}
    assert complete(folder, "monarch migrate ") == {"development", "production"}
    assert complete(folder, "monarch migrate_one add") == {"add_users"}
    assert complete(folder, "monarch migrate_one _2014") == {key}
    assert complete(folder, "monarch migrate d") == {"development"}
    assert complete(folder, "monarch migrate_one add_users pro") == {"production"}
    assert "migrate_one" in complete(folder, "monarch mig")


@pytest.mark.parametrize("settings", [None, "this is not python"])
def test_completion_never_fails(folder: Folder, settings: str | None) -> None:
    if settings:
        folder.write("migrations/settings.py", settings)
    assert complete(folder, "monarch migrate dev") == set()
    assert complete(folder, "monarch migrate_one x") == set()


@pytest.mark.parametrize(
    "name", ["x$(touch${IFS}PWNED)", "x;id", "x`id`", "x|id", "x y", "x'y", 'x"y', "x*", "~x"]
)
@pytest.mark.parametrize("command", ["show_backup", "restore", "delete_backup"])
def test_names_that_a_shell_would_execute_are_not_offered(folder: Folder, command: str, name: str) -> None:
    """The scripts for shells do not quote, and anybody may have named a file of the store."""
    folder.settings(dev={"host": "h", "db_name": "a"})
    store = folder.keep_backups()
    store.mkdir()
    for stem in (name, "usual"):
        (store / f"{stem}__2026_01_01.dmp.zst").touch()
    offered = complete(folder, f"monarch {command} ")
    assert {word.rstrip(":") for word in offered} - {"dev"} == {"usual__2026_01_01"}


def test_the_script_for_the_shell(folder: Folder) -> None:
    result = folder.monarch(variables={"_MONARCH_COMPLETE": "bash_source"})
    assert result.code == 0
    assert "_MONARCH_COMPLETE=bash_complete" in result.out


def test_completion_of_what_is_taken_over(folder: Folder) -> None:
    """The shell completes the path itself."""
    folder.settings(dev={"host": "h", "db_name": "a"})
    assert "--without-oplog" in complete(folder, "monarch adopt_backup --w")
    assert complete(folder, "monarch adopt_backup x --environment d") == {"dev"}
    result = folder.monarch(
        variables={
            "_MONARCH_COMPLETE": "bash_complete",
            "COMP_WORDS": "monarch adopt_backup du",
            "COMP_CWORD": "2",
        }
    )
    assert result.out.startswith("file,")
