"""Reading ``migrations/privacy.py``, the rules of a project."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from types import ModuleType

from monarch.errors import ProjectError
from monarch.privacy.masks import Masks
from monarch.privacy.printed import Printed, watch_streams
from monarch.system.modules import import_file

PRIVACY = Path("migrations") / "privacy.py"


def load_masks(root: Path, printed: Printed | None = None, file: Path = PRIVACY) -> Masks:
    """Return the rules of the project at ``root``. What their file prints is noted in ``printed``.

    :param file: their file, relative to ``root``.
    :raises ProjectError: if it has none, or they cannot be read.
    """
    path = root / file
    if not path.is_file():
        raise ProjectError(
            f"There is no {file.as_posix()}, which says how documents are masked.",
            "Write one: monarch suggest_masks ENVIRONMENT",
        )
    masks = getattr(load_module(root, printed, file), "masks", None)
    if not isinstance(masks, Masks):
        raise ProjectError(
            f"{file.as_posix()} has no `masks`.",
            "Begin with: from monarch.privacy import Masks; masks = Masks()",
        )
    return masks


def load_module(root: Path, printed: Printed | None = None, file: Path = PRIVACY) -> ModuleType:
    """Return the module with the rules of the project at ``root``. What it prints is discarded.

    :raises ProjectError: if it cannot be loaded.
    """
    with watch_streams(), (printed or Printed()).discard():
        return import_file(root / file, root)


def load_with_digest(root: Path, printed: Printed | None = None, file: Path = PRIVACY) -> tuple[Masks, str]:
    """Return the rules of the project at ``root``, and a digest of their file and of the rules in it.

    Another process that loads the same rules gets the same digest.

    :raises ProjectError: if there are none, or they cannot be read.
    """
    path = root / file
    hashing = blake2b(path.read_bytes() if path.is_file() else b"", digest_size=16)
    masks = load_masks(root, printed, file)
    for name in sorted(masks):
        rule = masks.find(name)
        rules = sorted((path, repr(one)) for path, one in rule.items()) if isinstance(rule, Mapping) else rule
        hashing.update(repr((name, getattr(rules, "__qualname__", rules))).encode(errors="surrogatepass"))
    return masks, hashing.hexdigest()


def digest_files(root: Path) -> dict[str, str]:
    """Return the digest of each file of the project at ``root`` that is loaded as a module, by its path.

    Rules may depend on any of them. Packages that are installed inside of the project are left out.
    """
    digests = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] in ("monarch", "__main__") or not isinstance(file, str):
            continue
        path = Path(file).resolve()
        if path.is_relative_to(root.resolve()) and "site-packages" not in path.parts and path.is_file():
            digests[str(path)] = blake2b(path.read_bytes(), digest_size=16).hexdigest()
    return digests
