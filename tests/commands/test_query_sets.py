"""Partial copies and backups, by the real commands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.commands.two import DOCUMENTS, Two, assert_error

pytestmark = pytest.mark.server

AWESOME = """
from monarch import QuerySet
from click import echo

class AwesomeDogsQuerySet(QuerySet):

    def run(self):

        awesome_dogs = self.database.dogs.find({"type": "Awesome"})
        awesome_dog_ids = [dog['_id'] for dog in awesome_dogs]
        echo("awesome dog ids: {}".format(awesome_dog_ids))

        self.dump_collection('dogs', {"_id": {"$in": awesome_dog_ids}})
        self.dump_collection('dog_houses', {"dog_id": {"$in": awesome_dog_ids}})
"""
ACCOUNT = """
from monarch import QuerySet
from click import echo, prompt

class AccountQuerySet(QuerySet):

    def run(self):

        account_id = prompt('Please enter a account id', type=int)

        account_i_care_about = self.database.accounts.find({"_id": account_id})

        self.dump_collection('account', {"_id": account_id})
        self.dump_collection('campaigns', {"account_id": account_i_care_about})
"""


@pytest.fixture
def dogs(two: Two) -> Two:
    source = two.source
    source.dogs.insert_many({"_id": n, "type": "Awesome" if n % 3 == 0 else "Good"} for n in range(10))
    source.dogs.create_index("type")
    source.dog_houses.insert_many({"_id": f"h{n}", "dog_id": n} for n in range(10))
    source.accounts.insert_many({"_id": n} for n in range(50))
    source.account.insert_many({"_id": n, "name": f"a{n}"} for n in range(50))
    source.campaigns.insert_many({"_id": n, "account_id": n % 50} for n in range(200))
    two.folder.write("querysets/__init__.py", "")
    two.folder.write("querysets/awesome_dogs_queryset.py", AWESOME)
    two.folder.write("querysets/whatever.py", ACCOUNT)
    return two


def ids(two: Two, name: str) -> list[Any]:
    return [document["_id"] for document in two.target[name].find().sort("_id")]


@pytest.mark.parametrize("engine", ["native", "tools"])
def test_the_seeds_first(dogs: Two, engine: str, tools: Path) -> None:
    ran = dogs.copy(
        "--yes",
        "--engine",
        engine,
        "-q",
        "AwesomeDogsQuerySet",
        prefix=["env", f"PATH={tools}:/usr/bin:/bin"],
    )
    assert ran.code == 0, ran.said
    assert "awesome dog ids: [0, 3, 6, 9]" in ran.out
    assert ids(dogs, "dogs") == [0, 3, 6, 9]
    assert ids(dogs, "dog_houses") == ["h0", "h3", "h6", "h9"]
    assert "type_1" in dogs.target.dogs.index_information()
    # What nothing was said about comes whole.
    assert dogs.target.users.count_documents({}) == DOCUMENTS
    assert dogs.target.young.count_documents({}) == 10
    assert dogs.target.mongo_migration_history.count_documents({}) == 1


def test_the_seeds_second(dogs: Two) -> None:
    ran = dogs.copy("--yes", "--engine", "native", "--query-set", "AccountQuerySet", "-o", "account_id=42")
    assert ran.code == 0, ran.said
    assert ids(dogs, "account") == [42]
    assert ids(dogs, "campaigns") == [42, 92, 142, 192]
    assert dogs.target.accounts.count_documents({}) == 50
    without = dogs.copy("--yes", "--engine", "native", "-q", "AccountQuerySet")
    assert_error(without, 2, "AccountQuerySet asks “Please enter a account id”", "-o account_id=VALUE")
    wrong = dogs.copy("--yes", "--engine", "native", "-q", "AccountQuerySet", "-o", "account_id=x")
    assert_error(wrong, 2, "'x' is not a valid integer", "Please enter a account id")
