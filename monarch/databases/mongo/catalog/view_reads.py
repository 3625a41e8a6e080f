"""Which collections a view reads: the one that it is on, and those that its pipeline names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monarch.databases.mongo.catalog.model import Collection

# Stages that read another collection, with the field that names it.
_FIELDS = {"$lookup": "from", "$graphLookup": "from", "$unionWith": "coll"}


def collections_read(view: Collection) -> frozenset[str]:
    """Return the names of the collections that ``view`` reads; of what is no view, none."""
    if view.kind != "view":
        return frozenset()
    return frozenset((str(view.options["viewOn"]), *_read_in(view.options.get("pipeline", ()))))


def _read_in(pipeline: Any) -> Iterator[str]:
    if not isinstance(pipeline, list | tuple):
        return
    for stage in pipeline:
        for name, inner in stage.items() if isinstance(stage, Mapping) else ():
            if name == "$unionWith" and isinstance(inner, str):
                yield inner
            elif name == "$facet" and isinstance(inner, Mapping):
                for part in inner.values():
                    yield from _read_in(part)
            elif name in _FIELDS and isinstance(inner, Mapping):
                # Without the name of a collection it reads documents of its own, or {db, coll} elsewhere.
                if isinstance(inner.get(_FIELDS[name]), str):
                    yield inner[_FIELDS[name]]
                yield from _read_in(inner.get("pipeline"))
