"""Views that would not fit together in the target are refused before anything is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pymongo.database import Database

from tests.support.runs.two_environments import TwoEnvironments, assert_error
from tests.support.samples.equality import describe

pytestmark = pytest.mark.server


def a_view_that_gets_the_name_of_what_it_reads(
    source: Database[Any], target: Database[Any]
) -> tuple[str, ...]:
    source.create_collection("mine", viewOn="users", pipeline=[])
    target.users.insert_one({})
    return "--only", "mine", "--rename", "mine=users"


def a_view_in_place_of_what_a_view_reads(source: Database[Any], target: Database[Any]) -> tuple[str, ...]:
    source.create_collection("people", viewOn="people_v2", pipeline=[])
    target.people.insert_one({})
    target.create_collection("people_v2", viewOn="people", pipeline=[])
    return "--only", "people", "--into-existing"


@pytest.mark.parametrize("command", ["copy_db", "restore"])
@pytest.mark.parametrize(
    "make", [a_view_that_gets_the_name_of_what_it_reads, a_view_in_place_of_what_a_view_reads]
)
def test_views_that_do_not_fit_are_refused_first(
    two: TwoEnvironments, command: str, make: Callable[..., tuple[str, ...]]
) -> None:
    options = make(two.source, two.target)
    before = describe(two.target)
    source = "production"
    if command == "restore":
        two.folder.keep_backups()
        source = two.folder.invoke("backup", "production", "--json").json["name"]
    result = two.folder.invoke(command, f"{source}:dev", "--yes", "--engine", "native", *options)
    assert_error(result, 2, "would read themselves", "--exclude")
    assert describe(two.target) == before
    assert two.folder.invoke("list_migrations", "dev").code == 0
