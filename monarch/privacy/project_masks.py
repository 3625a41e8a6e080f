"""The rules of a project together with the key under which one transfer masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from monarch.privacy.key import MaskingKey, find_key
from monarch.privacy.load import PRIVACY, digest_files, load_with_digest
from monarch.privacy.masks import Masks
from monarch.privacy.printed import Printed


@dataclass(frozen=True)
class ProjectMasks:
    """The rules of the project at ``root``, under ``key``.

    With ``check_all`` the leak check looks at all documents; else at a sample of each collection.
    """

    root: Path
    masks: Masks
    key: MaskingKey
    check_all: bool = False
    # As `load_with_digest` returns it: whoever loads the rules again must get the same ones.
    digest: str = ""
    # As `digest_files` returns them: also the modules that the rules import must be the same ones.
    files: Mapping[str, str] = field(default_factory=dict)
    # Whether they print anything.
    printed: Printed = field(default_factory=Printed)
    # Their file, relative to the root.
    file: Path = PRIVACY


def load_project_masks(root: Path, file: Path = PRIVACY, *, check_all: bool = False) -> ProjectMasks:
    """Return the rules of the project at ``root``, under the key of this machine or a new one.

    :param file: their file, relative to ``root``.
    :raises ProjectError: if there are none, or they cannot be read.
    :raises SettingsError: if the key is too short.
    """
    printed = Printed()
    masks, digest = load_with_digest(root, printed, file)
    return ProjectMasks(root, masks, find_key(), check_all, digest, digest_files(root), printed, file)
