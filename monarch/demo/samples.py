"""The sample projects of the demo, one for each kind of database.

To add one, write a package that defines ``fill`` and has a folder ``project``, and add one line to `SAMPLES`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module, resources
from importlib.resources.abc import Traversable
from typing import TYPE_CHECKING

from monarch.databases import find_kind

if TYPE_CHECKING:
    from monarch.databases.base import Database

# One line for each sample: its kind of database, and its package.
SAMPLES = {
    "mongo": "monarch.demo.mongo",
    "postgres": "monarch.demo.postgres",
}


@dataclass(frozen=True)
class Sample:
    """A project with the embedded environments "production" and "development".

    ``title`` is its kind of database for people, ``project`` its folder. ``fill`` puts the data of
    `monarch.demo.data` into a database that is open. ``is_masked``: its private environments can be copied.
    """

    title: str
    project: Traversable
    fill: Callable[[Database], None]
    is_masked: bool


def find_sample(kind: str) -> Sample:
    """Return the sample of ``kind``, one of `SAMPLES`."""
    package = SAMPLES[kind]
    module = import_module(package)
    files = resources.files(package).joinpath("project")
    return Sample(find_kind(kind).title, files, module.fill, module.IS_MASKED)
