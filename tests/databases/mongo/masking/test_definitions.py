"""Definitions that may hold values of people are named, and others are not."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from bson import ObjectId, Regex

from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.masking.definitions import describe_values


def notes_of(kind: str = "collection", indexes: tuple[dict[str, Any], ...] = (), **options: Any) -> list[str]:
    return list(describe_values((Collection("users", kind, options, indexes),)))


@pytest.mark.parametrize(
    ("validator", "holds"),
    [
        ({"name": "Otti"}, True),
        ({"name": {"$in": ["Otti", None]}}, True),
        ({"$and": [{"a": {"$exists": True}}, {"name": {"$ne": "Otti"}}]}, True),
        ({"name": {"$not": {"$regex": "^Ott"}}}, True),
        ({"name": Regex("^Ott")}, True),
        ({"owner": ObjectId("507f1f77bcf86cd799439011")}, True),
        ({"born": {"$gt": datetime(1980, 5, 1)}}, True),
        ({"$expr": {"$ne": ["$name", "Otti"]}}, True),
        ({"$expr": {"$lt": ["$from", "$to"]}}, False),
        ({"name": {"$exists": True, "$type": "string"}, "n": {"$mod": [4, 0]}, "a": {"$size": 3}}, False),
        ({"archived": False, "deleted_at": None, "level": {"$gte": 0}}, False),
        ({"$jsonSchema": {"properties": {"name": {"enum": ["Otti", "Anna"]}}}}, True),
        ({"$jsonSchema": {"properties": {"a": {"items": {"anyOf": [{"enum": ["Otti"]}]}}}}}, True),
        ({"$jsonSchema": {"properties": {"name": {"not": {"const": "Otti"}}}}}, True),
        ({"$jsonSchema": {"patternProperties": {"^n": {"pattern": "^Ott"}}}}, True),
        ({"$jsonSchema": {"required": ["name"], "properties": {"enum": {"bsonType": "string"}}}}, False),
        ({"$jsonSchema": {"properties": {"on": {"enum": [True, False, None, 0, 1]}}}}, False),
        ({"$or": [{"$jsonSchema": {"properties": {"name": {"enum": ["Otti"]}}}}]}, True),
    ],
    ids=str,
)
def test_validators_and_partial_filters(validator: dict[str, Any], holds: bool) -> None:
    said = "the validator of 'users' holds values, and masks do not change that"
    assert notes_of(validator=validator) == [said] * holds
    index = {"name": "some", "key": {"name": 1}, "partialFilterExpression": validator}
    said = "the partial filter of the index 'some' of 'users' holds values, and masks do not change that"
    assert notes_of(indexes=(index,)) == [said] * holds


@pytest.mark.parametrize(
    ("pipeline", "holds"),
    [
        ([{"$match": {"name": "Otti"}}], True),
        ([{"$match": {"name": "$5,000"}}], True),
        ([{"$match": {"name": {"$exists": True}}}, {"$sort": {"n": -1}}, {"$limit": 50}], False),
        ([{"$project": {"name": 1, "mail": "$address.mail", "secret": False}}], False),
        ([{"$addFields": {"owner": "Otti"}}], True),
        ([{"$addFields": {"owner": {"$literal": "$Otti"}}}], True),
        ([{"$addFields": {"on": {"$literal": 1}}}], False),
        ([{"$project": {"own": {"$cond": [{"$eq": ["$name", "Otti"]}, "$a", "$b"]}}}], True),
        ([{"$group": {"_id": "$name", "n": {"$sum": 1}}}, {"$count": "all"}], False),
        ([{"$lookup": {"from": "o", "localField": "a", "foreignField": "b", "as": "c"}}], False),
        ([{"$lookup": {"from": "o", "as": "c", "pipeline": [{"$match": {"name": "Otti"}}]}}], True),
        ([{"$lookup": {"from": "o", "as": "c", "let": {"x": "$_id"}, "pipeline": []}}], False),
        ([{"$unionWith": "others"}], False),
        ([{"$unionWith": {"coll": "others", "pipeline": [{"$match": {"name": "Otti"}}]}}], True),
        ([{"$graphLookup": {"from": "o", "startWith": "Otti", "as": "c"}}], True),
        ([{"$graphLookup": {"from": "o", "as": "c", "restrictSearchWithMatch": {"name": "$tti"}}}], True),
        ([{"$facet": {"some": [{"$match": {"name": "Otti"}}]}}], True),
        ([{"$project": {"price": {"$round": ["$price", 2]}, "first": {"$slice": ["$all", 3]}}}], False),
        ([{"$project": {"a": {"$slice": [{"$filter": {"cond": {"$eq": ["$$a", "Otti"]}}}, 3]}}}], True),
    ],
    ids=str,
)
def test_pipelines_of_views(pipeline: list[Any], holds: bool) -> None:
    said = "the pipeline of the view 'users' holds values, and masks do not change that"
    assert notes_of("view", viewOn="people", pipeline=pipeline) == [said] * holds


def test_all_of_them_are_named() -> None:
    index = {"name": "one", "key": {"a": 1}, "partialFilterExpression": {"a": "Otti"}}
    both = notes_of(indexes=(index, {**index, "name": "other"}, {"name": "_id_"}), validator={"a": "Otti"})
    assert [note.partition(" holds")[0] for note in both] == [
        "the validator of 'users'",
        "the partial filter of the index 'one' of 'users'",
        "the partial filter of the index 'other' of 'users'",
    ]
