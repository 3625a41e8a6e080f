from __future__ import annotations

import os

import pytest

from monarch.errors import ProjectError
from monarch.querysets.files import find_query_set, find_query_sets, load_query_set
from monarch.querysets.queryset import QuerySet
from tests.support.runs.shell import Folder

RUN = "    def run(self): ...\n"
PLAIN = "from monarch import QuerySet\n"


def names(folder: Folder) -> list[tuple[str, str]]:
    return [(file.name, file.path.name) for file in find_query_sets(folder.path)]


def load(folder: Folder, name: str) -> type[QuerySet]:
    return load_query_set(find_query_set(folder.path, name), folder.path)


def test_a_query_set_has_the_name_of_its_class_in_any_file(folder: Folder) -> None:
    folder.write("querysets/__init__.py", "")
    folder.write("querysets/two.py", f"{PLAIN}class Zebras(QuerySet):\n{RUN}class Ants(QuerySet):\n{RUN}")
    folder.write("querysets/_odd name.py", f"import monarch\nclass Bees(monarch.QuerySet):\n{RUN}")
    folder.write("querysets/renamed.py", f"from monarch import QuerySet as Q\nclass Cats(Q):\n{RUN}")
    folder.write("querysets/helpers.py", "class Helper: ...\nclass Other(dict): ...\ndef run(): ...\n")
    folder.write("querysets/notes.txt", "class Not(QuerySet): ...")
    folder.write("querysets/deeper/__init__.py", f"{PLAIN}class Deep(QuerySet):\n{RUN}")
    assert names(folder) == [
        ("Ants", "two.py"),
        ("Bees", "_odd name.py"),
        ("Cats", "renamed.py"),
        ("Zebras", "two.py"),
    ]
    for name in ("Ants", "Bees", "Cats", "Zebras"):
        assert load(folder, name).__name__ == name


def test_listing_imports_nothing(folder: Folder) -> None:
    folder.write("querysets/a.py", f"1 / 0\n{PLAIN}class A(QuerySet):\n    '''Of\n    it.'''\n{RUN}")
    (file,) = find_query_sets(folder.path)
    assert (file.summary, file.shown_path) == ("Of", "querysets/a.py")


def test_no_folder_means_no_query_sets(folder: Folder) -> None:
    assert find_query_sets(folder.path) == ()
    with pytest.raises(ProjectError, match=r"There is no query set 'A' in querysets/\.") as raised:
        find_query_set(folder.path, "A")
    assert raised.value.hint == "Make one with `monarch generate_query_set NAME`."


def test_a_class_may_derive_from_one_in_another_file(folder: Folder) -> None:
    folder.write("querysets/__init__.py", "")
    folder.write("querysets/a.py", "from .b import Middle\nclass Last(Middle): ...\n")
    folder.write("querysets/b.py", "from querysets.c import First\nclass Middle(First): ...\n")
    folder.write("querysets/c.py", f"{PLAIN}class First(QuerySet):\n    answer: int = 42\n{RUN}")
    assert [name for name, _ in names(folder)] == ["First", "Last", "Middle"]
    kind = load(folder, "Last")
    assert (kind.__name__, kind.answer) == ("Last", 42)  # type: ignore[attr-defined]
    assert issubclass(kind, QuerySet)


def test_a_class_may_derive_from_one_of_the_application(folder: Folder) -> None:
    folder.write(
        "application_of_cats/__init__.py", f"{PLAIN}class Mine(QuerySet):\n{RUN}class MyQuerySet(Mine): ..."
    )
    folder.write(
        "querysets/a.py",
        "from application_of_cats import Mine, MyQuerySet\nclass A(Mine): ...\nclass B(MyQuerySet): ...\n",
    )
    # Listing imports nothing, so it only knows what the names of base classes reveal.
    assert [name for name, _ in names(folder)] == ["B"]
    assert load(folder, "A").__name__ == "A"
    assert load(folder, "B").__name__ == "B"


def test_the_projects_own_modules_can_be_imported(folder: Folder) -> None:
    folder.write("application_of_dogs/__init__.py", "KIND = 'Awesome'")
    folder.write(
        "querysets/a.py",
        f"from application_of_dogs import KIND\n{PLAIN}class A(QuerySet):\n    kind = KIND\n{RUN}",
    )
    assert load(folder, "A").kind == "Awesome"  # type: ignore[attr-defined]


