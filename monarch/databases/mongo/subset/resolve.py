"""Resolve a selection against a database: which documents of which collections it selects."""

from __future__ import annotations

import heapq
import random
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.catalog.query import LONGEST_FILTER, Find, Query, size_of
from monarch.databases.mongo.collection_names import HISTORY
from monarch.databases.mongo.subset.chunks import chunks, key_of
from monarch.databases.mongo.subset.filters import encode_filter
from monarch.databases.mongo.subset.projection import check_projection
from monarch.databases.mongo.subset.reader import SubsetReader, with_documents
from monarch.databases.mongo.subset.references import (
    FieldPath,
    FollowRule,
    find_path,
    projection_for,
    reference_values,
    require_start,
)
from monarch.databases.mongo.subset.unknown import unknown_collection
from monarch.databases.mongo.subset.unmatched import describe_unmatched
from monarch.databases.selection import CollectionQuery, Reference, Selection
from monarch.errors import MonarchError, UsageError

_SHORT = LONGEST_FILTER // 2


@dataclass
class ResolvedCollection:
    """The selected documents of a collection: all that ``finds`` match, with the fields of ``projection``."""

    finds: list[Find] = field(default_factory=list)
    projection: Mapping[str, Any] | None = None
    # The values that references select, by the field that has to have one of them.
    values: dict[str, dict[bytes, Any]] = field(default_factory=lambda: defaultdict(dict))


