"""Field paths, as rules name them: ``address.street``, ``phones[]``, ``items[].note``, ``settings.*``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from monarch.errors import UsageError
from monarch.privacy.rules import Rule, WholeRule

ITEMS, OTHERS = "[]", "*"


@dataclass
class PathNode:
    """What the rules say of one place in a document.

    ``rule`` is for the value there; None if no rule names it. ``fields`` are the named fields below it,
    ``others`` is for the fields below it that are not named, ``items`` for the items of an array there.
    ``rest`` is the rule for all that is at or below this place and not named: one of `keep`, `public`, `null`
    and `remove`; None if that must be named.
    """

    rule: Rule | None = None
    fields: dict[str, PathNode] = field(default_factory=dict)
    others: PathNode | None = None
    items: PathNode | None = None
    rest: WholeRule | None = None


def split_path(path: str) -> tuple[str, ...]:
    r"""Return the parts of ``path``: names of fields, ``[]`` and ``*``.

    A dot in a name is written ``\\.``, and a name that ends with ``[]`` or is ``*`` cannot be written.

    :raises UsageError: if it is no path.
    """
    parts: list[str] = []
    for name in path.replace("\\.", "\0").split("."):
        depth = 0
        while name.endswith(ITEMS):
            name, depth = name[: -len(ITEMS)], depth + 1
        if not name:
            raise UsageError(
                f"{path!r} is no path of a field.", "Write field, field.below, or items[].field."
            )
        parts += [name.replace("\0", "."), *[ITEMS] * depth]
    return tuple(parts)


def join_path(parts: tuple[str, ...]) -> str:
    """Return the path of ``parts``, as rules write it."""
    text = ""
    for part in parts:
        if part == ITEMS:
            text += ITEMS
        else:
            text += ("." if text else "") + part.replace(".", "\\.")
    return text


def build_tree(rules: Mapping[str, Rule]) -> PathNode:
    """Return the tree of ``rules``: the root is the document.

    :raises UsageError: if a path is none.
    """
    root = PathNode()
    for path, rule in rules.items():
        node = root
        for part in split_path(path):
            node = _step(node, part)
        node.rule = rule
    _inherit(root, None)
    return root


def _step(node: PathNode, part: str) -> PathNode:
    if part == ITEMS:
        node.items = node.items or PathNode()
        return node.items
    if part == OTHERS:
        node.others = node.others or PathNode()
        return node.others
    return node.fields.setdefault(part, PathNode())


def _inherit(node: PathNode, rest: WholeRule | None) -> None:
    """Pass on downward what holds for all that is not named."""
    if isinstance(node.rule, WholeRule):
        rest = node.rule
    node.rest = rest
    beside = node.others.rule if node.others is not None else None
    below = beside if isinstance(beside, WholeRule) else rest
    for child in node.fields.values():
        _inherit(child, below)
    if node.others is not None:
        _inherit(node.others, below)
    if node.items is not None:
        _inherit(node.items, rest)
