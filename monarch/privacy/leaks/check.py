"""The leak check of one transfer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from monarch.privacy.key import MaskingKey
from monarch.privacy.leaks.digests import DigestSet
from monarch.privacy.leaks.leaves import Place, leaves_of, path_of, rule_at
from monarch.privacy.leaks.terms import Term, terms_of, windows, words_of
from monarch.privacy.masks import CollectionMasks, Masks
from monarch.privacy.paths import PathNode
from monarch.privacy.rules import MaskingError, WholeRule, public

_DIGEST = 8

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Leak:
    """Values of masked fields that are in ``path`` of ``documents`` documents of ``collection``."""

    collection: str
    path: str
    documents: int


@dataclass
class Findings:
    """What the comparison of some documents gave.

    ``digests`` are those of the telling terms that were masked, of ``sizes`` words. ``changed`` are the paths
    that a function has changed, by collection. ``found`` counts leaks by collection and path.
    """

    digests: bytearray = field(default_factory=bytearray)
    sizes: set[int] = field(default_factory=set)
    changed: set[tuple[str, str]] = field(default_factory=set)
    found: Counter[tuple[str, str]] = field(default_factory=Counter)


class LeakComparison:
    """Compares documents before and after the masks.

    :param text_of: returns the text of a single value for the search; None if it is not searched.
    """

    def __init__(self, masks: Masks, key: MaskingKey, text_of: Callable[[Any], str | None]) -> None:
        self._masks = masks
        self._hash = key.hasher("leaks")
        self._text_of = text_of
        self._trees = trees_of(masks)
        self.findings = Findings()

    def compare(self, collection: str, before: Document, after: Document) -> None:
        """Search ``after`` for the values of ``before`` that the masks have changed or removed."""
        old, new = dict(leaves_of(before)), dict(leaves_of(after))
        masked = [value for place, value in old.items() if place not in new or new[place] != value]
        terms = {term for value in masked for term in self._terms(value)}
        findings = self.findings
        for term in terms:
            if term.telling:
                findings.digests += self._hash(term.words.encode(errors="surrogatepass"))[:_DIGEST]
                findings.sizes.add(term.size)
        changed = {place for place, value in new.items() if place not in old or old[place] != value}
        if collection not in self._trees:
            findings.changed |= {(collection, path_of(place)) for place in changed}
        telling = _by_size(term for term in terms if term.telling)
        all_of_them = _by_size(terms)
        found = set()
        for place, value in new.items():
            # What a mask draws may be a word of the document by chance.
            sought = telling if place in changed else all_of_them
            if self._holds(value, sought) and not self._is_public(collection, place):
                found.add((collection, path_of(place, self._trees.get(collection))))
        findings.found.update(found)

    def _terms(self, value: Any) -> tuple[Term, ...]:
        text = self._text_of(value)
        return () if text is None else tuple(terms_of(text))

    def _is_public(self, collection: str, place: Place) -> bool:
        tree = self._trees.get(collection)
        return tree is not None and rule_at(tree, place) is public

    def _holds(self, value: Any, sought: Mapping[int, set[str]]) -> bool:
        """Whether one of the terms ``sought``, by their numbers of words, is in ``value``."""
        text = self._text_of(value)
        if text is None:
            return False
        words = words_of(text)
        return any(not terms.isdisjoint(windows(words, size)) for size, terms in sought.items())


class LeakSearch:
    """Searches finished documents for all values that `LeakComparison` has found masked."""

    def __init__(
        self, masks: Masks, key: MaskingKey, text_of: Callable[[Any], str | None], findings: Findings
    ) -> None:
        self._hash = key.hasher("leaks")
        self._text_of = text_of
        self._trees = trees_of(masks)
        self._whole = {name: masks.find(name) for name in masks}
        self._changed = findings.changed
        self._sizes = sorted(findings.sizes)
        self._digests = DigestSet()
        self._digests.add_all(bytes(findings.digests))
        self._found = Counter(findings.found)
        self._is_known = lru_cache(20_000)(self._look_up)

    def searches(self, collection: str) -> bool:
        """Whether anything in documents of ``collection`` is searched."""
        rule = self._whole.get(collection)
        if isinstance(rule, CollectionMasks):
            return any(isinstance(one, WholeRule) and one is not public for one in rule.values())
        return rule is not public

    def examine(self, collection: str, document: Document) -> None:
        """Search one document of the copy."""
        found = {
            path_of(place, self._trees.get(collection))
            for place, value in leaves_of(document)
            if self._is_searched(collection, place) and self._leaks(value)
        }
        self._found.update((collection, path) for path in found)

    @property
    def leaks(self) -> tuple[Leak, ...]:
        """What was found, sorted."""
        return tuple(Leak(*where, number) for where, number in sorted(self._found.items()))

    def require_none(self) -> None:
        """Check that nothing was found.

        :raises MaskingError: naming the fields, with counts.
        """
        if self.leaks:
            raise leak_error(self.leaks)

    def _is_searched(self, collection: str, place: Place) -> bool:
        tree = self._trees.get(collection)
        if tree is not None:
            rule = rule_at(tree, place)
            return isinstance(rule, WholeRule) and rule is not public
        if self._whole.get(collection) is public:
            return False
        return (collection, path_of(place)) not in self._changed

    def _leaks(self, value: Any) -> bool:
        text = self._text_of(value)
        if text is None:
            return False
        words = words_of(text)
        return any(self._is_known(run) for size in self._sizes for run in windows(words, size))

    def _look_up(self, words: str) -> bool:
        return self._hash(words.encode(errors="surrogatepass"))[:_DIGEST] in self._digests


def _by_size(terms: Iterable[Term]) -> dict[int, set[str]]:
    """Return the words of ``terms``, by their numbers of words."""
    found: dict[int, set[str]] = {}
    for term in terms:
        found.setdefault(term.size, set()).add(term.words)
    return found


def trees_of(masks: Masks) -> dict[str, PathNode]:
    """Return the tree of each collection that has rules for its fields."""
    found = {name: masks.find(name) for name in masks}
    return {name: rules.tree() for name, rules in found.items() if isinstance(rules, CollectionMasks)}


def leak_error(leaks: tuple[Leak, ...]) -> MaskingError:
    """Return the error for ``leaks``."""
    listed = ", ".join(f"{leak.collection}.{leak.path} ({leak.documents:,} documents)" for leak in leaks[:5])
    more = f", and {len(leaks) - 5} more fields" if len(leaks) > 5 else ""
    return MaskingError(
        f"Values of masked fields are still in the masked documents: {listed}{more}.",
        "Nothing has arrived. Mask these fields too, or write `public` for those that everybody may know.",
    )
