"""What a copy or a restore would do, with the state of its target."""

from __future__ import annotations

from dataclasses import dataclass, replace

from monarch.backups.plans.newest import NewestSearch
from monarch.backups.plans.patience import PATIENCE
from monarch.backups.plans.target import TargetState, read_target
from monarch.backups.restore import Restoration, RestoreRequest
from monarch.backups.state import Backup
from monarch.copies.copy import Copy, CopyRequest
from monarch.copies.plan import CopyPlan, lasting_of
from monarch.databases.base import Holdings
from monarch.databases.environment import Environment


@dataclass(frozen=True)
class TransferPlan:
    """What comes into the database of ``target``, and what goes: of ``backup``, or of another environment."""

    plan: CopyPlan
    target: TargetState
    backup: Backup | None = None


def plan_restore(
    request: RestoreRequest,
    restoration: Restoration,
    search: NewestSearch,
    seconds: float = PATIENCE,
    *,
    rights: bool = False,
) -> TransferPlan:
    """Return what ``restoration``, the open ``request``, would do. Writes nothing.

    Raises what `Restoration.check` does. ``search`` and ``seconds`` are as for `read_target`.
    """
    plan = restoration.check(rights=rights)
    target = read_target(request.environment, restoration.target, search, seconds)
    lasting = lasting_of(restoration.target, request.choice)
    return _with_target(TransferPlan(plan, target, request.backup), lasting)


def plan_copy(request: CopyRequest, copy: Copy, search: NewestSearch) -> TransferPlan:
    """Return what ``copy``, the open ``request``, would do, as far as that is known in seconds.

    A subset is not resolved. Raises what `Copy.check` does.
    """
    plan = copy.check()
    target = read_target(request.target, copy.target, search)
    return _with_target(TransferPlan(plan, target), lasting_of(copy.target, request.choice))


def with_target(plan: CopyPlan, target: Environment, search: NewestSearch) -> TransferPlan:
    """Return ``plan``, which has all that ``target`` holds, with the newest backup of that."""
    holdings = Holdings.of((*plan.goes, *plan.lasts))
    return TransferPlan(plan, TargetState(target, search.result(), holdings))


def _with_target(planned: TransferPlan, lasting: frozenset[str]) -> TransferPlan:
    held = planned.target.holdings
    return planned if held is None else replace(planned, plan=planned.plan.replacing(held, lasting))
