"""A process that masks documents for another one, which sends them; `start_helper` starts it.

The first frame of its input says which project's rules, and under which key. Then names of collections and
documents follow in turn. It ends when its input does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

from monarch.databases.mongo.masking.processes.frames import FAILED, MASKED, read_frame, write_frame
from monarch.databases.mongo.masking.rules import MongoMasks
from monarch.errors import MonarchError
from monarch.privacy.key import MaskingKey
from monarch.privacy.load import digest_files, load_with_digest
from monarch.privacy.rules import MaskingError
from monarch.system.secrets import Secret


def main() -> None:
    """Mask what comes, until no more comes."""
    # Ctrl-C is for the process that sends; that ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    given, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    # What the project's own code prints must not get between the answers.
    os.dup2(2, 1)
    begun = read_frame(given)
    if begun is None:
        return
    mask = _load(begun)
    while True:
        collection, documents = read_frame(given), read_frame(given)
        if collection is None or documents is None:
            return
        try:
            masked = mask(collection.decode(), documents)
        except MonarchError as error:
            _fail(answers, error)
        else:
            write_frame(answers, MASKED, masked)


def _load(begun: bytes) -> Callable[[str, bytes], bytes]:
    """Return what masks documents of a collection. If there are no rules, it raises that each time.

    So the answer is never lost: the other process reads it once all documents are sent.
    """
    try:
        return _load_rules(begun).mask
    except MonarchError as error:
        reason = error

    def fail(_collection: str, _documents: bytes) -> bytes:
        raise reason

    return fail


def _load_rules(begun: bytes) -> MongoMasks:
    settings = json.loads(begun)
    key = MaskingKey(Secret(settings["key"]), lasting=settings["lasting"])
    root = Path(settings["root"])
    masks, digest = load_with_digest(root, file=Path(settings["file"]))
    # That process has loaded more of the project, such as its settings.
    same_files = digest_files(root).items() <= settings["files"].items()
    if settings["digest"] and not (same_files and settings["digest"] == digest):
        raise MaskingError(
            "migrations/privacy.py gives other rules than when the command began: it or a module that it "
            "imports was changed, or they depend on chance, on time or on variables.",
            "Run the command again. The rules may depend on nothing but the files of the project.",
        )
    return MongoMasks(masks, key)


def _fail(answers: IO[bytes], error: MonarchError) -> None:
    write_frame(answers, FAILED, json.dumps([error.message, error.hint]).encode())
