"""What rules print is discarded, in their own thread only."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from monarch.privacy.printed import Printed, watch_streams
from monarch.privacy.project_masks import load_project_masks


def test_only_what_is_printed_in_the_context_is_discarded(capfd: pytest.CaptureFixture[str]) -> None:
    printed, streams = Printed(), (sys.stdout, sys.stderr)

    def print_inside() -> None:
        with printed.discard():
            sys.stdout.write("Ottilie\n")
            sys.stdout.buffer.write(b"Ottilie")
            sys.stderr.writelines(["Ott", "ilie"])

    with watch_streams(), ThreadPoolExecutor(1) as pool:
        with Printed().discard():
            pass
        sys.stdout.write("before\n")
        pool.submit(print_inside).result()
        assert printed.any
        with Printed().discard():
            pool.submit(sys.stdout.write, "another thread\n").result()
        sys.stdout.buffer.write(b"bytes\n")
        sys.stderr.write("noted\n")
        sys.stdout.flush()
    assert (sys.stdout, sys.stderr) == streams
    out, err = capfd.readouterr()
    assert sorted(out.split("\n")) == ["", "another thread", "before", "bytes"]
    assert err == "noted\n"


def test_what_the_file_prints_is_discarded(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "migrations").mkdir()
    path = tmp_path / "migrations" / "privacy.py"
    for text, found in (("print('Ottilie')", True), ("", False)):
        path.write_text(f"from monarch.privacy import Masks\nmasks = Masks()\n{text}\n")
        assert load_project_masks(tmp_path).printed.any is found
    assert capfd.readouterr() == ("", "")
