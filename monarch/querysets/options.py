"""The options of a query set: the annotations of its class, given by ``-o NAME=VALUE``."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from types import NoneType, UnionType
from typing import Any

from monarch.errors import MonarchError, ProjectError, UsageError
from monarch.querysets.annotations import GIVEN
from monarch.querysets.queryset import QuerySet
from monarch.querysets.times import FORMS, Clock, ago, utc
from monarch.settings.credentials import learn
from monarch.system.secrets import redact
from monarch.system.tracebacks import describe_error

_TRUTHS = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
_EXAMPLES: dict[type, str] = {
    int: "Use a whole number, such as 42.",
    float: "Use a number, such as 1.5.",
    Decimal: "Use a number, such as 1.5.",
}
_REQUIRED: Any = object()


@dataclass(frozen=True)
class QuerySetOption:
    """An option called ``name`` with values of type ``kind``. Without a ``default`` it must be given."""

    name: str
    kind: Any
    default: Any = _REQUIRED

    @property
    def required(self) -> bool:
        """Whether it has no default."""
        return self.default is _REQUIRED

    @property
    def type_name(self) -> str:
        """The name of its type, for people."""
        return str(getattr(self.kind, "__name__", self.kind))

    @property
    def wanted(self) -> str:
        """What to type, for people: the name of its type, with an example if it is a date."""
        relative = ", or 30d for thirty days ago" if _kind_of_date(self.kind) is not None else ""
        return f"{self.type_name}{relative}"

    def convert(self, text: str, clock: Clock = utc) -> Any:
        """Return the value of ``text``. A time relative to now is that of ``clock``.

        :raises UsageError: if it is not a value of this type.
        """
        try:
            return _convert(self.kind, text, clock)
        except MonarchError:  # of the clock
            raise
        except Exception as error:  # a type may raise anything
            learn(self.name, text)
            is_choice = typing.get_origin(self.kind) is typing.Literal
            what = "one of its values" if is_choice else f"of type {self.type_name}"
            hint = (
                _example(self.kind) or f"Use another value: {self.type_name} raised {describe_error(error)}."
            )
            raise UsageError(redact(f"-o {self.name}={text}: {text!r} is not {what}."), hint) from None

    def usual(self, clock: Clock = utc) -> Any:
        """Return its default. That of a date may be a text, such as "30d", or empty.

        :raises ProjectError: if this is not a date.
        """
        if not isinstance(self.default, str) or not self.default or _kind_of_date(self.kind) is None:
            return self.default
        try:
            return _convert(self.kind, self.default, clock)
        except MonarchError:
            raise
        except Exception:
            raise ProjectError(
                f"The default of {self.name} is {self.default!r}, which is not of type {self.type_name}.",
                _example(self.kind),
            ) from None


def options_of(kind: type[QuerySet]) -> tuple[QuerySetOption, ...]:
    """What the class annotates, and those that it inherits from, in that order.

    :raises ProjectError: if an annotation cannot be understood.
    """
    hints: dict[str, Any] = {}
    try:
        for one in reversed(kind.__mro__):
            if one is not QuerySet and issubclass(one, QuerySet):
                hints |= inspect.get_annotations(one, eval_str=True)
    except Exception as error:
        raise ProjectError(
            f"An annotation of {kind.__name__} cannot be understood: {error}.", "Import what it names."
        ) from error
    return tuple(
        QuerySetOption(name, _plain(hint), inspect.getattr_static(kind, name, _REQUIRED))
        for name, hint in hints.items()
        if not name.startswith("_")
        and name not in GIVEN
        and typing.ClassVar not in (hint, typing.get_origin(hint))
    )


def parse_options(texts: Sequence[str]) -> dict[str, str]:
    """Parse the texts given by ``-o``, each ``NAME=VALUE``.

    :raises UsageError: if a text has another form, or a name is given twice.
    """
    given: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name:
            raise UsageError(f"-o {text}: that is not NAME=VALUE.", "Like: -o account_id=42")
        if name in given:
            raise UsageError(f"-o {name}= is given twice.", "Give it once.")
        given[name] = value
    return given


def values_of(
    options: Sequence[QuerySetOption], given: Mapping[str, str], clock: Clock = utc
) -> dict[str, Any]:
    """Return the values of the ``options`` that are ``given`` or have a default; ``clock`` as in `convert`.

    :raises UsageError: if a given text is no value of its option's type.
    :raises ProjectError: if the default of a date is a text, but not a date.
    """
    return {
        option.name: option.convert(given[option.name], clock)
        if option.name in given
        else option.usual(clock)
        for option in options
        if option.name in given or not option.required
    }


def _plain(hint: Any) -> Any:
    """Return the type ``hint`` without an optional None."""
    if typing.get_origin(hint) in (typing.Union, UnionType):
        rest = [one for one in typing.get_args(hint) if one is not NoneType]
        return rest[0] if len(rest) == 1 else hint
    return hint


def _convert(kind: Any, text: str, clock: Clock) -> Any:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return text
    if kind is bool:
        return _TRUTHS[text.strip().casefold()]
    if kind is datetime:
        return ago(text, clock) or datetime.fromisoformat(text.strip())
    if kind is date:
        before = ago(text, clock)
        return before.date() if before else date.fromisoformat(text.strip())
    if origin is typing.Literal:
        return {str(choice): choice for choice in inner}[text]
    if (many := origin or kind) in (list, tuple, set, frozenset):
        one = inner[0] if inner else str
        return many(_convert(one, part.strip(), clock) for part in text.split(",") if part.strip())
    if origin in (typing.Union, UnionType):
        kind = next(one for one in inner if _takes(one, text, clock))
        return _convert(kind, text, clock)
    return kind(text)


def _takes(kind: Any, text: str, clock: Clock) -> bool:
    try:
        _convert(kind, text, clock)
    except MonarchError:
        raise
    except Exception:  # a type may raise anything
        return False
    return True


def _example(kind: Any) -> str | None:
    """Return a hint with a value of the type ``kind``; None if there is no example."""
    if kind is bool:
        return "Use yes or no."
    if _kind_of_date(kind) is not None:
        return f"Like {FORMS}."
    if typing.get_origin(kind) is typing.Literal:
        return f"Use one of: {', '.join(map(str, typing.get_args(kind)))}."
    return _EXAMPLES.get(kind) if isinstance(kind, type) else None


def _kind_of_date(kind: Any) -> Any:
    """Return the type of a date that ``kind`` is, or one of which it has several; None if it is none."""
    if kind in (datetime, date):
        return kind
    return next((one for one in typing.get_args(kind) if one in (datetime, date)), None)