class Subset:
    """The part of ``catalog`` that ``selection`` selects; ``reading`` reads what that depends on.

    ``notes`` name the references that found less than somebody may expect, once `collections` has returned.
    """

    notes: tuple[str, ...] = ()

    def __init__(self, reading: SubsetReader, catalog: tuple[Collection, ...], selection: Selection) -> None:
        self._reading = reading
        self._catalog = {collection.name: collection for collection in catalog}
        self._selection = selection
        self._chosen: dict[str, ResolvedCollection] = {}
        self._read: Counter[str] = Counter()  # documents whose references were followed

    def collections(self) -> tuple[Collection, ...]:
        """Return the selected collections. Those with queries have a new count of documents.

        :raises UsageError: if a name is unknown, or a collection does not support such a selection.
        :raises MonarchError: with the server's message, if it rejects a query.
        """
        self._refuse_unknown_names()
        for selected in self._selection.queries:
            self._choose(selected)
        self._follow()
        rest = self._rest()
        return tuple(
            self._selected(collection) if name in self._chosen else collection
            for name, collection in self._catalog.items()
            if name in self._chosen or name in rest
        )

    def _refuse_unknown_names(self) -> None:
        # A typo in exclude() would copy a collection that must not be copied.
        for method, names in (("only", self._selection.only), ("exclude", self._selection.exclude)):
            for name in names or ():
                if name not in self._catalog:
                    raise self._unknown(name, f"{method}() names")

    def _rest(self) -> set[str]:
        """Return the names of the collections that are selected whole.

        The history is one of them. Without it, migrations that have run would run again.
        """
        only = self._selection.only
        names = set(self._catalog) if only is None else {*only, HISTORY}
        return {
            name for name in names - set(self._selection.exclude) if not name.startswith("system.")
        } & set(self._catalog)

    def _choose(self, selected: CollectionQuery) -> None:
        collection = self._catalog.get(selected.collection)
        if collection is None and selected.missing_ok:
            return
        if collection is None or collection.name.startswith("system."):
            raise self._unknown(selected.collection, "dump_collection() names")
        whole = Find(encode_filter(selected, self._reading.source), tuple(selected.sort), selected.limit or 0)
        projection = check_projection(selected, collection)
        if collection.kind == "view":
            if not whole.is_all or projection or selected.sample:
                raise UsageError(
                    f"{collection.name!r} is a view, which has no documents of its own.",
                    f"Select documents of the collection that it reads: {collection.options.get('viewOn')}",
                )
            self._chosen.setdefault(collection.name, ResolvedCollection([whole]))
            return
        chosen = self._chosen.setdefault(collection.name, ResolvedCollection(projection=projection))
        if chosen.projection != projection:
            raise UsageError(
                f"{collection.name!r} is selected several times, with different projections or once without.",
                "Use the same projection in each call of dump_collection().",
            )
        for find in self._short_enough(collection, whole):
            self._reading.check(with_documents(collection), find, projection)
            chosen.finds += self._sampled(collection, find, selected) if selected.sample else [find]

    def _short_enough(self, collection: Collection, find: Find) -> Iterator[Find]:
        """Split ``find`` if it is only a long list of ids."""
        size = size_of(find.filter)
        if size <= _SHORT:
            yield find
            return
        ids = find.filter.get("_id")
        values = ids.get("$in") if isinstance(ids, dict) and len(ids) == 1 and find.is_plain else None
        if len(find.filter) == 1 and isinstance(values, list):
            for chunk in chunks({key_of(value): value for value in values}.values()):
                yield Find({"_id": {"$in": chunk}})
            return
        if size > LONGEST_FILTER:
            raise UsageError(
                f"The query of {collection.name!r} has {size:,} bytes; MongoDB accepts {LONGEST_FILTER:,}.",
                "Call dump_collection several times with parts of the query. No document is copied twice.",
            )
        yield find

    def _sampled(self, collection: Collection, find: Find, selected: CollectionQuery) -> list[Find]:
        """Return a sample of what ``find`` matches. The same seed returns the same sample."""
        assert selected.sample is not None
        _require_ids(collection)
        number = selected.sample
        if isinstance(number, float):
            number = round(number * sum(1 for _ in self._ids(collection, [find])))
        chance = random.Random(selected.seed)
        ids = self._ids(collection, [replace(find, sort=(("_id", 1),))])
        drawn = ((chance.random(), place, one) for place, one in enumerate(ids))
        return [
            Find({"_id": {"$in": chunk}})
            for chunk in chunks(one for *_, one in heapq.nsmallest(number, drawn))
        ]

    def _follow(self) -> None:
        """Select what the references refer to, until that adds no document."""
        rules = [self._rule(one) for one in self._selection.references]
        sought: list[dict[bytes, Any]] = [{} for _ in rules]
        followed: dict[FieldPath, set[bytes]] = defaultdict(set)
        targets = {rule.target.collection for rule in rules}
        todo: deque[tuple[str, Find]] = deque()
        for name in dict.fromkeys(rule.source.collection for rule in rules):
            chosen = self._chosen.get(name)
            if chosen is not None:
                chosen.finds = self._fixed(self._catalog[name], chosen.finds)
                todo += [(name, find) for find in chosen.finds]
            elif name not in targets:
                self._require_copied(name)
                todo.append((name, Find()))
        require_start(rules, {name for name, _ in todo})
        for name in targets:
            self._chosen.setdefault(name, ResolvedCollection())
        while todo:
            name, find = todo.popleft()
            for rule, values in zip(rules, sought, strict=True):
                if rule.source.collection != name:
                    continue
                found = {key_of(value): value for value in self._values(rule, find)}
                new = {key: value for key, value in found.items() if key not in values}
                values |= new
                target = self._chosen[rule.target.collection]
                target.values[rule.target.field] |= new
                # All documents of a whole collection have been followed already.
                if rule.onward and not any(one.is_all for one in target.finds):
                    known = followed[rule.target]
                    fresh = [value for key, value in new.items() if key not in known]
                    known |= new.keys()
                    for chunk in chunks(fresh):
                        todo.append((rule.target.collection, Find({rule.target.field: {"$in": chunk}})))
        for rule, values in zip(rules, sought, strict=True):
            target_collection = self._catalog[rule.target.collection]
            read = self._read[rule.source.collection]
            note = describe_unmatched(self._reading, target_collection, rule, values, read)
            self.notes += (note,) if note else ()

    def _rule(self, reference: Reference) -> FollowRule:
        found = []
        for text in (reference.source, reference.target):
            path = find_path(text, self._catalog)
            if path is None or path.collection.startswith("system."):
                raise self._unknown(text, "follow() names", text.rpartition(".")[0])
            if self._catalog[path.collection].kind == "view":
                raise UsageError(
                    f"follow() names {text!r}, which is a view.", "Use the collection that the view reads."
                )
            found.append(path)
        return FollowRule(found[0], found[1], reference.onward)

    def _require_copied(self, name: str) -> None:
        if name not in self._rest():
            raise UsageError(
                f"follow() starts at {name!r}, but no document of it is selected.",
                f"Select documents of it: self.dump_collection({name!r}, …)",
            )

    def _fixed(self, collection: Collection, finds: list[Find]) -> list[Find]:
        """Replace finds with a limit by the ids that they match now, because they are read more than once."""
        if all(find.is_plain for find in finds):
            return finds
        return list(self._by_ids(collection, finds))

    def _values(self, rule: FollowRule, find: Find) -> Iterator[Any]:
        path = rule.source
        projection = projection_for(path.field)
        for document in self._reading.read(with_documents(self._catalog[path.collection]), find, projection):
            self._read[path.collection] += 1
            yield from reference_values(document, path.field, rule.target.collection)

    def _selected(self, collection: Collection) -> Collection:
        """Return ``collection`` with its query and the number of documents that match it."""
        chosen = self._chosen[collection.name]
        finds = list(chosen.finds)
        if any(find.is_all for find in finds):
            if chosen.projection is None:
                return collection
            finds = [Find()]
        else:
            for name, values in chosen.values.items():
                finds += [Find({name: {"$in": chunk}}) for chunk in chunks(values.values())]
        disjoint = self._disjoint(with_documents(collection), finds, chosen.projection)
        if collection.options.get("capped"):  # its order is part of its data
            disjoint = tuple(replace(find, sort=find.sort or (("$natural", 1),)) for find in disjoint)
        query = Query(disjoint, chosen.projection)
        return self._counted(with_documents(collection), query)

    def _disjoint(
        self, collection: Collection, finds: list[Find], projection: Mapping[str, Any] | None
    ) -> tuple[Find, ...]:
        """Return finds that match the same documents, each document once."""
        if len(finds) <= 1:
            return tuple(finds)
        together = Find({"$or": [find.filter for find in finds]})
        if all(find.is_plain for find in finds) and size_of(together.filter) <= _SHORT:
            try:
                self._reading.check(collection, together, projection)
            except MonarchError:  # $or does not support $text and $near
                pass
            else:
                return (together,)
        return tuple(self._by_ids(collection, finds))

    def _by_ids(self, collection: Collection, finds: list[Find]) -> Iterator[Find]:
        _require_ids(collection)
        for chunk in chunks({key_of(one): one for one in self._ids(collection, finds)}.values()):
            yield Find({"_id": {"$in": chunk}})

    def _ids(self, collection: Collection, finds: Iterable[Find]) -> Iterator[Any]:
        for find in finds:
            for document in self._reading.read(with_documents(collection), find, {"_id": 1}):
                if "_id" in document:
                    yield document["_id"]

    def _counted(self, collection: Collection, query: Query) -> Collection:
        documents = sum(self._reading.count(collection, find) for find in query.finds)
        average = collection.bytes / collection.documents if collection.documents else 0
        size = min(round(documents * average), collection.bytes)
        return replace(collection, query=query, documents=documents, bytes=size)

    def _unknown(self, name: str, who: str, meant: str | None = None) -> UsageError:
        return unknown_collection(who, name, meant or name, self._catalog, database=self._reading.source.name)


def _require_ids(collection: Collection) -> None:
    if collection.kind == "timeseries":
        raise UsageError(
            f"{collection.name!r} is a time series: its documents have no unique id.",
            "Select its documents with one query without a limit or a sample.",
        )
