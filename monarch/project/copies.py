"""Copies from one environment of a project to another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Unpack

from monarch.databases.environment import Environment
from monarch.progress import SILENT, Progress, Question, asked_once
from monarch.project.restores import ProjectRestores
from monarch.settings.hooks import HookContext

if TYPE_CHECKING:
    from monarch.backups.plans.transfer import TransferPlan
    from monarch.copies.copy import CopyRequest
    from monarch.copies.plan import CopyPlan
    from monarch.copies.transfer import TransferResult
    from monarch.databases.selection import Names
    from monarch.privacy.leaks.check import Leak


_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


class ProjectCopies(ProjectRestores):
    """Copies from one environment to another."""

    def require_two(self, source: str, target: str) -> tuple[Environment, Environment]:
        """The environments ``source`` and ``target``, which are two.

        :raises UsageError: if one of them does not exist, or both are the same.
        """
        from monarch.copies.copy import require_two

        environments = self.environment(source), self.environment(target)
        require_two(source, target)
        return environments

    def plan_copy(
        self,
        source: str,
        target: str,
        *,
        engine: str = "auto",
        in_place: bool = False,
        allow_empty: bool = False,
        query_set: str | None = None,
        options: Mapping[str, str] = _NO_OPTIONS,
        compare_contents: bool = False,
        raw: bool = False,
        show: int = 0,
        progress: Progress = SILENT,
        **names: Unpack[Names],
    ) -> CopyPlan:
        """List what `copy` would bring into ``target`` and drop from it. Writes nothing.

        Raises what `copy` does before it changes anything.

        ``show`` is how many documents of each collection it returns as they would arrive.
        """
        request = self._copy_request(source, target, engine, allow_empty, query_set, options, names)
        request.choice.require_staging(in_place=in_place)
        request = replace(request, compare_contents=compare_contents, raw=raw)
        with request.open(progress) as copy, copy.source.reading(), copy.target.reading():
            return copy.plan(show)

    def copy(
        self,
        source: str,
        target: str,
        *,
        engine: str = "auto",
        in_place: bool = False,
        allow_empty: bool = False,
        query_set: str | None = None,
        options: Mapping[str, str] = _NO_OPTIONS,
        compare_contents: bool = False,
        raw: bool = False,
        check_all: bool = False,
        progress: Progress = SILENT,
        confirm: Question | None = None,
        preview: Callable[[TransferPlan], object] | None = None,
        **names: Unpack[Names],
    ) -> TransferResult:
        """Replace the contents of the database of ``target`` with those of ``source``.

        The copy is built in staging collections and swapped in at the end; with ``in_place`` the old contents
        are dropped first. ``engine`` is "tools", "native", or "auto" for the best that works here. With the
        name of a ``query_set`` only the subset that it selects is copied; ``options`` are the answers to its
        options and prompts, and "auto" is native. ``names`` are the arguments of a `Choice`: what
        of it is copied. With ``compare_contents`` a hash of the contents of each table is compared
        before the swap (PostgreSQL). Out of a private environment into one that is not, documents are masked
        by ``migrations/privacy.py``; with ``raw`` they are not, which the journal of ``target`` records.
        With ``confirm``, ``preview`` is called before it with what the copy would do, made in seconds.
        Before the swap it is checked that nothing leaks: on a sample of each collection, or with
        ``check_all`` on all documents.

        :raises ServerError: if the copy does not finish; the target is then as it was.
        :raises LockedError: if another run holds the target.
        """
        request = self._copy_request(source, target, engine, allow_empty, query_set, options, names)
        request.choice.require_staging(in_place=in_place)
        request = replace(request, compare_contents=compare_contents, raw=raw, check_all=check_all)

        def run() -> TransferResult:
            search = None
            if confirm is not None and preview is not None:
                search = self.look_for_newest(target, None, progress)
            with request.open(progress) as copy:
                if preview is not None and search is not None:
                    from monarch.backups.plans.transfer import plan_copy

                    preview(plan_copy(request, copy, search))
                elif confirm is not None:
                    copy.check()
                if confirm is not None:
                    asked_once(confirm)()
                return copy.transfer(in_place=in_place).run(progress)

        context = HookContext(request.target, command="copy_db", source=source)
        return self._hooked(context, progress).command(run, "after_copy", f"{target!r} was replaced.")

    def leaks(
        self, source: str, copy: str, *, check_all: bool = False, progress: Progress = SILENT
    ) -> tuple[Leak, ...]:
        """Return where the database of ``copy`` holds values that the rules mask in that of ``source``.

        It looks at a sample of each collection, or with ``check_all`` at all documents. Writes nothing.

        :raises MaskingError: if documents of ``source`` cannot be masked by ``migrations/privacy.py``.
        """
        from monarch.handouts.leaks import find_leaks

        ends = self.require_two(source, copy)
        return find_leaks(self.root, *ends, check_all=check_all, progress=progress)

    def _copy_request(
        self,
        source: str,
        target: str,
        engine: str,
        allow_empty: bool,
        query_set: str | None,
        options: Mapping[str, str],
        names: Names,
    ) -> CopyRequest:
        from monarch.copies.copy import CopyRequest
        from monarch.copies.subset import SubsetRequest
        from monarch.databases.selection import Choice

        subset = SubsetRequest(query_set, options)
        ends = self.require_two(source, target)
        return CopyRequest(self.root, *ends, engine, allow_empty, subset, Choice(**names))
