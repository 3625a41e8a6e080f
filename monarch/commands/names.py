"""What the files of this project are called in messages, which name them as most projects do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from monarch.settings.paths import Place

# Not in a longer path, which is another file.
_FOLDER = re.compile(r"(?<![\w/.\\-])migrations/")
_SETTINGS = re.compile(r"(?<![\w/.\\-])migrations/settings\.py\b")
_place: Place | None = None


def use_names(place: Place) -> None:
    """Call the files as the project in ``place`` does, from now on."""
    global _place
    _place = place


def own_names(text: str) -> str:
    """Return ``text`` with this project's names of ``migrations/`` and of ``migrations/settings.py``."""
    if _place is None or "migrations/" not in text:
        return text
    text = _SETTINGS.sub(lambda _: _place.settings.as_posix(), text)
    return text if _place.folder == "migrations" else _FOLDER.sub(lambda _: f"{_place.folder}/", text)
