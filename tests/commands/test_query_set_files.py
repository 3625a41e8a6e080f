"""``generate_query_set`` and ``list_query_sets`` need no server."""

from __future__ import annotations

import pytest

from tests.commands.parsing.test_completion import complete
from tests.support.runs.shell import Folder
from tests.support.runs.two_environments import assert_error

GENERATED = '''
from monarch import QuerySet


class AwesomeDogsQuerySet(QuerySet):

    def run(self):
        """Select documents here
'''
RUN = "    def run(self): ...\n"
NOTHING: dict[str, list[str]] = {"option_details": [], "questions": []}


@pytest.fixture
def project(folder: Folder) -> Folder:
    """A project without a query set."""
    folder.settings(production={"host": "localhost", "db_name": "app"})
    return folder


def test_generate(project: Folder) -> None:
    result = project.monarch("generate_query_set", "awesome_dogs")
    assert (result.code, result.err) == (0, "")
    assert result.out == "Wrote querysets/awesome_dogs_queryset.py\n"
    files = project.files()
    assert set(files) == {
        "migrations/settings.py",
        "querysets/__init__.py",
        "querysets/awesome_dogs_queryset.py",
    }
    source = files["querysets/awesome_dogs_queryset.py"].decode()
    assert source.startswith(GENERATED.lstrip())
    assert "$" not in source
    compile(source, "generated", "exec")
    assert [row["name"] for row in project.monarch("list_query_sets", "--json").json] == [
        "AwesomeDogsQuerySet"
    ]


def test_generate_for_a_kind_of_database(project: Folder) -> None:
    assert project.monarch("generate_query_set", "dogs", "--kind", "postgres").code == 0
    assert b"self.dump_table('dogs', 'type = %s'" in project.files()["querysets/dogs_queryset.py"]
    project.settings(billing={"kind": "postgres", "host": "localhost", "db_name": "billing"})
    assert project.monarch("generate_query_set", "cats").code == 0
    source = project.files()["querysets/cats_queryset.py"].decode()
    assert "self.dump_table('dogs'" in source
    compile(source, "generated", "exec")
    project.settings(
        app={"host": "localhost", "db_name": "app"},
        billing={"kind": "postgres", "host": "localhost", "db_name": "billing"},
    )
    refused = project.monarch("generate_query_set", "birds")
    assert_error(refused, 2, "have databases of several kinds", "--kind mongo or --kind postgres")


def test_generate_does_not_overwrite(project: Folder) -> None:
    project.write("querysets/__init__.py", "MINE = 1")
    assert project.monarch("generate-query-set", "dogs").code == 0
    assert project.files()["querysets/__init__.py"] == b"MINE = 1"


@pytest.mark.parametrize(
    ("file", "source", "message"),
    [
        ("dogs_queryset.py", "", "There is a query set 'DogsQuerySet' already: querysets/dogs_queryset.py"),
        (
            "other.py",
            f"from monarch import QuerySet\nclass DogsQuerySet(QuerySet):\n{RUN}",
            "There is a query set 'DogsQuerySet' already: querysets/other.py",
        ),
    ],
)
def test_a_name_that_is_taken(project: Folder, file: str, source: str, message: str) -> None:
    project.write(f"querysets/{file}", source)
    before = project.files()
    assert_error(project.monarch("generate_query_set", "dogs"), 2, message, "Choose another name.")
    assert project.files() == before


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("2dogs", "monarch generate_query_set add_2dogs"),
        ("../dogs", "monarch generate_query_set dogs"),
        ("!", "For example: monarch generate_query_set add_indexes"),
    ],
)
def test_an_invalid_name(project: Folder, name: str, hint: str) -> None:
    result = project.monarch("generate_query_set", name)
    assert_error(result, 2, "cannot be the name of a query set", hint)
    assert set(project.files()) == {"migrations/settings.py"}


def test_a_name_in_words(project: Folder) -> None:
    assert project.invoke("generate_query_set", "Awesome dögs").code == 0
    assert b"class AwesomeDogsQuerySet(" in project.files()["querysets/awesome_dogs_queryset.py"]
    unquoted = project.invoke("generate_query_set", "Awesome", "cats")
    assert_error(unquoted, 2, "2 names are given", 'monarch generate_query_set "Awesome cats"')
    environment = project.invoke("generate_query_set", "production")
    assert_error(environment, 2, "'production' is an environment", "monarch generate_query_set add_indexes")


