"""``BACKUPS['encrypt']``: for whom backups are encrypted, and the keys that decrypt them here."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monarch.backups.secrecy.age import EncryptingSink, HeaderRefused, age_library, decrypting, encrypting
from monarch.backups.secrecy.identities import IF_LOST, Identities, NoKey, read_identities
from monarch.backups.secrecy.recipients import is_secret_key, parse_recipient, read_recipients
from monarch.errors import DamagedError, SettingsError
from monarch.system.spelling import suggest
from monarch.system.streams import Sink, Stream

_KEYS = ("recipients", "identities")
_EXAMPLE = "{'recipients': ['age1…'], 'identities': '~/.config/monarch/keys.txt'}"


@dataclass(frozen=True)
class Sealing:
    """How one backup is encrypted: by the public keys of pyrage. ``identities`` can read it back."""

    keys: tuple[Any, ...]
    identities: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Encryption:
    """The public keys ``recipients`` of new backups, none if those are not encrypted.

    ``identities`` are files of private keys.
    """

    recipients: tuple[str, ...] = ()
    identities: tuple[Path, ...] = ()

    def sealing(self, *, read_back: bool = False) -> Sealing:
        """Return how a backup is encrypted for the recipients.

        :param read_back: whether this process reads it back. If it has no key of a recipient, it adds one
            that exists only in its memory.
        :raises UsageError: if pyrage is not installed.
        """
        keys = tuple(map(parse_recipient, self.recipients))
        if not read_back:
            return Sealing(keys)
        own = self.own_identities()
        if own is not None and own.recipients & set(self.recipients):
            return Sealing(keys, own.keys)
        spare = age_library().x25519.Identity.generate()
        return Sealing((*keys, spare.to_public()), (spare,))

    def own_identities(self) -> Identities | None:
        """Return the keys of this machine; None if there are none that can be used."""
        try:
            return self.read_identities()
        except NoKey:
            return None

    def read_identities(self) -> Identities:
        """Return the keys of this machine.

        :raises NoKey: if it has none, or they cannot be used.
        """
        if not self.identities:
            raise NoKey(
                "The backup is encrypted, and no key is known to this machine.",
                "Set 'identities' in BACKUPS['encrypt'] of migrations/settings.py to the file of the key. "
                f"{IF_LOST}",
            )
        return read_identities(self.identities)

    @contextmanager
    def decrypted(self, stream: Stream, recipients: tuple[str, ...]) -> Iterator[Stream]:
        """Decrypt ``stream``, which is encrypted for ``recipients``, for as long as the context lasts.

        :raises NoKey: if no key of this machine opens it.
        :raises DamagedError: now or while it is read, if it is not as it was encrypted.
        """
        own = self.read_identities()
        try:
            with decrypting(stream, own.keys) as plain:
                yield plain
        except HeaderRefused as error:
            if own.recipients & set(recipients):
                raise DamagedError(f"The header of its encryption is damaged ({error}).") from error
            one = "The key" if len(own.keys) == 1 else "None of the keys"
            does_not = "does not open" if len(own.keys) == 1 else "opens"
            raise NoKey(
                f"{one} in {', '.join(own.places)} {does_not} the backup. It is encrypted for "
                f"{', '.join(recipients)}.",
                "Add the private key of one of these to the files of 'identities' in BACKUPS['encrypt']. "
                f"{IF_LOST}",
            ) from error


NOT_ENCRYPTED = Encryption()


@contextmanager
def sealed(sink: Sink, sealing: Sealing | None) -> Iterator[EncryptingSink | None]:
    """Encrypt into ``sink`` as ``sealing`` says, for as long as the context lasts; None if that is None."""
    if sealing is None:
        yield None
        return
    with encrypting(sink, sealing.keys) as encrypted:
        yield encrypted


def parse_encryption(backups: object, root: Path) -> Encryption:
    """Read the key ``encrypt`` of ``BACKUPS``; relative files are below ``root``, the folder of the project.

    :raises SettingsError: saying what is wrong with it.
    """
    if not isinstance(backups, Mapping) or "encrypt" not in backups:
        return NOT_ENCRYPTED
    entry = backups["encrypt"]
    if (
        entry is None or entry == ""
    ):  # a variable that is not set on this machine: it must not mean "in the clear"
        raise SettingsError(
            "BACKUPS['encrypt'] is empty on this machine, so no backup can be encrypted.",
            "Set what it comes from. To take backups without encryption, leave out 'encrypt'.",
        )
    if not isinstance(entry, Mapping):
        raise SettingsError("BACKUPS['encrypt'] is not a dict.", f"Write it as {_EXAMPLE}.")
    for key in entry:
        if key not in _KEYS:
            raise SettingsError(f"Unknown key {key!r} in BACKUPS['encrypt'].", suggest(str(key), _KEYS))
    if not entry.get("recipients"):
        raise SettingsError(
            "BACKUPS['encrypt'] has no 'recipients', so no backup can be encrypted.",
            f"Write it as {_EXAMPLE}, or leave out 'encrypt'.",
        )
    return Encryption(read_recipients(entry["recipients"]), _read_paths(entry.get("identities"), root))


def _read_paths(value: object, root: Path) -> tuple[Path, ...]:
    what = "BACKUPS['encrypt']: 'identities'"
    given = value if isinstance(value, list | tuple) else [value]
    paths = []
    for one in given:
        if one is None or one == "":  # a variable that is not set on this machine
            continue
        if not isinstance(one, str | os.PathLike):
            raise SettingsError(f"{what} is not the path of a file.", "Use '~/.config/monarch/keys.txt'.")
        text = os.fspath(one)
        if not isinstance(text, str) or is_secret_key(text) or "\n" in text or "\0" in text:
            raise SettingsError(
                f"{what} is not the path of a file, but a key or something else.",
                "Move the private key to a file that only you can read, and give the path of that.",
            )
        try:
            paths.append(root / Path(text).expanduser())
        except RuntimeError:  # the user in ~user is unknown
            raise SettingsError(
                f"The home folder in {what} is not known on this machine.", "Use the whole path."
            ) from None
    return tuple(paths)
