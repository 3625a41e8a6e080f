"""Names that people type: which known one they meant, and how a name looks as a class."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The one of ``known`` that ``name`` was most likely meant to be, if any is near."""
    import difflib

    candidates = {candidate.casefold(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.casefold(), candidates, n=1, cutoff=0.6)
    return candidates[matches[0]] if matches else None


def suggest(name: str, known: Iterable[str], *, otherwise: str | None = None) -> str | None:
    """A hint in words: the nearest of ``known``, else all of them, else ``otherwise``."""
    names = list(known)
    near = nearest(name, names)
    if near is not None:
        return f"Did you mean {near!r}?"
    if not names:
        return otherwise
    shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    return f"There is: {shown}."


def camel_case(name: str) -> str:
    """``add_indexes`` as a class is called: ``AddIndexes``."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
