"""Python, monarch, and the packages that it needs."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from importlib import metadata

from monarch.databases.health.observation import Health, Observation
from monarch.doctor.findings import Diagnosis, fine, found
from monarch.version import __version__

_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*(?P<limits>[^;]*)(?P<marker>;.*)?")
_LEAST = re.compile(r"(?:>=|==)\s*([\d.]+)")
_EXTRA = re.compile(r"extra\s*==\s*['\"]([\w-]+)['\"]")
# The extras that people install to use monarch; the others are for its development.
_EXTRAS = ("postgres", "encrypt")


def examine_versions() -> Iterator[Diagnosis]:
    """Yield the versions of this installation, and each package that is missing or too old."""
    shown, wrong = [f"Python {platform.python_version()}", f"monarch {__version__}"], []
    for name, least, extra in _requirements():
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            if extra is None:
                wrong.append((f"{name} is not installed.", name, least))
            continue
        shown.append(f"{name} {version}")
        if least and _numbers(version) < _numbers(least):
            wrong.append((f"{name} {version} is too old: {least} or newer is needed.", name, least))
    yield fine("monarch", "versions", f"{', '.join(shown)}.")
    for message, name, least in wrong:
        hint = f"Run: pip install '{name}>={least}'" if least else f"Run: pip install {name}"
        yield found("monarch", Observation("versions", Health.PROBLEM, message, hint, 1))


def _requirements() -> Iterator[tuple[str, str | None, str | None]]:
    """Yield the packages that monarch needs: the name, the lowest version, and the extra that has it."""
    try:
        texts = metadata.requires("monarch") or []
    except metadata.PackageNotFoundError:  # run from its sources
        texts = []
    seen: set[str] = set()
    for text in texts:
        parts = _REQUIREMENT.match(text)
        if parts is None:
            continue
        marker = parts["marker"] or ""
        of_extra = _EXTRA.search(marker)
        extra = of_extra[1] if of_extra else None
        wanted = extra in _EXTRAS if extra else "python_version" not in marker
        if wanted and parts["name"] not in seen:
            seen.add(parts["name"])
            least = _LEAST.search(parts["limits"])
            yield parts["name"], least[1] if least else None, extra


def _numbers(version: str) -> tuple[int, ...]:
    found = re.match(r"[\d.]+", version)
    return tuple(int(part) for part in found[0].split(".") if part) if found else ()
