"""A project: a folder with ``migrations/`` in it, and everything one can do with its environments.

This is monarch's interface for Python; the commands add questions and output. Nothing here prints.
"""

from __future__ import annotations

from monarch.workspace.scratch import Scratches


class Project(Scratches):
    """The project at ``root``. Its settings are read when they are first needed."""
