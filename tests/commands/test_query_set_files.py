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
        {"name": "Cats", "file": "querysets/pets.py", "summary": "", "options": []},
        {"name": "Dogs", "file": "querysets/pets.py", "summary": "Only good ones.", "options": []},
    ]


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
    below = Folder(folder.path / "below").monarch("list_query_sets", "--json")
    assert_error(below, 2, r"There is no migrations/settings.py here", f"There is a project in {folder.path}")
