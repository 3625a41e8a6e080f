"""The rules of a project, as ``migrations/privacy.py`` writes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

from monarch.errors import UsageError
from monarch.privacy.paths import PathNode, build_tree, split_path
from monarch.privacy.rules import Rule, WholeRule

DocumentFunction = Callable[[dict[str, Any]], dict[str, Any] | None]


class CollectionMasks(MutableMapping[str, Rule]):
    """The rules of one collection, each for the path of a field."""

    def __init__(self, collection: str, rules: Mapping[str, Rule]) -> None:
        self.collection = collection
        self._rules: dict[str, Rule] = {}
        self.update(rules)

    def __setitem__(self, path: str, rule: Rule) -> None:
        _require_rule(f"masks[{self.collection!r}][{path!r}]", rule)
        split_path(path)
        self._rules[path] = rule

    def __getitem__(self, path: str) -> Rule:
        return self._rules[path]

    def __delitem__(self, path: str) -> None:
        del self._rules[path]

    def __iter__(self) -> Iterator[str]:
        return iter(self._rules)

    def __len__(self) -> int:
        return len(self._rules)

    def tree(self) -> PathNode:
        """Return the rules as a tree of paths."""
        return build_tree(self._rules)


CollectionRule = CollectionMasks | WholeRule | DocumentFunction


class Masks:
    """What becomes of the documents of each collection.

    ``masks['users'] = {path: rule, …}``, or ``masks['countries'] = keep`` for all of a collection, or a
    function for whole documents: ``@masks.of('payments')``.
    """

    def __init__(self) -> None:
        self._collections: dict[str, CollectionRule] = {}

    def __setitem__(self, collection: str, rules: Mapping[str, Rule] | WholeRule) -> None:
        if isinstance(rules, Mapping):
            self._collections[collection] = CollectionMasks(collection, rules)
            return
        _require_rule(f"masks[{collection!r}]", rules)
        if rules.name not in ("keep", "public"):
            raise UsageError(
                f"masks[{collection!r}] is {rules!r}: a whole collection can only be kept.",
                f"Leave it out of the copy with --exclude {collection}, or name its fields.",
            )
        self._collections[collection] = rules

    def __getitem__(self, collection: str) -> CollectionMasks:
        found = self._collections.get(collection)
        if not isinstance(found, CollectionMasks):
            found = self._collections[collection] = CollectionMasks(collection, {})
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._collections)

    def of(self, *collections: str) -> Callable[[DocumentFunction], DocumentFunction]:
        """Let a function mask the documents of ``collections``.

        It gets each document as a dict, which it may change, and returns what is to be copied; without a
        result, that dict.
        """

        def take(function: DocumentFunction) -> DocumentFunction:
            self._collections |= dict.fromkeys(collections, function)
            return function

        return take

    def find(self, collection: str) -> CollectionRule | None:
        """Return what becomes of the documents of ``collection``; None if nothing is said of it."""
        return self._collections.get(collection)


def _require_rule(place: str, rule: object) -> None:
    if isinstance(rule, Rule):
        return
    name = getattr(rule, "__name__", None)
    hint = f"Write {name}()." if callable(rule) and name else "Write a mask such as text(), or keep."
    raise UsageError(f"{place} is no rule.", hint)
