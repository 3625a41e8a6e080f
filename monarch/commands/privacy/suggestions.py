"""``suggest_masks``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from monarch.commands.console.lines import note, show
from monarch.commands.console.output import print_json, print_table
from monarch.commands.console.text import count
from monarch.commands.names import own_names
from monarch.commands.parsing.arguments import (
    ENVIRONMENT,
    WholeNumber,
    json_option,
    plan_option,
    this_project,
)

if TYPE_CHECKING:
    from monarch.handouts.suggestions import MaskSuggestions
    from monarch.privacy.detection import CollectionSuggestions, Suggestion

_FILE = "migrations/privacy.py"


@click.command("suggest_masks")
@click.argument("environment", type=ENVIRONMENT)
@click.option(
    "--sample",
    metavar="N",
    type=WholeNumber(),
    default=1000,
    show_default=True,
    help="Documents read of each collection: the first, the last and random ones.",
)
@plan_option("Print what would be written, and write nothing.")
@json_option
def suggest_masks(environment: str, sample: int, plan: bool, as_json: bool) -> None:
    """Write a mask for every field of ENVIRONMENT.

    Reads a sample of its documents, finds what looks personal by the names of fields and by their values, and
    writes migrations/privacy.py: the mask of each field, or keep. Shows and writes no value. If there is a
    migrations/privacy.py, what is new is added at its end.

    \b
    Examples:
      monarch suggest_masks production
      monarch suggest_masks production --sample 10000 --plan
    """
    project = this_project()
    suggestions = project.suggest_masks(environment, sample=sample)
    text = project.render_masks(suggestions)
    if not plan and text:
        project.write_masks(suggestions)
    if as_json:
        print_json(_as_json(suggestions, written=bool(text) and not plan))
    elif not text:
        _show_nothing_new(suggestions)
    elif plan:
        for line in text.splitlines():
            show(line)
    else:
        _show_written(suggestions)
    for remark in () if as_json else suggestions.notes:
        note(remark)


def _as_json(suggestions: MaskSuggestions, *, written: bool) -> dict[str, Any]:
    new = {(one.name, field.path) for one in suggestions.new for field in one.fields}
    return {
        "environment": suggestions.environment,
        "file": own_names(_FILE),
        "written": written,
        "collections": [
            {
                "name": one.name,
                "documents": one.documents,
                "read": one.read,
                "fields": [
                    {**_field_as_json(field), "new": (one.name, field.path) in new} for field in one.fields
                ],
            }
            for one in suggestions.collections
        ],
        "notes": suggestions.notes,
    }


def _field_as_json(field: Suggestion) -> dict[str, Any]:
    return {
        "path": field.path,
        "types": dict(field.types),
        "seen": field.seen,
        "rule": field.rule,
        "personal": field.is_personal,
        "reason": field.reason or None,
        "confidence": field.confidence,
    }


def _show_nothing_new(suggestions: MaskSuggestions) -> None:
    if suggestions.collections:
        show(f"Nothing new: {own_names(_FILE)} has a rule for every field that was seen.")
    else:
        show(f"{suggestions.environment} holds no collections: there is nothing to suggest.")


def _show_written(suggestions: MaskSuggestions) -> None:
    rows = [
        (f"{one.name}.{field.path}", field.rule, field.reason)
        for one in suggestions.new
        for field in one.fields
        if field.is_personal
    ]
    if rows:
        print_table(("FIELD", "MASK", "WHY"), rows)
    show(f"Wrote {own_names(_FILE)}: {_summary(suggestions.new)}. Read every line before you rely on it.")


def _summary(collections: tuple[CollectionSuggestions, ...]) -> str:
    fields = [field for one in collections for field in one.fields]
    masked = sum(field.is_personal for field in fields)
    return f"{count(len(fields), 'field')} of {count(len(collections), 'collection')}, {masked} with a mask"
