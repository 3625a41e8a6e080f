"""The tests run the same way from every shell."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

REPORT = """
import json, os, signal, sys, warnings
from pathlib import Path
from tests.support.clean_process import clean

clean(Path(sys.argv[1]))
ignored = [n for n in (1, 2, 15) if signal.getsignal(n) is signal.SIG_IGN]
blocked = list(signal.pthread_sigmask(signal.SIG_BLOCK, ()))
shown = [[action, category.__name__] for action, _, category, _, _ in warnings.filters]
print(json.dumps([ignored, blocked, dict(os.environ), os.umask(0), sys.warnoptions, shown]))
"""
SHOWN = """
import json, warnings
print(json.dumps([[action, category.__name__] for action, _, category, _, _ in warnings.filters]))
"""
DIRTY = {
    "AWS_PROFILE": "mine",
    "COLUMNS": "20",
    "FORCE_COLOR": "1",
    "GITHUB_ACTIONS": "true",
    "LC_ALL": "C",
    "MONARCH_X": "1",
    "NO_COLOR": "1",
    "PYTHONWARNINGS": "error",
    "TERM": "dumb",
    "TZ": "Asia/Tokyo",
}


def set_dirty_signals() -> None:
    """Ignore and block signals, as nohup, a background job and some supervisors do."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGUSR1))
    os.umask(0o077)


def test_a_dirty_shell_is_cleaned(tmp_path: Path) -> None:
    environment = {"CI": "true", "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(
        [sys.executable, "-c", REPORT, str(tmp_path)],
        env={**DIRTY, **environment},
        preexec_fn=set_dirty_signals,
        capture_output=True,
        check=True,
    )
    ignored, blocked, variables, umask, options, shown = json.loads(result.stdout)
    assert (ignored, blocked, umask, options) == ([], [], 0o022, [])
    fresh = subprocess.run([sys.executable, "-c", SHOWN], env=environment, capture_output=True, check=True)
    assert sorted(shown) == sorted(json.loads(fresh.stdout))
    kept: dict[str, Any] = {**environment, "HOME": str(tmp_path), "LANG": "C.UTF-8"}
    assert variables == kept


def test_this_process_is_clean() -> None:
    assert signal.getsignal(signal.SIGINT) is not signal.SIG_IGN
    assert not DIRTY.keys() & os.environ.keys()
    # Tests that list buckets keep what they have read in the user's cache.
    assert {path.name for path in Path.home().iterdir()} <= {".cache"}
