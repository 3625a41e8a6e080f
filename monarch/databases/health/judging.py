"""What numbers and names of a server mean: whether they are as they should be."""

from __future__ import annotations

from collections.abc import Mapping

from monarch.amounts import age, size
from monarch.databases.health.observation import Health, Observation
from monarch.databases.lease import Holder

READ, MIGRATE, COPY_FROM, BACKUP, COPY_TO, DROP = (
    *("read", "migrate", "copy from it", "back it up", "copy or restore into it", "drop it"),
)
# In this part of a disk it is full soon, and by so many seconds two clocks differ too much.
_LITTLE = 0.1
_CLOCKS = 5.0


def judge_rights(lacking: Mapping[str, str | None]) -> Observation:
    """Return what a user may do: ``lacking`` says why not for each command, None if it may.

    An account that reads only, or that may not drop, is as it should be. One that may change something, but
    not migrate or back up, is a warning.
    """
    may = [name for name, why in lacking.items() if why is None]
    not_ = [f"{name} ({why})" for name, why in lacking.items() if why is not None]
    message = f"May {', '.join(may) or 'nothing'}" + (f"; not {', '.join(not_)}." if not_ else ".")
    if READ not in may:
        return Observation(
            "rights", Health.PROBLEM, message, "Use an account that may at least read this database."
        )
    writes = {MIGRATE, COPY_TO, DROP} & set(may)
    if writes and not {MIGRATE, COPY_FROM, BACKUP} <= set(may):
        return Observation("rights", Health.WARNING, message, "Give its account the rights that it lacks.")
    return Observation("rights", Health.OK, message)


def judge_clock(ahead: float) -> Observation:
    """Return how the clock of a server, which is ``ahead`` of this machine's by so many seconds, is."""
    if abs(ahead) < _CLOCKS:
        return Observation("clock", Health.OK, f"Differs from this machine's by {abs(ahead):.1f} s.")
    which = "ahead of" if ahead > 0 else "behind"
    return Observation(
        "clock",
        Health.WARNING,
        f"The server's clock is {age(abs(ahead))} {which} this machine's.",
        "Set the clock that is wrong, and keep it right by NTP.",
    )


def judge_holder(holder: Holder | None, label: str) -> Observation:
    """Return what the lease is like, which ``holder`` has."""
    if holder is None:
        return Observation("lease", Health.OK, "Free.")
    what = f"Held by {holder.who} for {age(holder.seconds)}: {holder.purpose}"
    if holder.died or holder.expired:
        return Observation(
            "lease",
            Health.WARNING,
            f"{what}. That run is dead.",
            f"The next run takes it over. To free it now: monarch unlock {label}",
        )
    return Observation("lease", Health.OK, f"{what}.")


def judge_space(free: float, total: float) -> Observation:
    """Return how full a disk with ``free`` bytes of ``total`` is."""
    message = f"{size(free)} of {size(total)} are free."
    if free < total * _LITTLE:
        return Observation(
            "space",
            Health.WARNING,
            message,
            "Make room: a copy into a database needs its size once more until it is complete.",
        )
    return Observation("space", Health.OK, message)
