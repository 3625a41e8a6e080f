"""Fixtures of pytest for a project's own tests of its migrations, available where monarch is installed.

``setup.py`` registers the plugin. It imports monarch only when a test uses a fixture.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from monarch.migrations.trial import TrialDatabase

_OPTION = "monarch_environment"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting ``monarch_environment``: the environment whose server the fixtures use."""
    parser.addini(
        _OPTION, "The environment on whose server monarch creates scratch databases.", default="development"
    )


@pytest.fixture
def monarch_scratch(pytestconfig: pytest.Config) -> Iterator[TrialDatabase]:
    """An empty database on the server of the environment, dropped after the test.

    ``database`` is pymongo's; ``migrate()``, ``migrate_one(name)`` and ``rollback()`` run the project's
    migrations on it. The environment's own database is not touched.
    """
    from monarch.errors import MonarchError
    from monarch.project import Project
    from monarch.settings.protection import why_hazardous

    project = Project.find(pytestconfig.rootpath)
    try:
        environment = project.environment(pytestconfig.getini(_OPTION))
    except MonarchError as error:
        pytest.fail(f"{error.message} {error.hint or ''}", pytrace=False)
    why = why_hazardous(environment)
    if why is not None:
        pytest.fail(
            f"{environment.label!r} is hazardous, and must not be used for tests: {why}. "
            f"Set {_OPTION} in pytest's settings to another environment.",
            pytrace=False,
        )
    with project.scratch(environment.label) as scratch:
        yield scratch


@pytest.fixture
def monarch_migrated(monarch_scratch: TrialDatabase) -> Any:
    """pymongo's database of a `monarch_scratch` on which all migrations have run."""
    monarch_scratch.migrate()
    return monarch_scratch.database
