"""Reading ``migrations/privacy.py``, the rules of a project."""

from __future__ import annotations

from pathlib import Path

from monarch.errors import ProjectError
from monarch.privacy.masks import Masks
from monarch.system.modules import import_file

PRIVACY = Path("migrations") / "privacy.py"


def load_masks(root: Path) -> Masks:
    """Return the rules of the project at ``root``.

    :raises ProjectError: if it has none, or they cannot be read.
    """
    path = root / PRIVACY
    if not path.is_file():
        raise ProjectError(
            f"There is no {PRIVACY.as_posix()}, which says how documents are masked.",
            "Write one: monarch suggest_masks ENVIRONMENT",
        )
    masks = getattr(import_file(path, root), "masks", None)
    if not isinstance(masks, Masks):
        raise ProjectError(
            f"{PRIVACY.as_posix()} has no `masks`.",
            "Begin with: from monarch.privacy import Masks; masks = Masks()",
        )
    return masks
