"""Processes that mask documents beside this one, so that all cores work.

They get the key through a pipe, and load the rules of the project themselves. They end when their input ends,
even if monarch is killed, and are killed when monarch no longer needs them.
"""

from __future__ import annotations

import json
import queue
import threading
from contextlib import suppress

from monarch.databases.mongo.masking.processes.frames import MASKED, read_frame, write_frame
from monarch.errors import ServerError
from monarch.privacy.project_masks import ProjectMasks
from monarch.privacy.rules import MaskingError
from monarch.system.subprocesses import start_helper

_MODULE = "monarch.databases.mongo.masking.processes.worker"


class Worker:
    """One process that masks by ``rules``."""

    def __init__(self, rules: ProjectMasks) -> None:
        self._process = start_helper(_MODULE)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin, self._process.stdout
        settings = {
            "root": str(rules.root.resolve()),
            "file": str(rules.file),
            "key": rules.key.secret.reveal(),
            "lasting": rules.key.lasting,
            "digest": rules.digest,
            "files": dict(rules.files),
        }
        with suppress(OSError):  # it has ended already, which `mask` reports
            write_frame(self._input, json.dumps(settings).encode())

    @property
    def pid(self) -> int:
        """Its number in the system."""
        return self._process.pid

    def mask(self, collection: str, documents: bytes) -> bytes:
        """Return the masked ``documents`` of ``collection``.

        :raises MonarchError: what the process reports.
        :raises ServerError: if the process has ended.
        """
        answer = None
        with suppress(OSError, ValueError):  # it has ended, or was stopped
            write_frame(self._input, collection.encode())
            write_frame(self._input, documents)
            answer = read_frame(self._output)
        if answer is None:
            raise ServerError(
                f"A process that masks documents of {collection!r} ended before it was done.",
                "Look whether the system ran out of memory, or somebody ended it. Then try again.",
            )
        if answer[:1] == MASKED:
            return answer[1:]
        message, hint = json.loads(answer[1:])
        raise MaskingError(message, hint)

    def stop(self) -> None:
        """End the process immediately. A thread that waits for its answer gets an error."""
        self._process.kill()
        self._process.wait()
        for stream in (self._input, self._output):
            with suppress(OSError, ValueError):  # what was on its way is lost
                stream.close()


class Workers:
    """``number`` processes that mask by ``rules``, each started when it is first needed."""

    def __init__(self, rules: ProjectMasks, number: int) -> None:
        self._rules = rules
        self._lock = threading.Lock()
        self._workers: list[Worker] = []
        self._stopped = False
        # None is a process that was not started yet. Started ones are taken first: starting takes long.
        self._idle: queue.LifoQueue[Worker | None] = queue.LifoQueue()
        for _ in range(number):
            self._idle.put(None)

    def mask(self, collection: str, documents: bytes) -> bytes:
        """Return the masked ``documents`` of ``collection``. Any number of threads may call it.

        :raises MonarchError: what a process reports, or if one has ended.
        """
        worker = self._idle.get()
        try:
            if worker is None:
                worker = self._start()
            return worker.mask(collection, documents)
        finally:
            self._idle.put(worker)

    def stop(self) -> None:
        """End all processes."""
        with self._lock:
            self._stopped = True
            for worker in self._workers:
                worker.stop()

    def _start(self) -> Worker:
        with self._lock:
            if self._stopped:
                raise ServerError("Documents cannot be masked any more: the transfer has ended.")
            worker = Worker(self._rules)
            self._workers.append(worker)
            return worker
