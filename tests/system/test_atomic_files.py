"""Files with predictable names, in folders where other users may prepare a file with that name."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from monarch.system.atomic_files import keep_old_version, open_new, open_own, write_atomically


@pytest.mark.parametrize("kind", ["file", "link", "dangling", "pipe", "folder"])
def test_a_new_file_is_new(tmp_path: Path, kind: str) -> None:
    path, precious = tmp_path / "new", tmp_path / "precious"
    prepare(path, precious, kind)
    with pytest.raises(FileExistsError):
        open_new(path)
    assert kind == "dangling" or precious.read_text() == "PRECIOUS"


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "folder"])
def test_a_lock_file_is_a_regular_file(tmp_path: Path, kind: str) -> None:
    path, precious = tmp_path / "lock", tmp_path / "precious"
    prepare(path, precious, kind)
    with pytest.raises(OSError):
        open_own(path)
    assert kind != "dangling" or not precious.exists()


def test_a_lock_file_is_created_once(tmp_path: Path) -> None:
    for _ in range(2):
        os.close(open_own(tmp_path / "lock"))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files to another user")
def test_a_lock_file_of_another_user_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    os.chown(tmp_path / "lock", 12345, -1)
    with pytest.raises(PermissionError):
        open_own(tmp_path / "lock")


def test_an_atomic_write_replaces_a_link_and_not_its_target(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("PRECIOUS")
    (tmp_path / "file").symlink_to("precious")
    write_atomically(tmp_path / "file", "new")
    assert (tmp_path / "file").read_text() == "new"
    assert not (tmp_path / "file").is_symlink()
    assert (tmp_path / "precious").read_text() == "PRECIOUS"
    assert len(list(tmp_path.iterdir())) == 2


def test_an_old_version_gets_an_unused_name(tmp_path: Path) -> None:
    (tmp_path / "settings.py").write_text("old")
    (tmp_path / "settings.py.1.old").symlink_to(tmp_path / "nowhere")
    assert keep_old_version(tmp_path / "settings.py").name == "settings.py.2.old"
    assert not (tmp_path / "nowhere").exists()


def prepare(path: Path, precious: Path, kind: str) -> None:
    if kind != "dangling":
        precious.write_text("PRECIOUS")
    if kind == "file":
        path.touch()
    elif kind in ("link", "dangling"):
        path.symlink_to(precious)
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
