"""Copying between the environments of a project."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from monarch.errors import UsageError
from monarch.progress import SILENT, Progress
from monarch.workspace.base import NO_OPTIONS, Base

if TYPE_CHECKING:
    from monarch.copies.copy import Copy, CopyPlan, CopyResult


class Copies(Base):
    """From one environment to another."""

    def plan_copy(
        self,
        source: str,
        target: str,
        *,
        engine: str = "auto",
        allow_empty: bool = False,
        query_set: str | None = None,
        options: Mapping[str, str] = NO_OPTIONS,
        progress: Progress = SILENT,
    ) -> CopyPlan:
        """What `copy` would bring into ``target`` and what would go from it. Writes nothing."""
        part = query_set, options
        with self._copying(source, target, engine, allow_empty, part, progress) as copying:
            return copying.plan()

    def copy(
        self,
        source: str,
        target: str,
        *,
        engine: str = "auto",
        in_place: bool = False,
        allow_empty: bool = False,
        query_set: str | None = None,
        options: Mapping[str, str] = NO_OPTIONS,
        progress: Progress = SILENT,
    ) -> CopyResult:
        """Let the database of ``target`` hold what that of ``source`` holds, and nothing else.

        It is built beside what is there and swapped in at the end; with ``in_place`` what is there is
        dropped first. ``engine`` is "tools", "native", or "auto" for the best that works here. With the
        name of a ``query_set`` it is that part of ``source``; ``options`` answer what it asks, and "auto" is
        native.

        :raises ServerError: if it does not come to its end; the target is then as it was.
        :raises LockedError: if another run holds the target.
        """
        result: CopyResult | None = None
        try:
            part = query_set, options
            with self._copying(source, target, engine, allow_empty, part, progress) as copying:
                result = copying.run(in_place=in_place, progress=progress)
        except KeyboardInterrupt as error:  # while servers were reached, or left
            from monarch.copies.copy import interrupted

            raise interrupted(target, done=result is not None) from error
        return result

    def require_two(self, source: str, target: str) -> None:
        """See that both are environments, and not one.

        :raises UsageError: naming what is wrong.
        """
        self.environment(source)
        self.environment(target)
        if source == target:
            raise UsageError(f"{source!r} is both the source and the target.", "Name two environments.")

    @contextmanager
    def _copying(
        self,
        source: str,
        target: str,
        engine: str,
        allow_empty: bool,
        part: tuple[str | None, Mapping[str, str]],
        progress: Progress,
    ) -> Iterator[Copy]:
        from monarch.copies.copy import Copy

        self.require_two(source, target)
        with self.open(source, progress) as one, self.open(target, progress) as other:
            chosen = other.choose_engine(self._engine_for(engine, part[0]))
            asked = self._ask(*part, source, one, progress)
            selection = asked.selection if asked else None
            yield Copy(one, other, (source, target), chosen, allow_empty, selection)
