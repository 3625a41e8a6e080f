"""Definitions that hold values: masks do not change them, so people should look at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monarch.databases.mongo.catalog.model import Collection

# Keywords of $jsonSchema whose values are values of documents.
_OF_SCHEMAS = ("enum", "const", "pattern")
# Those whose keys are names of fields, and those that hold schemas.
_FIELDS, _PATTERNS = ("properties", "dependencies"), ("patternProperties",)
# Operators whose operands are about a document's shape.
_OF_SHAPE = (
    "$exists",
    "$type",
    "$size",
    "$mod",
    "$bitsAllSet",
    "$bitsAnySet",
    "$maxDistance",
    "$minDistance",
)
# Stages and operators of pipelines whose operands are options, not values of documents.
_OPTIONS = frozenset(("$limit", "$skip", "$sample", "$sort", "$unwind", "$count", "$meta"))
# Operators whose first operand is an expression, and the others are options.
_FIRST_OF = frozenset(("$round", "$trunc", "$slice"))
_HINT = "masks do not change that"


def describe_values(collections: tuple[Collection, ...]) -> tuple[str, ...]:
    """Return a sentence for each definition of ``collections`` that may hold values of documents."""
    return tuple(note for one in collections for note in _describe(one))


def _describe(collection: Collection) -> Iterator[str]:
    name, options = repr(collection.name), collection.options
    if _in_query(options.get("validator")):
        yield f"the validator of {name} holds values, and {_HINT}"
    if collection.kind == "view" and _in_pipeline(options.get("pipeline")):
        yield f"the pipeline of the view {name} holds values, and {_HINT}"
    for index in collection.indexes:
        if _in_query(index.get("partialFilterExpression")):
            yield f"the partial filter of the index {index['name']!r} of {name} holds values, and {_HINT}"


def _in_query(value: Any) -> bool:
    """Whether a query holds what may be a value: a text, date, id or number of a document."""
    if isinstance(value, list | tuple):
        return any(map(_in_query, value))
    if not isinstance(value, Mapping):
        return _may_be_personal(value)
    for key, inner in value.items():
        if key == "$jsonSchema":
            if _in_schema(inner):
                return True
        elif key == "$expr":
            if _in_pipeline(inner):
                return True
        elif key not in _OF_SHAPE and _in_query(inner):
            return True
    return False


def _in_schema(schema: Any) -> bool:
    if isinstance(schema, list | tuple):
        return any(map(_in_schema, schema))
    if not isinstance(schema, Mapping):
        return False
    for key, inner in schema.items():
        if key in _OF_SCHEMAS:
            if key == "pattern" or _in_query(inner):
                return True
        elif key in (*_FIELDS, *_PATTERNS):
            if isinstance(inner, Mapping) and any(map(_in_schema, inner.values())):
                return True
        elif _in_schema(inner):
            return True
    return False


def _in_pipeline(value: Any) -> bool:
    """Whether a pipeline or an expression holds a literal. Texts that begin with a $ are names of fields."""
    if isinstance(value, list | tuple):
        return any(map(_in_pipeline, value))
    if isinstance(value, Mapping):
        return any(_in_stage(key, inner) for key, inner in value.items())
    return _may_be_personal(value) and not (isinstance(value, str) and value.startswith("$"))


def _in_stage(key: str, inner: Any) -> bool:
    if key in ("$match", "$literal", "restrictSearchWithMatch"):
        return _in_query(inner)
    if key in _FIRST_OF and isinstance(inner, list | tuple):
        return _in_pipeline(inner[:1])
    if key in ("$lookup", "$graphLookup", "$unionWith"):
        return isinstance(inner, Mapping) and any(
            _in_stage(one, inner[one])
            for one in ("pipeline", "let", "startWith", "restrictSearchWithMatch")
            if one in inner
        )
    return key not in _OPTIONS and _in_pipeline(inner)


def _may_be_personal(value: Any) -> bool:
    """Whether a literal may be a value of a person: not null, a truth, 0 or 1, which are flags."""
    return not (
        value is None or isinstance(value, bool) or (isinstance(value, int | float) and value in (0, 1))
    )
