"""The demo: the README's story with the real commands."""

from __future__ import annotations

import os

import pytest

from tests.support.runs.shell import Folder


@pytest.mark.server
def test_the_story(folder: Folder) -> None:
    result = folder.monarch("demo", "shop window")
    assert result.code == 0
    made, newest = result.err.splitlines()
    assert made.startswith("Note: the folder ")
    assert newest.startswith("The newest good backup of production is shelter__")
    assert "Copied production to development: 2 collections, 600 documents" in result.out
    assert "2 migrations done" in result.out
    assert "500 dogs weighed" in result.out
    assert result.out.count("Completed") == 2
    project = Folder(folder.path / "shop window")
    assert "Backed up production as shelter__" in result.out
    assert "Restored shelter__" in result.out
    # It was restored from the backup, which was created before.
    assert project.monarch("list_migrations", "development").out.count("New") == 2
    assert project.monarch("list_migrations", "production").out.count("Completed") == 2


def test_an_existing_folder_is_not_changed(folder: Folder) -> None:
    folder.write("monarch_demo/mine", "mine")
    result = folder.monarch("demo")
    assert result.code == 2
    assert "'monarch_demo' exists already." in result.err
    assert "monarch demo FOLDER" in result.err
    assert set(folder.files()) == {"monarch_demo/mine"}


def test_without_a_server_no_folder_is_left(folder: Folder) -> None:
    folder.write("bin/mongod", "#!/bin/sh\nexit 3\n").chmod(0o755)
    folder.variables["PATH"] = f"{folder.path / 'bin'}:{os.environ['PATH']}"
    result = folder.monarch("demo")
    assert result.code == 5
    assert set(folder.files()) == {"bin/mongod"}
