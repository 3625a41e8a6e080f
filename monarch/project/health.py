"""Whether everything that a project needs is there and well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from monarch.progress import SILENT, Progress
from monarch.project.environments import ProjectEnvironments

if TYPE_CHECKING:
    from datetime import timedelta

    from monarch.doctor.findings import Diagnosis


def _ignore(_: object) -> None:
    pass


class ProjectHealth(ProjectEnvironments):
    """What `monarch doctor` finds."""

    def examine(
        self,
        environments: Sequence[str] = (),
        *,
        max_age: timedelta | None = None,
        progress: Progress = SILENT,
        report: Callable[[Diagnosis], None] = _ignore,
    ) -> tuple[Diagnosis, ...]:
        """Look at the settings, servers, backups, tools and migrations; ``report`` gets each finding at once.

        Writes nothing anywhere, and starts no embedded server.

        :param environments: those to look at, also as patterns; all if there are none.
        :param max_age: the greatest age of the newest backup of each that is well; None allows every age.
        :raises UnknownEnvironment: if the settings have no environment of a name.
        """
        from monarch.doctor.examine import examine

        findings = []
        for finding in examine(self.root, lambda: self.settings, environments, max_age, progress):
            findings.append(finding)
            report(finding)
        return tuple(findings)
