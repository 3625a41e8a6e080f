"""The leak check finds values of masked fields, wherever they are."""

from __future__ import annotations

from typing import Any

import pytest

from monarch.privacy import Masks, keep, null, public
from monarch.privacy.key import MaskingKey
from monarch.privacy.leaks.check import LeakComparison, LeakSearch
from monarch.privacy.leaks.digests import DigestSet
from monarch.privacy.rules import MaskingError
from monarch.system.secrets import Secret

KEY = MaskingKey(Secret("a key of tests, 32 characters long"), lasting=True)
BEFORE = {
    "name": "Anna Kowalczyk",
    "mail": "anna.k@firma.pl",
    "phone": "+48 601 234 567",
    "note": "",
    "age": 42,
}
MASKED = {**BEFORE, "name": None, "mail": None, "phone": None}


def text_of(value: Any) -> str | None:
    return None if value is None or isinstance(value, bool) else str(value)


def masks() -> Masks:
    rules = Masks()
    rules["users"] = {"name": null, "mail": null, "phone": null, "note": keep, "age": keep, "motto": public}
    rules["orders"] = {"*": keep}
    return rules


def search(*documents: dict[str, Any], collection: str = "orders") -> LeakSearch:
    comparison = LeakComparison(masks(), KEY, text_of)
    comparison.compare("users", BEFORE, MASKED)
    assert not comparison.findings.found
    searching = LeakSearch(masks(), KEY, text_of, comparison.findings)
    for document in documents:
        searching.examine(collection, document)
    return searching


@pytest.mark.parametrize(
    "note",
    [
        "Anna Kowalczyk",
        "Kowalczyk, Anna (customer)",
        "called ANNA KOWALCZYK today",
        "mail to <anna.k@firma.pl>!",
        "tel:+48-601-234-567.",
        {"deep": [{"down": "Kowalczyk? No: Anna Kowalczyk."}]},
    ],
)
def test_a_value_in_another_document_is_found(note: Any) -> None:
    searching = search({"_id": 1, "note": note})
    with pytest.raises(MaskingError) as error:
        searching.require_none()
    assert "orders.note" in error.value.message
    assert "owalczyk" not in error.value.message + str(error.value.hint)


@pytest.mark.parametrize("note", ["Anna", "Kowalczyk", "42", "firma.pl", "a different text", 601, None, 4.5])
def test_what_occurs_by_chance_is_no_leak_of_another_document(note: Any) -> None:
    search({"_id": 1, "note": note}).require_none()


@pytest.mark.parametrize("note", ["Mrs. Kowalczyk called", "Anna M. Kowalczyk", "A. Kowalczyk"])
def test_a_part_of_a_name_is_not_found(note: str) -> None:
    """The manual says so: a word alone occurs in texts of all kinds, and false alarms are turned off."""
    comparison = LeakComparison(masks(), KEY, text_of)
    comparison.compare("users", {**BEFORE, "note": note}, {**MASKED, "note": note})
    assert not comparison.findings.found
    search({"_id": 1, "note": note}).require_none()


@pytest.mark.parametrize(
    "note", ["Dear Anna Kowalczyk", "Kowalczyk Anna", "dear anna kowalczyk,", "601 234 567 +48 601 234 567"]
)
def test_a_value_in_a_kept_field_of_the_same_document_is_found(note: str) -> None:
    comparison = LeakComparison(masks(), KEY, text_of)
    comparison.compare("users", {**BEFORE, "note": note}, {**MASKED, "note": note})
    assert comparison.findings.found == {("users", "note"): 1}


def test_a_short_name_in_a_kept_field_of_the_same_document_is_found() -> None:
    comparison = LeakComparison(masks(), KEY, text_of)
    comparison.compare("users", {"name": "Ada", "note": "for Ada"}, {"name": None, "note": "for Ada"})
    assert comparison.findings.found == {("users", "note"): 1}


def test_a_part_of_a_long_text_is_found() -> None:
    text = "The patient said that she had taken the pills of her sister since Monday, and slept badly"
    comparison = LeakComparison(masks(), KEY, text_of)
    comparison.compare("users", {"note": text}, {"note": "x" * len(text)})
    searching = LeakSearch(masks(), KEY, text_of, comparison.findings)
    searching.examine("orders", {"log": f"[info] {text[:60]}"})
    assert [(leak.collection, leak.path) for leak in searching.leaks] == [("orders", "log")]


def test_public_fields_are_not_searched() -> None:
    search({"motto": "Anna Kowalczyk"}, collection="users").require_none()


def test_what_a_function_changes_is_not_searched_but_what_it_keeps_is() -> None:
    rules = masks()
    rules.of("payments")(lambda document: {**document, "payer": "Anna Kowalczyk"})
    comparison = LeakComparison(rules, KEY, text_of)
    comparison.compare(
        "payments", {"payer": "Jan Nowak-Lis", "for": "x"}, {"payer": "Anna Kowalczyk", "for": "x"}
    )
    searching = LeakSearch(rules, KEY, text_of, comparison.findings)
    searching.examine("payments", {"payer": "Jan Nowak-Lis", "for": "x"})
    searching.require_none()
    searching.examine("payments", {"payer": "?", "for": "Jan Nowak-Lis"})
    assert [leak.path for leak in searching.leaks] == ["for"]


def test_a_set_of_digests_holds_what_was_added() -> None:
    hashing = KEY.hasher("test")
    digests = [hashing(bytes([number % 256, number // 256]))[:8] for number in range(5_000)]
    found = DigestSet()
    found.add_all(b"".join(digests[:2_500]))
    found.add_all(b"".join(digests[1_000:2_500]))
    assert [digest in found for digest in digests] == [True] * 2_500 + [False] * 2_500