def test_the_error_suggests_the_nearest_name(folder: Folder) -> None:
    folder.write(
        "querysets/a.py", f"{PLAIN}class AccountQuerySet(QuerySet):\n{RUN}class Dogs(QuerySet):\n{RUN}"
    )
    assert find_query_set(folder.path, "Dogs").name == "Dogs"
    for name, hint in (
        ("AcountQuerySet", "Did you mean 'AccountQuerySet'?"),
        ("X", "AccountQuerySet, Dogs"),
    ):
        with pytest.raises(ProjectError, match=f"There is no query set '{name}'") as raised:
            find_query_set(folder.path, name)
        assert hint in (raised.value.hint or "")


def test_two_query_sets_with_one_name(folder: Folder) -> None:
    for name in ("a", "b"):
        folder.write(
            f"querysets/{name}.py", f"{PLAIN}class Same(QuerySet):\n{RUN}class {name}(QuerySet):\n{RUN}"
        )
    assert len(names(folder)) == 4
    assert load(folder, "a").__name__ == "a"  # a distinct name, because case differs
    with pytest.raises(ProjectError) as raised:
        load(folder, "Same")
    assert raised.value.message == ("Two query sets are called Same: in querysets/a.py and querysets/b.py.")
    assert raised.value.hint == "Rename one of them."


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = (\n", "querysets/a.py, line 1 is not valid Python: '(' was never closed."),
        ("x = 1\n  y = 2\n", "querysets/a.py, line 2 is not valid Python: unexpected indent."),
        ("x = '\0'\n", "querysets/a.py is not valid Python: source code string cannot contain null bytes."),
    ],
)
def test_a_file_that_is_not_python(folder: Folder, source: str, message: str) -> None:
    folder.write("querysets/a.py", source)
    with pytest.raises(ProjectError) as raised:
        find_query_sets(folder.path)
    assert (
        raised.value.message.replace(", line 1 is not valid Python: source", " is not valid Python: source")
        == message
    )
    assert raised.value.hint == "Fix that first."


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            f"{PLAIN}1 / 0\nclass A(QuerySet):\n{RUN}",
            "ZeroDivisionError: division by zero (querysets/a.py, line 2)",
        ),
        (f"{PLAIN}import nothing_here\nclass A(QuerySet):\n{RUN}", "No module named 'nothing_here'"),
        (f"{PLAIN}raise SystemExit(0)\nclass A(QuerySet):\n{RUN}", "SystemExit: 0 (querysets/a.py, line 2)"),
        (f"{PLAIN}class A(QuerySet): ...", "A in querysets/a.py has no run()."),
        (f"{PLAIN}class A(QuerySet):\n    async {RUN.strip()}", "run() of A in querysets/a.py is async"),
        (
            f"{PLAIN}class A(QuerySet):\n    def run(self): yield",
            "is async or a generator: a call runs nothing",
        ),
        (f"class QuerySet: ...\nclass A(QuerySet):\n{RUN}", "A in querysets/a.py is not a query set."),
        (f"{PLAIN}class A(QuerySet):\n{RUN}A = 3", "A in querysets/a.py is not a query set."),
        (f"{PLAIN}class A(QuerySet):\n{RUN}del A", "A in querysets/a.py is not a query set."),
    ],
)
def test_a_class_that_cannot_be_used(folder: Folder, source: str, message: str) -> None:
    folder.write("querysets/a.py", source)
    with pytest.raises(ProjectError) as raised:
        load(folder, "A")
    assert message in raised.value.message
    assert raised.value.hint


@pytest.mark.parametrize("method", ["only", "exclude"])
def test_only_and_exclude_alone_are_enough(folder: Folder, method: str) -> None:
    folder.write("querysets/a.py", f"{PLAIN}class A(QuerySet):\n    def {method}(self): return ['dogs']\n")
    assert load(folder, "A").__name__ == "A"


@pytest.mark.parametrize(("what", "mode"), [("querysets", 0o300), ("querysets/a.py", 0)])
def test_an_unreadable_file_or_folder(folder: Folder, what: str, mode: int, plain_rights: list[str]) -> None:
    folder.write("querysets/a.py", "")
    (folder.path / what).chmod(mode)
    try:
        result = folder.monarch("list_query_sets", prefix=plain_rights)
    finally:
        (folder.path / what).chmod(0o700)
    assert result.code == 2
    assert f"{what} cannot be read: Permission denied.".replace("sets cannot", "sets/ cannot") in result.err


def test_a_pipe_does_not_block(folder: Folder) -> None:
    folder.write("querysets/__init__.py", "")
    os.mkfifo(folder.path / "querysets" / "fifo.py")
    with pytest.raises(ProjectError, match=r"querysets/fifo\.py is not a file"):
        find_query_sets(folder.path)
