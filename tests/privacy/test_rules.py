"""What ``migrations/privacy.py`` may say: paths, rules, collections and functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from monarch.errors import ProjectError, UsageError
from monarch.privacy import Masks, email, full_name, keep, null, public, remove, text
from monarch.privacy.leaks.leaves import Place, rule_at
from monarch.privacy.load import load_masks
from monarch.privacy.paths import build_tree, join_path, split_path
from monarch.privacy.rules import Rule

NAME, MAIL, TEXT = full_name(), email(), text()


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("a", ("a",)),
        ("a.b", ("a", "b")),
        ("a[]", ("a", "[]")),
        ("a[][].b", ("a", "[]", "[]", "b")),
        ("a.*", ("a", "*")),
        ("*", ("*",)),
        (r"a\.b.c", ("a.b", "c")),
    ],
)
def test_a_path_and_its_parts(path: str, parts: tuple[str, ...]) -> None:
    assert split_path(path) == parts
    assert join_path(parts) == path


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", "[]", "a.[]"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="is no path of a field"):
        Masks()["users"] = {path: keep}


@pytest.mark.parametrize(
    ("rule", "hint"), [(email, "Write email()."), ("keep", "Write a mask"), (None, "Write a mask")]
)
def test_what_is_no_rule_is_refused(rule: Any, hint: str) -> None:
    for rules in ({"mail": rule}, rule):
        with pytest.raises(UsageError, match=r"masks\['users'\].* is no rule") as error:
            Masks()["users"] = rules
        assert hint in str(error.value.hint)


@pytest.mark.parametrize("rule", [null, remove])
def test_a_whole_collection_can_only_be_kept(rule: Any) -> None:
    masks = Masks()
    with pytest.raises(UsageError, match="can only be kept"):
        masks["users"] = rule
    masks["users"] = public
    assert masks.find("users") is public


@pytest.mark.parametrize(
    ("place", "rule"),
    [
        (("name",), NAME),
        (("other",), keep),
        (("address", "street"), TEXT),
        (("address", "city"), keep),
        (("address", "geo", "x"), keep),
        (("phones", 0), MAIL),
        (("secret", "deep", 3), null),
        (("secret", "shown"), public),
        (("by_id", "x17"), MAIL),
        (("by_id", "fixed"), keep),
    ],
)
def test_the_more_exact_path_counts(place: Place, rule: Rule) -> None:
    tree = build_tree(
        {
            "*": keep,
            "name": NAME,
            "address.street": TEXT,
            "phones[]": MAIL,
            "secret": null,
            "secret.shown": public,
            "by_id.*": MAIL,
            "by_id.fixed": keep,
        }
    )
    assert rule_at(tree, place) is rule


def test_without_a_star_the_rest_has_no_rule() -> None:
    tree = build_tree({"name": NAME, "address.street": TEXT})
    assert [rule_at(tree, place) for place in [("other",), ("address", "city"), ("name", "x")]] == [None] * 3


def test_a_mask_without_a_copy_asks_for_a_rule() -> None:
    with pytest.raises(UsageError, match="only while a copy runs"):
        email()("a@b.example")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "no migrations/privacy.py"),
        ("", "has no `masks`"),
        ("masks = {}", "has no `masks`"),
        ("masks = 1 +", "SyntaxError"),
        ("import no_such_module", "no_such_module"),
        ("from monarch.privacy import Masks, email\nmasks = Masks()\nmasks['a'] = {'b': email}", "no rule"),
    ],
)
def test_rules_that_cannot_be_read(tmp_path: Path, source: str | None, message: str) -> None:
    if source is not None:
        (tmp_path / "migrations").mkdir()
        (tmp_path / "migrations/privacy.py").write_text(source)
    with pytest.raises(ProjectError, match=message):
        load_masks(tmp_path)
