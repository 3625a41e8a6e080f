"""Which environment variables the settings read for a key, found in their text.

Only what the text says for certain is returned: a variable that is called by a literal name, in the value of
the key or in that of a name which is assigned once.
"""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

_ENVIRONMENTS = "ENVIRONMENTS"
_DEEPEST = 5


def unset_variables(settings: Path, environment: str, key: str) -> tuple[str, ...]:
    """Return the variables without a value from which ``settings`` take ``key`` of ``environment``."""
    try:
        tree = ast.parse(settings.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ()
    assigned = _assigned_once(tree)
    entry = _value_at(assigned.get(_ENVIRONMENTS), environment)
    if isinstance(entry, ast.Name):
        entry = assigned.get(entry.id)
    value = _value_at(entry, key)
    names = () if value is None else _read_by(value, assigned, _DEEPEST)
    return tuple(name for name in dict.fromkeys(names) if not os.environ.get(name))


def _assigned_once(tree: ast.Module) -> Mapping[str, ast.expr]:
    """Return the values of the names that are assigned once, at the top level of the file."""
    found: dict[str, ast.expr] = {}
    for line in tree.body:
        targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
        value = line.value if isinstance(line, ast.Assign | ast.AnnAssign) else None
        if value is not None and len(targets) == 1 and isinstance(targets[0], ast.Name):
            found[targets[0].id] = value
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    stored = [node.id for node in names if isinstance(node.ctx, ast.Store)]
    once = {name: value for name, value in found.items() if stored.count(name) == 1}
    if sum(node.id == _ENVIRONMENTS for node in names) > 1:  # it may be changed in place
        once.pop(_ENVIRONMENTS, None)
    return once


def _value_at(mapping: ast.expr | None, key: str) -> ast.expr | None:
    """Return the value of ``key`` in the expression of a dict; None if there is not exactly one."""
    if isinstance(mapping, ast.Dict):
        pairs = zip(mapping.keys, mapping.values, strict=True)
        found = [value for name, value in pairs if isinstance(name, ast.Constant) and name.value == key]
    elif isinstance(mapping, ast.Call) and isinstance(mapping.func, ast.Name) and mapping.func.id == "dict":
        found = [one.value for one in mapping.keywords if one.arg == key]
    else:
        found = []
    return found[0] if len(found) == 1 else None


def _read_by(value: ast.expr, assigned: Mapping[str, ast.expr], depth: int) -> Iterator[str]:
    """Yield the names of the variables that an expression reads through ``os``."""
    for node in ast.walk(value):
        if isinstance(node, ast.Name) and node.id in assigned and depth:
            yield from _read_by(assigned[node.id], assigned, depth - 1)
        name: ast.expr | None = None
        if isinstance(node, ast.Call) and node.args:
            if ast.unparse(node.func) in ("os.environ.get", "environ.get", "os.getenv", "getenv"):
                name = node.args[0]
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) in ("os.environ", "environ"):
            name = node.slice
        if isinstance(name, ast.Constant) and isinstance(name.value, str):
            yield name.value
