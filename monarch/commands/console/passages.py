"""Printing how the contents of a private environment pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from monarch.commands.console.lines import note, show, tip
from monarch.commands.console.output import print_table
from monarch.commands.console.text import printable, shorten
from monarch.commands.names import own_names

if TYPE_CHECKING:
    from monarch.copies.plan import CopyPlan
    from monarch.copies.transfer import TransferResult
    from monarch.handouts.policy import Passage

_MASKED, _RAW = "masked", "raw"
# Characters of a document: a part of a file would fill the terminal.
_LONGEST = 2_000


def described(passage: Passage) -> str:
    """Return how contents pass, to be written after their name; "" if they are of no private environment."""
    if passage.value == _MASKED:
        return ", masked"
    return ", UNMASKED although it is private" if passage.value == _RAW else ""


def raw_hazard(passage: Passage, source: str) -> str | None:
    """Return why it is hazardous to hand out ``source``; None if it is not."""
    return f"{source} is private, and --raw masks nothing" if passage.value == _RAW else None


def print_masks(plan: CopyPlan) -> None:
    """Print which fields would be masked, and the documents of the plan."""
    if plan.passage.value == _RAW:
        note("Nothing would be masked (--raw).")
    if plan.passage.value == _MASKED:
        show(own_names("Masked by migrations/privacy.py:"))
        cells = [(field.collection, field.path or "(whole documents)", field.rule) for field in plan.masked]
        print_table(("COLLECTION", "FIELD", "MASK"), cells)
    for collection, text in plan.documents:
        show(f"{printable(collection)}: {printable(shorten(text, _LONGEST))}", recorded=False)


def print_passage(result: TransferResult) -> None:
    """Print how the contents have passed, if they are of a private environment."""
    if result.passage.value == _RAW:
        note("Nothing was masked (--raw). The journal of the target says so.")
    if result.passage.value == _MASKED:
        key = "the key in MONARCH_MASKS_KEY" if result.lasting_masks else "a key of this copy alone"
        tip(f"Masked by migrations/privacy.py, under {key}.")
