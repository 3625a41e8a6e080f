from __future__ import annotations

from textwrap import dedent, indent

import pytest

from monarch.databases.selection import CollectionQuery, Reference
from monarch.errors import Declined, MonarchError, ProjectError, UsageError
from monarch.querysets.evaluate import EvaluatedQuerySet, evaluate
from monarch.settings.environments import parse_environment
from tests.support.runs.shell import Folder

ENVIRONMENT = parse_environment("production", {"host": "localhost", "db_name": "dogs"})


def evaluate_body(folder: Folder, body: str, *, above: str = "", **given: str) -> EvaluatedQuerySet:
    """Evaluate the query set ``Dogs``, a class with this ``body``."""
    source = f"from monarch import QuerySet\n{dedent(above)}\nclass Dogs(QuerySet):\n"
    folder.write("querysets/dogs.py", source + indent(dedent(body).strip(), "    ") + "\n")
    return evaluate(folder.path, "Dogs", given, ENVIRONMENT, {"database": {"dogs": 3}, "client": "theirs"})


def test_the_evaluated_queries(folder: Folder) -> None:
    found = evaluate_body(
        folder,
        """
        def run(self):
            self.dump_collection("dogs", {"n": self.database["dogs"]})
            self.dump_collection(self.environment.name + self.client)
            self.follow("dogs._id", "houses.dog_id")
        def only(self):
            return ["a", "b"]
        def exclude(self):
            return ("c",)
        """,
    )
    assert (found.name, found.options) == ("Dogs", {})
    assert found.selection.queries == (CollectionQuery("dogs", {"n": 3}), CollectionQuery("productiontheirs"))
    assert found.selection.references == (Reference("dogs._id", "houses.dog_id"),)
    assert (found.selection.only, found.selection.exclude) == (("a", "b"), ("c",))


def test_a_query_set_without_run(folder: Folder) -> None:
    found = evaluate_body(folder, "def exclude(self): return ['logs']")
    assert (found.selection.queries, found.selection.only, found.selection.exclude) == ((), None, ("logs",))


def test_only_may_be_a_generator(folder: Folder) -> None:
    found = evaluate_body(folder, "def exclude(self): return (name for name in ('a', 'b'))")
    assert found.selection.exclude == ("a", "b")


def test_only_may_use_results_of_run(folder: Folder) -> None:
    body = """
    def run(self):
        self.found = ["a"]
    def only(self):
        return self.found
    """
    assert evaluate_body(folder, body).selection.only == ("a",)


@pytest.mark.parametrize(
    "above",
    ["import click\nprompt = click.prompt", "from click import prompt", "from click.termui import prompt"],
)
def test_a_prompt_imported_in_any_way_is_answered(folder: Folder, above: str) -> None:
    body = """
    def run(self):
        self.dump_collection("dogs", {"_id": prompt("Please enter a dog id", type=int)})
    """
    found = evaluate_body(folder, body, above=above, dog_id="42")
    assert found.selection.queries == (CollectionQuery("dogs", {"_id": 42}),)
    assert found.options == {"dog_id": "42"}
    with pytest.raises(UsageError, match="Dogs asks “Please enter a dog id”"):
        evaluate_body(folder, body, above=above)


def test_a_prompt_in_a_helper_and_in_only(folder: Folder) -> None:
    folder.write("querysets/__init__.py", "")
    folder.write("querysets/asks.py", "from click import prompt\ndef ask(): return prompt('Dog name')\n")
    body = """
    def only(self):
        return [ask()]
    """
    found = evaluate_body(folder, body, above="from querysets.asks import ask", dog_name="x")
    assert found.selection.only == ("x",)


OPTIONS = """
    account_id: int
    since: str = "ever"
    def run(self):
        self.dump_collection("dogs", {"a": self.account_id, "s": self.since})
"""


def test_options_are_set_before_run_and_reported(folder: Folder) -> None:
    found = evaluate_body(folder, OPTIONS, account_id="42")
    assert found.selection.queries[0].query == {"a": 42, "s": "ever"}
    assert found.options == {"account_id": "42"}
    found = evaluate_body(folder, OPTIONS, account_id="42", since="2014")
    assert found.options == {"account_id": "42", "since": "2014"}
    assert found.selection.queries[0].query == {"a": 42, "s": "2014"}


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({}, "Dogs asks “account id”, and there is no terminal", "-o account_id=VALUE"),
        ({"account_id": "x"}, "-o account_id=x: 'x' is not of type int", "whole number"),
        ({"account_id": "1", "acount": "2"}, "Dogs has no option 'acount'.", "Did you mean 'account_id'?"),
        ({"account_id": "1", "q": "2"}, "Dogs has no option 'q'.", "There is: "),
        ({"account_id": "1", "database": "2"}, "Dogs has no option 'database'.", "There is: "),
    ],
)
def test_options_that_are_missing_wrong_or_unknown(
    folder: Folder, given: dict[str, str], message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as raised:
        evaluate_body(folder, OPTIONS, **given)
    assert message in raised.value.message
    assert hint in (raised.value.hint or "")


def test_an_option_that_the_query_set_does_not_use(folder: Folder) -> None:
    with pytest.raises(UsageError, match="Dogs has no option 'a'") as raised:
        evaluate_body(folder, "def run(self): ...", a="1")
    assert raised.value.hint == "Dogs has no options."


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "def run(self):\n    x = 1\n    x / 0",
            "ZeroDivisionError: division by zero (querysets/dogs.py, line 6)",
        ),
        ("def run(self): exit(0)", "SystemExit: 0 (querysets/dogs.py, line 4)"),
        ("def run(self): self.dump_collection('a', 7)", "the query of 'a' must be a dict, not int"),
        ("def run(self): self.dump_collection('a', {}, 7)", "TypeError"),
        ("def run(self): self.follow('a', 'b')", "'a' is not a collection, a dot and a field"),
        ("def only(self): return 'dogs'", "only() gives 'dogs', not a list of names"),
        ("def exclude(self): return [7]", "exclude() gives [7], not a list of names"),
        ("def exclude(self): return 7", "exclude() gives 7, not a list of names"),
    ],
)
def test_a_failing_query_set_is_reported_in_one_line(folder: Folder, body: str, message: str) -> None:
    with pytest.raises(MonarchError) as raised:
        evaluate_body(folder, body)
    assert raised.value.message.startswith("Dogs failed: ")
    assert message in raised.value.message
    assert "\n" not in raised.value.message
    assert raised.value.exit_code == 1
    assert raised.value.hint == "Nothing was changed. Fix it and try again."


