"""What pg_restore prints, passed on to psql without the end of its transaction.

pg_restore prints BEGIN and COMMIT around large objects, which would commit whatever psql has done until then.
It does not with --single-transaction, and prints one COMMIT after everything else instead.
"""

from __future__ import annotations

import os
import threading

_BYTES = 1 << 20
# Longer than what is printed from that COMMIT on: a few lines of comments.
_END = 4096
_COMMIT = b"\nCOMMIT;\n"
_AFTER = (b"--", b"\\unrestrict ")


class OpenTransaction:
    """The file ``writing``, into which pg_restore prints; what it prints is passed on into the file ``to``.

    The last lines are held back until `finish`. The caller closes ``to`` after the context.
    """

    def __init__(self, to: int) -> None:
        self._to = to
        self._reading, self.writing = os.pipe()
        self._end = b""
        self._thread = threading.Thread(target=self._pass_on, daemon=True)
        self._thread.start()

    def started(self) -> None:
        """Close ``writing``, which pg_restore has open now: so its end is seen."""
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def finish(self) -> bool:
        """Pass on the last lines except COMMIT, once pg_restore has ended; return whether it was there."""
        self._thread.join()
        body, commit, after = self._end.rpartition(_COMMIT)
        if not commit or any(line and not line.startswith(_AFTER) for line in after.splitlines()):
            return False
        write_all(self._to, body + b"\n" + after)
        return True

    def close(self) -> None:
        """Wait until all is passed on that pg_restore, which has ended, has printed."""
        self.started()
        self._thread.join()

    def _pass_on(self) -> None:
        with os.fdopen(self._reading, "rb", 0) as printed:
            try:
                while data := printed.read(_BYTES):
                    held = self._end + data
                    write_all(self._to, held[:-_END])
                    self._end = held[-_END:]
            except BrokenPipeError:
                self._end = b""  # psql has ended


def write_all(file: int, data: bytes) -> None:
    """Write all of ``data`` into the open ``file``.

    :raises BrokenPipeError: if nobody reads it any more.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(file, rest) :]
