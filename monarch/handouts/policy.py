"""Which contents must be masked before they arrive, and which leave as they are."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from monarch.databases.environment import Environment


class Passage(Enum):
    """How contents pass from where they are to where they go."""

    # Neither end is private, or both are.
    OPEN = "open"
    MASKED = "masked"
    # Out of a private environment and unmasked, because somebody demands that.
    RAW = "raw"


def find_passage(*, private: bool, target: Environment, raw: bool) -> Passage:
    """Return how contents pass into ``target``.

    :param private: whether they are those of a private environment, and not masked yet.
    :param raw: whether they are demanded unmasked. This has no effect if they may pass as they are.
    """
    if not private or target.private:
        return Passage.OPEN
    return Passage.RAW if raw else Passage.MASKED


def is_private_backup(
    *, environment: str | None, private: bool, masked: bool, environments: Iterable[Environment]
) -> bool:
    """Return whether a backup holds contents of a private environment, unmasked.

    A backup whose environment is not known is private if any environment of the project is.

    :param environment: the name of the environment in its manifest; None without a manifest.
    :param private: whether its manifest says that the environment was private.
    :param masked: whether its manifest says that the documents were masked.
    :param environments: those of the project.
    """
    if masked or private:
        return private and not masked
    known: dict[str | None, bool] = {one.name: one.private for one in environments}
    return known.get(environment, any(known.values()))
