"""The fields of a collection that no rule names, or whose rule does not take their types."""

from __future__ import annotations

from monarch.databases.mongo.masking.elements import ARRAY, TYPE_NAMES
from monarch.privacy.paths import join_path
from monarch.privacy.rules import Mask, MaskingError

_SHOWN = 5
_MOST = 10_000


class Unnamed:
    """Collects such fields of ``collection``, and stops the transfer for all of them at once."""

    def __init__(self, collection: str) -> None:
        self._collection = collection
        self._found: dict[str, Mask | None] = {}
        self._arrays: list[str] = []

    def add(self, parts: tuple[str, ...], kind: int, rule: Mask | None = None) -> None:
        """Add the field at ``parts`` with values of the type ``kind``, which ``rule`` does not take."""
        if len(self._found) < _MOST:
            path = join_path(parts)
            if kind == ARRAY:
                self._arrays.append(path)
            self._found[f"{path} ({TYPE_NAMES[kind]})"] = rule

    def require_none(self) -> None:
        """Check that there is none.

        :raises MaskingError: naming at most some of them.
        """
        if not self._found:
            return
        found = dict(self._found)
        shown = [
            name if rule is None else f"{name}, which {rule!r} does not take"
            for name, rule in sorted(found.items(), key=lambda item: item[0])[:_SHOWN]
        ]
        more = f" and {len(found) - len(shown):,} more" if len(found) > len(shown) else ""
        raise MaskingError(
            f"migrations/privacy.py does not say what becomes of {self._collection!r}: "
            f"{'; '.join(shown)}{more}.",
            self._hint(),
        )

    def _hint(self) -> str:
        if self._arrays:
            path = min(self._arrays)
            return f"Name them there; the items of an array are {path + '[]'!r}."
        return "Name them there, each with a mask or keep. What is new: monarch suggest_masks ENVIRONMENT"
