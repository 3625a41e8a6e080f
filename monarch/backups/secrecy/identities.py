"""Identities: the private keys that decrypt backups, in files of age or SSH."""

from __future__ import annotations

import base64
import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monarch.backups.secrecy.age import age_library
from monarch.errors import MonarchError

IF_LOST = "If it is lost, see the manual: You have lost the key."
_ENCRYPTED = (b"age-encryption.org/v1", b"-----BEGIN AGE ENCRYPTED FILE-----")
_PUBLIC = (b"ssh-ed25519 ", b"ssh-rsa ", b"ecdsa-sha2-", b"sk-ssh-", b"sk-ecdsa-", b"age1")
_OPENSSH = re.compile(rb"-----BEGIN OPENSSH PRIVATE KEY-----(.*)-----END OPENSSH PRIVATE KEY-----", re.DOTALL)
_MAGIC = b"openssh-key-v1\0"
# A file of keys is small; anything larger is something else.
_LARGEST = 1 << 20


class NoKey(MonarchError):
    """There is no key on this machine that decrypts a backup. It shows no damage.

    It is no wrong usage, of which hooks are not told: a job that has run for months may lose its key.
    """

    exit_code = 2


@dataclass(frozen=True)
class Identities:
    """Private ``keys``, those of pyrage; ``recipients`` are their public keys, as far as they are known.

    ``places`` are their files, for people. ``exposed`` are those that other users of this machine can read.
    """

    keys: tuple[Any, ...]
    recipients: frozenset[str]
    places: tuple[str, ...]
    exposed: tuple[str, ...]


def read_identities(paths: tuple[Path, ...]) -> Identities:
    """Read all keys in the files at ``paths``.

    :raises NoKey: if one of them cannot be read, or holds what is no key. No part of it is printed.
    """
    keys: list[Any] = []
    recipients: set[str] = set()
    for path in paths:
        for key, recipient in _read_keys(path, _read_file(path)):
            keys.append(key)
            if recipient is not None:
                recipients.add(recipient)
    exposed = tuple(str(path) for path in paths if os.name != "nt" and path.stat().st_mode & 0o044)
    return Identities(tuple(keys), frozenset(recipients), tuple(map(str, paths)), exposed)


def _read_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST)
    except FileNotFoundError:
        raise NoKey(
            f"There is no file {path}, in which the keys of backups should be.",
            "Copy the file of keys there, or set 'identities' in BACKUPS['encrypt'] to where it is. "
            f"{IF_LOST}",
        ) from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise NoKey(
            f"The keys of backups in {path} cannot be read: {why}.", "Make it a file that you may read."
        ) from None


def _read_keys(path: Path, content: bytes) -> list[tuple[Any, str | None]]:
    """Return the keys in the file at ``path``, each with its public key if that is known."""
    file = shlex.quote(str(path))
    if content.lstrip().startswith(_ENCRYPTED):
        raise NoKey(
            f"The keys in {path} are protected by a passphrase, which monarch does not ask for.",
            f"For as long as you need them, decrypt them to a file that only you can read: age -d {file}",
        )
    if content.lstrip().startswith(_PUBLIC):
        private = f"{shlex.quote(str(path.with_suffix('')))}" if path.suffix == ".pub" else "the private one"
        raise NoKey(
            f"{path} holds a public key, which decrypts nothing.",
            f"Set 'identities' in BACKUPS['encrypt'] to the file of the private key: {private}",
        )
    if content.lstrip().startswith(b"-----BEGIN"):
        return [_read_ssh(path, content)]
    library = age_library()
    found: list[tuple[Any, str | None]] = []
    for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            key = library.x25519.Identity.from_str(text)
        except library.IdentityError:
            raise NoKey(
                f"{path}, line {number}: this is not a private key of age.",
                "Use what age-keygen writes ('AGE-SECRET-KEY-1…'), or a private key of SSH in its own file.",
            ) from None
        found.append((key, str(key.to_public())))
    if not found:
        raise NoKey(f"There is no key in {path}.", "Use what age-keygen writes, or a private key of SSH.")
    return found


def _read_ssh(path: Path, content: bytes) -> tuple[Any, str | None]:
    library = age_library()
    try:
        return library.ssh.Identity.from_buffer(content), _ssh_recipient(content)
    except library.IdentityError as error:
        if "decrypted" in str(error):
            file = shlex.quote(str(path))
            raise NoKey(
                f"The SSH key in {path} is protected by a passphrase, which monarch does not ask for.",
                f"Take it off a copy while you need it: cp {file} COPY; ssh-keygen -p -N '' -f COPY",
            ) from None
        raise NoKey(f"{path} holds no private SSH key of type ed25519 or RSA.", "Use another key.") from None


def _ssh_recipient(content: bytes) -> str | None:
    """Return the public key in a private one of OpenSSH; None if it has another format."""
    found = _OPENSSH.search(content)
    if found is None:
        return None
    try:
        data = base64.b64decode(found[1]).removeprefix(_MAGIC)
        for _ in range(3):  # the names of the cipher and of its key, and the options of that
            _, data = _split(data)
        public, _ = _split(data[4:])
        kind, _ = _split(public)
    except (ValueError, IndexError):
        return None
    return f"{kind.decode(errors='replace')} {base64.b64encode(public).decode()}"


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Return the text at the beginning of ``data``, which has its length before it, and the rest."""
    end = 4 + int.from_bytes(data[:4], "big")
    if end > len(data):
        raise ValueError("cut off")
    return data[4:end], data[end:]