def test_outside_a_project(folder: Folder) -> None:
    assert_error(
        folder.monarch("generate_query_set", "dogs"), 2, "There is no migrations/settings.py here", "init"
    )
    assert folder.files() == {}


def test_list(project: Folder) -> None:
    project.write(
        "querysets/pets.py",
        "from monarch import QuerySet\n1 / 0\n"
        f"class Dogs(QuerySet):\n    '''Only good ones.\n\n    More.'''\n{RUN}class Cats(QuerySet):\n{RUN}",
    )
    result = project.monarch("list_query_sets")
    assert (result.code, result.err) == (0, "")
    assert [" ".join(line.split()) for line in result.out.splitlines()] == [
        "QUERY SET FILE OPTIONS SUMMARY",
        "Cats querysets/pets.py",
        "Dogs querysets/pets.py Only good ones.",
    ]
    assert project.monarch("list_query_sets", "--json").json == [
        {"name": "Cats", "file": "querysets/pets.py", "summary": "", "options": [], **NOTHING},
        {
            "name": "Dogs",
            "file": "querysets/pets.py",
            "summary": "Only good ones.",
            "options": [],
            **NOTHING,
        },
    ]


def test_the_list_has_options_with_types_and_defaults(project: Folder) -> None:
    """Also inherited ones. None of this is executed."""
    project.write(
        "querysets/bases.py",
        """
        import datetime as dt
        from typing import ClassVar, Literal, Optional
        from monarch import QuerySet

        1 / 0

        class Base(QuerySet):
            account_id: int
            since: dt.datetime = '30d'
            _private: int
            limits: ClassVar[list[int]] = [1]
            connection: object

            def run(self): ...
        """,
    )
    project.write(
        "querysets/orders.py",
        """
        from querysets.bases import Base

        class Orders(Base):
            state: Literal['open', 'done'] = 'open'
            perhaps: "Optional[int]" = None
            until: datetime = datetime(2026, 1, 2)
            at: dt.datetime | None = datetime.now() - timedelta(days=1)
            ids: list[int] = [1, 2]
            all: bool = False
            password: str = 'hunter2hunter2'
            since = datetime(2026, 1, 2, 3)
        """,
    )
    _, orders = project.invoke("list_query_sets", "--json").json
    assert orders["options"] == [one["name"] for one in orders["option_details"]]
    assert [tuple(one.values()) for one in orders["option_details"]] == [
        ("account_id", "int", True, None),
        ("since", "datetime", False, "2026-01-02T03:00:00"),
        ("state", "open | done", False, "open"),
        ("perhaps", "int", False, None),
        ("until", "datetime", False, "2026-01-02"),
        ("at", "datetime", False, "datetime.now() - timedelta(days=1)"),
        ("ids", "list[int]", False, "1,2"),
        ("all", "bool", False, "no"),
        ("password", "str", False, "********"),
    ]
    shown = project.invoke("list_query_sets").out
    assert "account_id: int, since: datetime = 30d" in shown
    assert "state: open | done = open, perhaps: int = none, until: datetime = 2026-01-02" in shown


def test_the_list_has_the_questions(project: Folder) -> None:
    """As far as their texts are constants. Their names are those that ``-o`` takes."""
    project.write(
        "querysets/asking.py",
        """
        import click
        from click import confirm, prompt
        from monarch import QuerySet

        class Base(QuerySet):
            since: str = 'x'

            def run(self):
                prompt('Please enter a account id', type=int)
                if confirm('Everything?'):
                    click.prompt('Which state', type=click.Choice(['open', 'done']))
                click.prompt(text='Until', type=click.DateTime())
                click.prompt('How\\n many dogs', default=5)
                click.prompt('Town', type=click.INT)
                prompt(f'x {1}'), prompt(x), prompt(5), prompt(), other('Not this'), self.confirm('Nor this')

        class Inherits(Base): ...

        class Calls(Base):
            def run(self):
                super().run()
                prompt('More')

        class Replaces(Base):
            def run(self):
                prompt('More', 'text')
        """,
    )
    rows = {row["name"]: row for row in project.invoke("list_query_sets", "--json").json}
    base = rows["Base"]["questions"]
    assert [tuple(one.values()) for one in base] == [
        ("account_id", "int", "Please enter a account id"),
        ("everything", "bool", "Everything?"),
        ("state", "open | done", "Which state"),
        ("until", "datetime", "Until"),
        ("many_dogs", "int", "How many dogs"),
        ("town", "int", "Town"),
    ]
    more = {"name": "more", "type": "str", "question": "More"}
    assert rows["Inherits"]["questions"] == base
    assert rows["Calls"]["questions"] == [*base, more]
    assert rows["Replaces"]["questions"] == [more]
    assert "since: str = x, more: str (asked)" in project.invoke("list_query_sets").out
    assert "many_dogs=" in complete(project, "monarch backup production -q Base -o m")


