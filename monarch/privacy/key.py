"""The key of masks, and the keyed hashes that all masks are made of.

A mask is a keyed hash (BLAKE2b with a key, RFC 7693) of a value, or a permutation built from such hashes.
Under one key the same value has the same mask everywhere. Without the key nobody can compute the mask of a
guess.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b

from monarch.errors import SettingsError
from monarch.system.secrets import MASKS_KEY_VARIABLE, Secret

VARIABLE = MASKS_KEY_VARIABLE
# In characters. Who wants one: python -c "import secrets; print(secrets.token_hex(32))"
_SHORTEST = 16
_SIZE = 32
_PERSON = b"monarch masks 1"


@dataclass(frozen=True)
class MaskingKey:
    """A key under which masks are made.

    ``lasting`` if it comes from the variable, so that later copies have the same masks.
    """

    secret: Secret
    lasting: bool

    def hasher(self, purpose: str) -> Callable[[bytes], bytes]:
        """Return the keyed hash for ``purpose``: a function from any bytes to 32 bytes.

        Hashes for two purposes have nothing in common.
        """
        own = blake2b(purpose.encode(), key=self._master(), digest_size=_SIZE, person=_PERSON).digest()
        base = blake2b(key=own, digest_size=_SIZE, person=_PERSON)

        def hash_of(value: bytes) -> bytes:
            hashing = base.copy()
            hashing.update(value)
            return hashing.digest()

        return hash_of

    def _master(self) -> bytes:
        return blake2b(
            self.secret.reveal().encode(errors="surrogateescape"), digest_size=64, person=_PERSON
        ).digest()


def find_key(variables: Mapping[str, str] = os.environ) -> MaskingKey:
    """Return the key of ``MONARCH_MASKS_KEY``; without that, a random one that nobody will know.

    :raises SettingsError: if the key is too short.
    """
    text = variables.get(VARIABLE, "")
    if not text:
        return MaskingKey(Secret(secrets.token_hex(_SIZE)), lasting=False)
    secret = Secret(text)
    if len(text) < _SHORTEST:
        raise SettingsError(
            f"The key in {VARIABLE} is too short: it has fewer than {_SHORTEST} characters.",
            'Make one: python -c "import secrets; print(secrets.token_hex(32))"',
        )
    return MaskingKey(secret, lasting=True)
