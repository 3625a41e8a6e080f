"""The folder of an embedded server, ``.monarch/<environment>/`` in the project."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from monarch.errors import ServerError
from monarch.system.atomic_files import is_own, open_new

# The folder of the project in which embedded servers keep their data.
TOP = ".monarch"


def make_folder(root: Path, name: str) -> Path:
    """Create ``.monarch/<name>``, readable by this user only and ignored by git."""
    top = root / TOP
    folder = top / name
    try:
        for made in (top, folder):
            made.mkdir(mode=0o700, exist_ok=True)
            # A link is as good as the folder if both belong to this user.
            if not (is_own(made.lstat()) and is_own(made.stat())):
                raise PermissionError(None, f"{made} belongs to another user")
        ignore = top / ".gitignore"
        if not os.path.lexists(ignore):
            with suppress(FileExistsError), os.fdopen(open_new(ignore), "w") as file:
                file.write("*\n")
    except OSError as error:
        raise ServerError(
            f"Cannot create {folder}: {error.strerror}.",
            "An embedded environment keeps its data there. Fix its owner or permissions, or free disk space.",
        ) from error
    return folder
