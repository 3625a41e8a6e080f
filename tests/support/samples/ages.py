"""Keys of age and SSH for the tests, and files of them. They are made anew in each run."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

# It has no type hints.
pyrage: Any = import_module("pyrage")


@dataclass(frozen=True)
class Key:
    """A private key in the file ``path``, and its public part."""

    path: Path
    recipient: str


def make_key(path: Path) -> Key:
    """Write a new key of age to ``path``, as age-keygen does."""
    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    path.write_text(f"# created: 2026-11-28T22:25:34Z\n# public key: {recipient}\n{identity}\n")
    path.chmod(0o600)
    return Key(path, recipient)


def make_ssh_key(path: Path, kind: str = "ed25519", passphrase: str = "") -> Key:
    """Write a new key of SSH to ``path``, by ssh-keygen."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path)], check=True)
    return Key(path, path.with_suffix(".pub").read_text().strip())
