"""The questions that the code of a query set asks, as its file has them: nothing is executed."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass

from monarch.querysets.annotations import type_for_people, value_for_people
from monarch.querysets.prompts import name_of

_TYPES = {
    "BOOL": "bool",
    "BOOLEAN": "bool",
    "FLOAT": "float",
    "FloatRange": "float",
    "INT": "int",
    "IntRange": "int",
    "STRING": "str",
    "DateTime": "datetime",
    "UUID": "UUID",
}


@dataclass(frozen=True)
class ListedQuestion:
    """A ``question`` that is asked, perhaps; ``-o`` answers it by its ``name``. ``type`` is for people."""

    name: str
    type: str
    question: str

    def __str__(self) -> str:
        return f"{self.name}: {self.type} (asked)"


def read_questions(node: ast.ClassDef) -> tuple[ListedQuestion, ...]:
    """Return the questions in the code of the class ``node``, if their texts are constants."""
    calls = [call for call in ast.walk(node) if isinstance(call, ast.Call)]
    calls.sort(key=lambda call: (call.lineno, call.col_offset))
    found = [question for call in calls if (question := _question(call)) is not None]
    return tuple({question.name: question for question in found}.values())


def calls_inherited(node: ast.ClassDef) -> bool:
    """Whether the class ``node`` runs the code that it inherits: it has no ``run``, or one that calls it."""
    runs = [one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "run"]
    return not runs or "super()" in ast.unparse(runs[0])


def _question(call: ast.Call) -> ListedQuestion | None:
    """Return the question that ``call`` asks by click's functions; None for other calls."""
    owner, _, function = ast.unparse(call.func).rpartition(".")
    arguments: Mapping[str | None, ast.expr] = {one.arg: one.value for one in call.keywords}
    text = call.args[0] if call.args else arguments.get("text")
    if function not in ("prompt", "confirm") or owner in ("self", "cls", "super()"):
        return None
    if not isinstance(text, ast.Constant) or not isinstance(text.value, str):
        return None
    kind = "bool" if function == "confirm" else _kind(arguments)
    return ListedQuestion(name_of(text.value), kind, " ".join(text.value.split()))


def _kind(arguments: Mapping[str | None, ast.expr]) -> str:
    """Return the type of the answer, as click finds it out."""
    kind, default = arguments.get("type"), arguments.get("default")
    if kind is None:
        return type(default.value).__name__ if isinstance(default, ast.Constant) and default.value else "str"
    if not isinstance(kind, ast.Call):
        named = type_for_people(kind)
        return _TYPES.get(named, named)
    named = type_for_people(kind.func)
    if named == "Choice" and kind.args and isinstance(kind.args[0], ast.List | ast.Tuple):
        return " | ".join(value_for_people(one) or "" for one in kind.args[0].elts)
    return _TYPES.get(named, named)
