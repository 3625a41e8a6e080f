"""The rules of a project together with the key under which one transfer masks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from monarch.privacy.key import MaskingKey, find_key
from monarch.privacy.load import load_masks
from monarch.privacy.masks import Masks


@dataclass(frozen=True)
class ProjectMasks:
    """The rules of the project at ``root``, under ``key``.

    With ``check_all`` the leak check looks at all documents; else at a sample of each collection.
    """

    root: Path
    masks: Masks
    key: MaskingKey
    check_all: bool = False


def load_project_masks(root: Path, *, check_all: bool = False) -> ProjectMasks:
    """Return the rules of the project at ``root``, under the key of this machine or a new one.

    :raises ProjectError: if there are none, or they cannot be read.
    :raises SettingsError: if the key is too short.
    """
    return ProjectMasks(root, load_masks(root), find_key(), check_all)