def test_a_query_set_that_cannot_be_created_is_reported(folder: Folder) -> None:
    with pytest.raises(MonarchError, match=r"Dogs failed: TypeError: .*nothing_of_that") as raised:
        evaluate_body(folder, "def __init__(self, nothing_of_that): ...\ndef run(self): ...")
    assert raised.value.exit_code == 1


def test_a_query_set_with_its_own_init(folder: Folder) -> None:
    body = """
    def __init__(self):
        super().__init__()
        self.mine = "dogs"
    def run(self):
        self.dump_collection(self.mine)
    """
    assert evaluate_body(folder, body).selection.queries == (CollectionQuery("dogs"),)


def test_a_helper_asks_again_for_each_query_set(folder: Folder) -> None:
    """The helper imported Click's function while an earlier query set was evaluated."""
    folder.write(
        "asking_helpers.py",
        "from click import prompt\ndef ask(): return prompt('Account id', type=int)\n",
    )
    body = """
    def run(self):
        self.dump_collection("a", {"_id": ask()})
    """
    for number in ("1", "2"):
        heard = evaluate_body(folder, body, above="from asking_helpers import ask", account_id=number)
        assert heard.selection.queries[0].query == {"_id": int(number)}


def test_a_prompt_without_an_answer_cannot_be_swallowed(folder: Folder) -> None:
    body = """
    def run(self):
        try:
            prompt("Account id")
        except Exception:
            pass
    """
    with pytest.raises(UsageError, match="asks “Account id”"):
        evaluate_body(folder, body, above="from click import prompt")


def test_a_prompt_in_a_generator_of_values_is_answered(folder: Folder) -> None:
    body = """
    def run(self):
        self.dump_collection("a", {"_id": {"$in": (prompt("Account id", type=int) for _ in [1])}})
    """
    heard = evaluate_body(folder, body, above="from click import prompt", account_id="3")
    assert heard.selection.queries[0].query == {"_id": {"$in": [3]}}
    for bad, message in (("exit(0)", "SystemExit: 0"), ("1 / 0", "ZeroDivisionError")):
        with pytest.raises(MonarchError, match=f"{message}.*line ") as raised:
            evaluate_body(folder, body.replace('prompt("Account id", type=int)', bad), above="")
        assert raised.value.exit_code == 1


def test_a_denied_confirmation_aborts(folder: Folder) -> None:
    body = """
    def run(self):
        confirm("Are you sure?", abort=True)
    """
    assert evaluate_body(folder, body, above="from click import confirm", sure="yes").options == {
        "sure": "yes"
    }
    with pytest.raises(Declined, match="Nothing was changed"):
        evaluate_body(folder, body, above="from click import confirm", sure="no")


def test_an_error_without_a_text_is_reported_with_its_type(folder: Folder) -> None:
    above = """
    class Broken(Exception):
        def __str__(self):
            raise ValueError("no text")
    """
    with pytest.raises(MonarchError, match=r"Dogs failed: .*Broken: .* \(querysets/dogs.py") as raised:
        evaluate_body(folder, "def run(self):\n    raise Broken", above=above, account="3")
    assert raised.value.hint == "Nothing was changed. Fix it and try again."


def test_an_error_of_monarch_is_not_wrapped(folder: Folder) -> None:
    body = """
    def run(self):
        raise MonarchError("Not on Fridays.")
    """
    with pytest.raises(MonarchError) as raised:
        evaluate_body(folder, body, above="from monarch import MonarchError")
    assert raised.value.message == "Not on Fridays."


def test_a_broken_file_in_the_folder_is_reported(folder: Folder) -> None:
    folder.write("querysets/other.py", "x = (")
    with pytest.raises(ProjectError, match=r"querysets/other\.py, line 1 is not valid Python"):
        evaluate_body(folder, "def run(self): ...")
