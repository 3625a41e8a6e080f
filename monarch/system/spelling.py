"""Names that people type: the nearest known name, and the class name for a name."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the name in ``known`` that is most similar to ``name``; None if none is similar enough.

    For names that change nothing. Where a wrong one does harm, use `one_edit_away`.
    """
    import difflib

    candidates = {candidate.casefold(): candidate for candidate in known}
    matches = difflib.get_close_matches(name.casefold(), candidates, n=1, cutoff=0.6)
    return candidates[matches[0]] if matches else None


def one_edit_away(name: str, known: Iterable[str]) -> str | None:
    """Return the name in ``known`` that differs from ``name`` by one letter, or by two that are swapped."""
    typed = name.casefold()
    return next((one for one in known if _is_one_edit(typed, one.casefold())), None)


def _is_one_edit(one: str, other: str) -> bool:
    if one == other:
        return True
    if len(one) == len(other):
        different = [at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
        if len(different) == 2:
            first, second = different
            return second == first + 1 and one[first] + one[second] == other[second] + other[first]
        return len(different) == 1
    shorter, longer = sorted((one, other), key=len)
    return len(longer) == len(shorter) + 1 and any(
        longer[:at] + longer[at + 1 :] == shorter for at in range(len(longer))
    )


def suggest(name: str, known: Iterable[str], *, otherwise: str | None = None) -> str | None:
    """Return a hint: the nearest name in ``known``, or all of them, or ``otherwise`` if there are none."""
    names = list(known)
    near = nearest(name, names)
    return f"Did you mean {near!r}?" if near is not None else list_names(names, otherwise=otherwise)


def suggest_carefully(name: str, known: Iterable[str], *, otherwise: str | None = None) -> str | None:
    """Return a hint as `suggest` does, for names whose data a command may change.

    It proposes a name only if that is one edit away.
    """
    names = list(known)
    near = one_edit_away(name, names)
    return f"Did you mean {near!r}?" if near is not None else list_names(names, otherwise=otherwise)


def list_names(names: list[str], *, otherwise: str | None = None) -> str | None:
    """Return a hint that lists ``names``, the first eight; ``otherwise`` if there are none."""
    if not names:
        return otherwise
    return f"There is: {', '.join(names[:8])}{', …' if len(names) > 8 else ''}."


def camel_case(name: str) -> str:
    """Return ``name`` as the name of a class: ``AddIndexes`` for ``add_indexes``."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
