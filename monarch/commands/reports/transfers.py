"""What a copy or a restore would do: what comes, what goes, and what stays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from monarch.commands.console.lines import note, show
from monarch.commands.console.output import print_json, print_renamed, words_for
from monarch.commands.console.passages import print_masks
from monarch.commands.console.text import count, engine_label
from monarch.commands.names import own_names
from monarch.commands.reports.plans import nothing_changed, show_collections, show_target, target_as_json

if TYPE_CHECKING:
    from monarch.backups.plans.transfer import TransferPlan
    from monarch.copies.plan import CopyPlan
    from monarch.databases.transfer import CollectionSummary


def show_plan(
    planned: TransferPlan, ends: Mapping[str, Any], title: str, *, in_place: bool, as_json: bool
) -> None:
    """Print a plan that no question follows. ``title`` is as for `show_transfer`.

    :param ends: the members of the JSON that name what is copied or restored, and where to.
    """
    if as_json:
        print_json({**ends, "in_place": in_place, **_as_json(planned)})
        return
    show_transfer(planned, title)
    if in_place:
        show("With --in-place, all of it would be dropped before anything comes.")
    nothing_changed()


def show_transfer(planned: TransferPlan, title: str, most: int | None = None) -> None:
    """Print what ``planned`` would do to its target.

    :param title: what is copied or restored, and where to, in words.
    :param most: the rows of each table.
    """
    plan, target = planned.plan, planned.target.environment.label
    if plan.unfinished:
        note(f"{plan.unfinished}")
    show_target(planned.target, err=False)
    show(f"{title}, by {engine_label(plan.engine, plan.versions)}:")
    _show_arriving(planned, most)
    print_renamed(plan.renamed)
    if planned.target.holdings is not None:
        _show_leaving(plan, target, most)
    if most is None or not plan.masked:
        print_masks(plan)
    else:
        file = own_names("migrations/privacy.py")
        show(f"Masked by {file}: {count(len(plan.masked), 'field')}, which --plan lists.")
    for text in plan.notes:
        note(text)


def _show_arriving(planned: TransferPlan, most: int | None) -> None:
    plan = planned.plan
    if plan.unresolved:
        show("What the subset selects is read after the question; --plan reads it, and lists it.")
    elif not _is_counted(planned):
        thing, part = words_for(plan.comes)
        names = ", ".join(one.name for one in plan.comes[:most])
        rest = f" and {len(plan.comes) - most:,} more" if most is not None and len(plan.comes) > most else ""
        show(f"{count(len(plan.comes), thing)}, whose {part}s nothing counts before: {names}{rest}")
    else:
        show_collections(plan.comes, most=most, replaced=_replaced(plan))


def _replaced(plan: CopyPlan) -> dict[str, CollectionSummary | None]:
    names = {one.name for one in plan.comes}
    uncounted = {name: None for name in plan.uncounted if name in names}
    return {**uncounted, **{one.name: one for one in plan.replaced}}


def _show_leaving(plan: CopyPlan, target: str, most: int | None) -> None:
    thing, _ = words_for((*plan.comes, *plan.goes))
    others, uncounted = plan.others, plan.uncounted_others
    if plan.unresolved:
        found = count(len(plan.goes) + len(plan.uncounted), thing)
        if plan.keeps_others:
            show(f"Of the {found} of {target}, those of the names that come would be replaced:")
        else:
            show(f"On {target}, {found} would be replaced or dropped:")
    else:
        replaced = len(plan.goes) - len(others) + len(plan.uncounted) - len(uncounted)
        show(describe_replaced(target, replaced, thing))
        if others or uncounted:
            show(f"These would {'stay as they are' if plan.keeps_others else 'be dropped'}:")
    if others or uncounted:
        show_collections(others, uncounted, most)


def _is_counted(planned: TransferPlan) -> bool:
    """Whether the documents of what comes are known: only monarch's own manifest tells."""
    return planned.backup is None or planned.backup.state is planned.backup.state.GOOD


def _arriving_as_json(collection: CollectionSummary, planned: TransferPlan) -> dict[str, Any]:
    counted = _is_counted(planned)
    return {**vars(collection), **({} if counted else {"documents": None, "bytes": collection.bytes or None})}


def describe_replaced(target: str, number: int, thing: str) -> str:
    """Return how many of the ``thing``s of ``target`` a copy would replace, for people."""
    if not number:
        return f"No {thing} of {target} would be replaced."
    return f"On {target}, {count(number, thing)} of the same name would be replaced."


def _as_json(planned: TransferPlan) -> dict[str, Any]:
    plan, known = planned.plan, planned.target.holdings is not None
    replaced, others = ([vars(one) for one in group] for group in (plan.replaced, plan.others))
    dropped, kept = ([], others) if plan.keeps_others else (others, [])
    return {
        "engine": plan.engine,
        "versions": plan.versions,
        "copied": [_arriving_as_json(one, planned) for one in plan.comes],
        "replaced": replaced if known else None,
        "dropped": dropped if known else None,
        "kept": kept if known else None,
        "renamed": dict(plan.renamed),
        "unfinished": plan.unfinished,
        "passage": plan.passage.value,
        "masked": [vars(field) for field in plan.masked],
        "documents": [{"collection": name, "document": text} for name, text in plan.documents],
        "notes": plan.notes,
        "target": target_as_json(planned.target),
    }
