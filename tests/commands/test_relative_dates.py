"""`-o since=30d`: dates relative to now, through the real commands, of both kinds of databases."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.runs.billing import Billing, make_billing
from tests.support.runs.shell import Folder
from tests.support.servers.postgres import PostgresServer

pytestmark = pytest.mark.server

QUERY_SET = """
from datetime import datetime
from monarch import QuerySet


class VisitsQuerySet(QuerySet):

    since: datetime{default}

    def run(self):
        self.dump_collection('visits', {{'at': {{'$gte': self.since}}}})
"""
PROMPTING = """
import click
from monarch import QuerySet


class VisitsQuerySet(QuerySet):

    def run(self):
        since = click.prompt('Since', type=click.DateTime())
        self.dump_collection('visits', {'at': {'$gte': since}})
"""
# The column has a zone, or not; what the option is, and the condition.
OF_POSTGRES = """
from datetime import date, datetime
from monarch import QuerySet


class VisitsQuerySet(QuerySet):

    since: {kind}

    def run(self):
        self.dump_table('visits', '{column} >= %s', [self.since])
"""


@pytest.fixture
def visits(project: Folder) -> Folder:
    """A project with a document for each of the last ten days, and one for each of the last ten hours."""
    now = datetime.now(UTC)
    days = [{"_id": f"{n}d", "at": now - timedelta(days=n, minutes=-30)} for n in range(1, 11)]
    hours = [{"_id": f"{n}h", "at": now - timedelta(hours=n, minutes=-30)} for n in range(1, 11)]
    project.database.visits.insert_many([*days, *hours])
    project.keep_backups()
    return project


def documents(folder: Folder, *arguments: str) -> int:
    """Return how many documents a backup of a part has."""
    result = folder.monarch("backup", "dev", "-q", "VisitsQuerySet", "--json", *arguments)
    assert result.code == 0, result.err
    return sum(one["documents"] for one in result.json["collections"] if one["name"].endswith("visits"))


@pytest.mark.parametrize(("text", "expected"), [("3d", 13), ("4h", 4), ("1w", 17), ("2001-01-01", 20)])
def test_an_option(visits: Folder, text: str, expected: int) -> None:
    visits.write("querysets/visits.py", QUERY_SET.format(default=""))
    assert documents(visits, "-o", f"since={text}") == expected
    shown = visits.invoke(
        "show_backup", visits.invoke("list_backups", "--json").json[0]["name"], "--json"
    ).json
    assert shown["query_options"] == [f"since={text}"]
    wrong = visits.monarch("backup", "dev", "-q", "VisitsQuerySet", "-o", "since=3x")
    assert (wrong.code, wrong.err.splitlines()) == (
        2,
        [
            "Error: -o since=3x: '3x' is not of type datetime.",
            "Hint: Like 2014-05-29, 2014-05-29T00:38+00:00, or 30d for thirty days ago (h, d or w).",
        ],
    )


def test_a_default(visits: Folder) -> None:
    visits.write("querysets/visits.py", QUERY_SET.format(default=" = '3d'"))
    assert documents(visits) == 13
    assert "since: datetime = 3d" in visits.invoke("list_query_sets").out
    visits.write("querysets/visits.py", QUERY_SET.format(default=" = 'soon'"))
    wrong = visits.monarch("backup", "dev", "-q", "VisitsQuerySet")
    assert wrong.code == 2
    assert "The default of since is 'soon', which is not of type datetime." in wrong.err


@pytest.mark.parametrize("source", [QUERY_SET.format(default=""), PROMPTING], ids=["option", "prompt"])
def test_a_question_in_a_terminal(visits: Folder, source: str) -> None:
    visits.write("querysets/visits.py", source)
    terminal = visits.terminal("backup", "dev", "-q", "VisitsQuerySet")
    terminal.expect("since .datetime, or 30d for thirty days ago.: |Since: ")
    terminal.sendline("soon")
    terminal.expect("30d for thirty days ago")
    terminal.expect("(?i)since[^\n]*: ")
    terminal.sendline("3d")
    terminal.expect(r"13 documents")
    terminal.read()
    assert terminal.wait() == 0
    assert documents(visits, "-o", "since=4h") == 4


@pytest.fixture
def billing(tmp_path: Path, postgres: PostgresServer) -> Iterator[Billing]:
    with make_billing(tmp_path, postgres) as made:
        yield made


@pytest.mark.parametrize("kind", ["datetime", "date"])
@pytest.mark.parametrize("column", ["zoned", "plain"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/Los_Angeles", "<+07>-07"])
def test_postgres_reads_them_by_the_clock_of_its_session(
    billing: Billing, zone: str, column: str, kind: str
) -> None:
    """A time without a zone is one of the zone of the session, as it is in psql."""
    billing.folder.keep_backups()
    billing.folder.write("querysets/visits.py", OF_POSTGRES.format(kind=kind, column=column))
    with billing.postgres.connect(billing.db_name) as connection:
        connection.execute(f"ALTER DATABASE {billing.db_name} SET timezone TO '{zone}'".encode())
        connection.execute("CREATE TABLE visits (id int PRIMARY KEY, zoned timestamptz, plain timestamp)")
    with billing.postgres.connect(billing.db_name) as connection:
        connection.execute(
            "INSERT INTO visits SELECT n, now() - n * interval '1 hour' + interval '30 minutes', "
            "localtimestamp - n * interval '1 hour' + interval '30 minutes' FROM generate_series(1, 100) n"
        )
    if kind == "datetime":
        assert documents(billing.folder, "-o", "since=4h") == 4
    (expected,) = billing.rows(
        f"SELECT count(*) FROM visits WHERE {column} >= (now() - interval '2 days')::date"
    )[0]
    if kind == "date":
        assert documents(billing.folder, "-o", "since=2d") == expected
