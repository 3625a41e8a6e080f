"""Work in daemon threads, so that a pending request does not keep the program from ending."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def start(work: Callable[P, T], *args: P.args, **more: P.kwargs) -> Future[T]:
    """Run ``work`` in a new thread; return a future of its result or error."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work(*args, **more))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, name="monarch-s3", daemon=True).start()
    return future
