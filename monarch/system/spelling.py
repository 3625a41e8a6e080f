"""Names that people type: the nearest known name, and the class name for a name."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the name in ``known`` that is most similar to ``name``; None if none is similar enough."""
    import difflib

    candidates = {candidate.casefold(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.casefold(), candidates, n=1, cutoff=0.6)
    return candidates[matches[0]] if matches else None


def suggest(name: str, known: Iterable[str], *, otherwise: str | None = None) -> str | None:
    """Return a hint: the nearest name in ``known``, or all of them, or ``otherwise`` if there are none."""
    names = list(known)
    near = nearest(name, names)
    if near is not None:
        return f"Did you mean {near!r}?"
    if not names:
        return otherwise
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f"There is: {shown}."


def camel_case(name: str) -> str:
    """Return ``name`` as the name of a class: ``AddIndexes`` for ``add_indexes``."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
