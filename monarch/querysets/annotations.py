"""The options of a query set as its file has them, for people: nothing is imported."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from monarch.settings.credentials import learn
from monarch.system.secrets import redact

# Attributes that every query set has.
GIVEN = frozenset(("client", "connection", "database", "environment", "uri"))
_EMPTY = ("None", "NoneType")
# A longer default is shortened in a table.
_LONGEST = 40


@dataclass(frozen=True)
class ListedOption:
    """An option called ``name``, with a ``type`` for people.

    ``default`` is a text as ``-o`` takes it, or else its code. Without one, an option that is not
    ``required`` is None.
    """

    name: str
    type: str
    required: bool = True
    default: str | None = None

    def __str__(self) -> str:
        if self.required:
            return f"{self.name}: {self.type}"
        default = "none" if self.default is None else self.default
        short = default if len(default) <= _LONGEST else f"{default[:_LONGEST]}…"
        return f"{self.name}: {self.type} = {short}"


def read_options(node: ast.ClassDef, inherited: Iterable[ListedOption] = ()) -> tuple[ListedOption, ...]:
    """Return the options of the class ``node``, after those that it has ``inherited``."""
    found = {option.name: option for option in inherited}
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            name = line.target.id
            kind = type_for_people(line.annotation)
            if name.startswith("_") or name in GIVEN or kind == "ClassVar":
                continue
            default = line.value
            if default is None and name in found:  # the value of a base stays
                found[name] = _with(found[name], kind)
            else:
                found[name] = _option(name, kind, default)
        elif isinstance(line, ast.Assign):
            for target in line.targets:
                if isinstance(target, ast.Name) and target.id in found:
                    found[target.id] = _option(target.id, found[target.id].type, line.value)
    return tuple(found.values())


def _with(option: ListedOption, kind: str) -> ListedOption:
    return ListedOption(option.name, kind, option.required, option.default)


def _option(name: str, kind: str, default: ast.expr | None) -> ListedOption:
    if default is None:
        return ListedOption(name, kind)
    text = value_for_people(default)
    if text is None:
        return ListedOption(name, kind, required=False)
    learn(name, text)
    return ListedOption(name, kind, required=False, default=redact(text))


def type_for_people(node: ast.expr) -> str:
    """Return the type ``node``, without its modules and without an optional None."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):  # an annotation in quotes
        try:
            return type_for_people(ast.parse(node.value.strip(), mode="eval").body)
        except (SyntaxError, ValueError):
            return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        kinds = [type_for_people(node.left), type_for_people(node.right)]
        return " | ".join(kind for kind in kinds if kind not in _EMPTY)
    if isinstance(node, ast.Attribute):
        return node.attr
    if isinstance(node, ast.Subscript):
        return _generic(type_for_people(node.value), node.slice)
    return ast.unparse(node)


def _generic(outer: str, inner: ast.expr) -> str:
    parts = inner.elts if isinstance(inner, ast.Tuple) else [inner]
    if outer == "Literal":
        return " | ".join(value_for_people(part) or ast.unparse(part) for part in parts)
    kinds = [type_for_people(part) for part in parts]
    if outer in ("Optional", "Union"):
        return " | ".join(kind for kind in kinds if kind not in _EMPTY)
    if outer in ("Annotated", "Final", "ClassVar"):
        return outer if outer == "ClassVar" else kinds[0]
    return f"{outer}[{', '.join(kinds)}]"


def value_for_people(node: ast.expr) -> str | None:
    """Return the value ``node`` as ``-o`` takes it, or else its source; None if it is None."""
    if isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            return "yes" if node.value else "no"
        if isinstance(node.value, str):
            return node.value
        return None if node.value is None else ast.unparse(node)
    if isinstance(node, ast.List | ast.Tuple | ast.Set) and all(
        isinstance(one, ast.Constant) for one in node.elts
    ):
        return ",".join(value_for_people(one) or "" for one in node.elts)
    if isinstance(node, ast.Call) and (moment := _moment(node)) is not None:
        return moment
    return ast.unparse(node)


def _moment(node: ast.Call) -> str | None:
    """Return the date that ``node`` makes of whole numbers; None if it is another call."""
    from datetime import date, datetime

    kinds: Mapping[str, type[date]] = {"date": date, "datetime": datetime}
    kind = kinds.get(ast.unparse(node.func).rpartition(".")[2])
    numbers = [getattr(one, "value", None) for one in node.args]
    if kind is None or node.keywords or not all(type(number) is int for number in numbers):
        return None
    try:
        return kind(*numbers).isoformat().removesuffix("T00:00:00")  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
