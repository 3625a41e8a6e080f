"""The single values of documents, with their paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from monarch.privacy.paths import ITEMS, OTHERS, PathNode, join_path
from monarch.privacy.rules import Rule

Place = tuple[str | int, ...]


def leaves_of(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Yield each single value in ``value``, and where it is: names of fields and numbers of items."""
    todo: list[tuple[Place, Any]] = [(place, value)]
    while todo:
        place, value = todo.pop()
        if isinstance(value, Mapping):
            todo += [((*place, name), one) for name, one in value.items()]
        elif isinstance(value, list):
            todo += [((*place, number), one) for number, one in enumerate(value)]
        else:
            yield place, value


def path_of(place: Place, root: PathNode | None = None) -> str:
    """Return ``place`` as rules write it.

    Below a document names of fields that only ``*`` names in the rules ``root`` are data, and shown as that.
    """
    node, parts = root, list[str]()
    for part in place:
        if isinstance(part, int):
            node, name = node and node.items, ITEMS
        elif node is not None and part not in node.fields and node.others is not None:
            node, name = node.others, OTHERS if parts else part
        else:
            node, name = node and node.fields.get(part), part
        parts.append(name)
    return join_path(tuple(parts))


def rule_at(root: PathNode, place: Place) -> Rule | None:
    """Return the rule for the value at ``place``; None if there is none."""
    node = root
    for part in place:
        child = node.items if isinstance(part, int) else node.fields.get(part, node.others)
        if child is None:
            beside = node.others.rule if node.others is not None and not isinstance(part, int) else None
            return beside or node.rest
        node = child
    return node.rule or node.rest
