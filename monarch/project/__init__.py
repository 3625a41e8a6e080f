"""A project: a folder with ``migrations/`` in it, and everything that can be done with its environments.

This is monarch's interface for Python; the commands add questions and output. Nothing here prints. Each
method passes its arguments to the domain, which is imported when it is used: most programs need little of it.
"""

from __future__ import annotations

from monarch.project.copies import ProjectCopies
from monarch.project.health import ProjectHealth
from monarch.project.migrations import ProjectMigrations
from monarch.project.repairs import ProjectRepairs


class Project(ProjectMigrations, ProjectRepairs, ProjectCopies, ProjectHealth):
    """The project at ``root``. Its settings are read when they are first needed.

    Methods that change a database take ``confirm``: a function that is called once the change is known to be
    possible, before anything is written. If it raises, the call ends with that; if it returns False, with
    ``Declined``.
    """
