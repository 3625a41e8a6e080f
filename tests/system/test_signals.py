"""Signals become interrupts, or wait until work is done."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from monarch.system.signals import defer_signals, signals_as_interrupts, was_signalled


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_raises_an_interrupt(number: signal.Signals) -> None:
    # The process that started the tests may ignore SIGINT or SIGHUP, which monarch respects.
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with signals_as_interrupts():
            assert not was_signalled()
            with pytest.raises(KeyboardInterrupt, match=number.name):
                os.kill(os.getpid(), number)
        assert was_signalled()
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with signals_as_interrupts():
            os.kill(os.getpid(), signal.SIGHUP)
            assert not was_signalled()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_deferred_work_is_not_interrupted() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with defer_signals() as signals:
            os.kill(os.getpid(), signal.SIGTERM)
            done = "all of it"
        assert signals == [signal.SIGTERM]
        assert done == "all of it"
        with defer_signals() as signals:
            pass
        assert signals == []
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_signal_reaches_a_process_that_was_just_forked() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, [])
    try:
        with signals_as_interrupts():
            for _ in range(100):
                child = os.fork()
                if child == 0:
                    try:
                        time.sleep(5)
                    finally:
                        os._exit(1)
                os.kill(child, signal.SIGTERM)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
            assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == masked
    finally:
        signal.signal(signal.SIGTERM, before)


# A hook that was registered before those of monarch runs while the signals are held back.
SIGNAL_IN_A_FORK = """
import os, signal, sys, time
armed = True
def send():
    global armed
    if armed:
        armed = False
        os.kill(os.getpid(), signal.SIGTERM)
os.register_at_fork(before=send)
from monarch.system.signals import signals_as_interrupts
with signals_as_interrupts():
    try:
        child = os.fork()
        if child == 0:
            time.sleep(0.2)
            os._exit(0)
        time.sleep(5)
        print("lost")
    except KeyboardInterrupt:
        print("interrupted")
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), signal.pthread_sigmask(signal.SIG_BLOCK, []))
"""


def test_a_signal_that_comes_while_a_process_forks_is_not_lost() -> None:
    run = subprocess.run(
        [sys.executable, "-c", SIGNAL_IN_A_FORK], capture_output=True, text=True, check=False
    )
    assert (run.stdout, run.stderr) == ("interrupted\n0 set()\n", "")


def test_deferring_works_outside_the_main_thread() -> None:
    results: list[list[int]] = []

    def defer() -> None:
        with defer_signals() as signals:
            results.append(signals)

    thread = threading.Thread(target=defer)
    thread.start()
    thread.join()
    assert results == [[]]
