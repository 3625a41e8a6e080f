"""Say which references of a subset found nothing, or less than they looked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from itertools import islice
from typing import Any

from bson import ObjectId

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.catalog.query import Find
from monarch.databases.mongo.subset.chunks import chunks
from monarch.databases.mongo.subset.reader import SubsetReader, with_documents
from monarch.databases.mongo.subset.references import FollowRule, projection_for, reference_values

_SAMPLE = 20  # documents whose values show which types a field has
_TYPES = {
    str: "string",
    ObjectId: "ObjectId",
    bool: "boolean",
    int: "number",
    float: "number",
    datetime: "date",
    bytes: "binary value",
}


def describe_unmatched(
    reading: SubsetReader, target: Collection, rule: FollowRule, values: Mapping[bytes, Any], documents: int
) -> str | None:
    """Return what to note of ``rule``, which looked in ``target`` for ``values`` of ``documents``.

    Every value should be there if they are ids. Otherwise, as with the orders of users, one is enough.

    :return: None if there is nothing to note.
    """
    source = f"'{rule.source.collection}.{rule.source.field}'"
    if not documents:
        return f"{rule}: no document of '{rule.source.collection}' is included, so nothing was followed."
    if not values:
        return f"{rule}: no included document has a value in {source}. Check how the field is spelled."
    target = with_documents(target)
    field = rule.target.field
    # Numbers of several types can be equal, and are one id then.
    sought = len({value if _type(value) == "number" else key for key, value in values.items()})
    if field == "_id":
        found = sum(reading.count(target, Find({field: {"$in": chunk}})) for chunk in chunks(values.values()))
        if found >= sought:
            return None
        text = f"{found} of {sought}" if found else f"none of {sought}"
    else:
        finds = (Find({field: {"$in": chunk}}, limit=1) for chunk in chunks(values.values()))
        if any(True for find in finds for _ in reading.read(target, find, {"_id": 1})):
            return None
        text = f"none of {sought}"
    there = (
        value
        for document in reading.read(target, Find(limit=_SAMPLE), projection_for(field))
        for value in reference_values(document, field, target.name)
    )
    kinds = _count_types(islice(there, _SAMPLE)) or "no values"
    return (
        f"{rule}: {text} values were found. They are {_count_types(values.values(), numbers=True)}; "
        f"'{target.name}.{field}' has {kinds}."
    )


def _type(value: Any) -> str:
    for kind, name in _TYPES.items():
        if isinstance(value, kind):
            return name
    return type(value).__name__


def _count_types(values: Iterable[Any], *, numbers: bool = False) -> str:
    counts = Counter(map(_type, values))
    return " and ".join(
        f"{f'{count:,} ' if numbers else ''}{name}{'' if numbers and count == 1 else 's'}"
        for name, count in counts.most_common()
    )