@pytest.mark.parametrize("columns", [60, 200])
def test_a_terminal_shows_the_options_whole(project: Folder, columns: int) -> None:
    options = "account: int, since: datetime = 30d"
    source = (
        "from monarch import QuerySet\nclass Dogs(QuerySet):\n    account: int\n    since: datetime = '30d'\n"
    )
    project.write("querysets/pets.py", f"{source}{RUN}")
    terminal = project.terminal("list_query_sets", columns=columns)
    shown = terminal.read()
    terminal.wait()
    assert options in shown
    assert ("QUERY SET" in shown) == (columns == 200)


def test_bases_in_a_circle_and_strange_annotations(project: Folder) -> None:
    project.write(
        "querysets/odd.py",
        """
        class A(B, QuerySet): a: int
        class B(A): b: "not python" = f(x)
        class C(QuerySet): c: Annotated[int, "more"]; d: X[Y, [Z]]; e: date = date(1, 2, 99); f: int = -1
        class D(QuerySet): g: bytes = b"x"; h: str = "{long}"; i: "\\0" = ...; j: float = 1.5
        """.replace("{long}", "x" * 500),
    )
    rows = project.invoke("list_query_sets", "--json").json
    assert {(row["name"], *row["options"]) for row in rows[:2]} == {
        ("A", "b", "a"),
        ("B", "a", "b"),
    }
    assert [(one["type"], one["default"]) for one in rows[2]["option_details"]] == [
        ("int", None),
        ("X[Y, [Z]]", None),
        ("date", "date(1, 2, 99)"),
        ("int", "-1"),
    ]
    assert [one["default"] for one in rows[3]["option_details"]] == ["b'x'", "x" * 500, "...", "1.5"]
    assert f"h: str = {'x' * 40}…," in project.invoke("list_query_sets").out


def test_an_empty_list(project: Folder) -> None:
    result = project.monarch("list_query_sets")
    assert (result.code, result.out) == (
        0,
        "There are no query sets. Make one: monarch generate_query_set NAME\n",
    )
    assert project.monarch("list_query_sets", "--json").json == []


def test_a_file_that_is_not_python(project: Folder) -> None:
    project.write("querysets/broken.py", "x = (")
    for command in (("list_query_sets",), ("generate_query_set", "dogs")):
        result = project.monarch(*command)
        assert_error(result, 2, "querysets/broken.py, line 1 is not valid Python", "Fix that first.")


def test_completion_of_names(project: Folder) -> None:
    project.write(
        "querysets/pets.py",
        f"from monarch import QuerySet\nclass Dogs(QuerySet):\n{RUN}class Cats(QuerySet):\n{RUN}",
    )
    assert complete(project, "monarch backup production -q ") == {"Cats", "Dogs"}
    assert complete(project, "monarch copy_db production:dev --query-set D") == {"Dogs"}
    project.write("querysets/broken.py", "x = (")
    assert complete(project, "monarch backup production -q ") == set()


def test_list_query_sets_outside_a_project(folder: Folder) -> None:
    result = folder.monarch("list_query_sets")
    assert_error(result, 2, r"There is no migrations/settings.py here", "`monarch init`")
    assert result.out == ""
    folder.write("app/migrations/settings.py", "ENVIRONMENTS = {}")
    assert Folder(folder.path / "app").monarch("list_query_sets").code == 0
    folder.write("migrations/settings.py", "")
    (folder.path / "below").mkdir()
    assert Folder(folder.path / "below").monarch("list_query_sets", "--json").json == []
    below = folder.monarch("--project", "below", "list_query_sets")
    assert_error(below, 2, r"There is no migrations/settings.py here", f"There is a project in {folder.path}")
