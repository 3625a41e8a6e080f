"""``completion``: the script of a shell is printed, or installed where that shell finds it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.runs.shell import CommandResult, Folder

PLACES = {
    "bash": ".local/share/bash-completion/completions/monarch",
    "zsh": ".local/share/zsh/site-functions/_monarch",
    "fish": ".config/fish/completions/monarch.fish",
}


@pytest.fixture
def home(folder: Folder) -> Path:
    made = folder.path / "home"
    made.mkdir()
    folder.variables |= {"HOME": str(made), "XDG_DATA_HOME": "", "XDG_CONFIG_HOME": ""}
    return made


def install(folder: Folder, *arguments: str, **variables: str) -> CommandResult:
    return folder.monarch("completion", *arguments, "--install", variables=variables)


@pytest.mark.parametrize("shell", PLACES)
def test_it_is_what_click_prints(folder: Folder, shell: str) -> None:
    printed = folder.monarch("completion", shell)
    assert (printed.code, printed.err) == (0, "")
    asked = folder.monarch(variables={"_MONARCH_COMPLETE": f"{shell}_source"})
    assert printed.out.strip() == asked.out.strip()


@pytest.mark.parametrize("shell", PLACES)
def test_it_is_installed_once(folder: Folder, home: Path, shell: str) -> None:
    planned = install(folder, shell, "--plan")
    assert (planned.code, planned.out.splitlines()[0]) == (0, f"Would write {home / PLACES[shell]}.")
    assert not (home / PLACES[shell]).exists()
    done = install(folder, SHELL=f"/usr/bin/{shell}")
    assert (done.code, done.out) == (0, f"Wrote {home / PLACES[shell]}.\n")
    assert (home / PLACES[shell]).read_text() == folder.monarch("completion", shell).out
    again = install(folder, shell)
    assert (again.code, again.out.startswith("Nothing to do: ")) == (0, True)
    assert [path for path in home.rglob("*") if path.is_file()] == [home / PLACES[shell]]


def run(folder: Folder, *command: str) -> str:
    environ = {**os.environ, **folder.variables}
    return subprocess.run(
        command, cwd=folder.path, env=environ, capture_output=True, text=True, timeout=60, check=True
    ).stdout


def test_each_shell_finds_it(folder: Folder, home: Path) -> None:
    for shell in PLACES:
        install(folder, shell)
    if shutil.which("fish"):
        assert "migrate_one" in run(folder, "fish", "-c", "complete -C 'monarch migr'")
    if shutil.which("zsh"):
        found = "fpath=($HOME/.local/share/zsh/site-functions $fpath); autoload -U compinit; compinit -D -u"
        assert run(folder, "zsh", "-f", "-c", f"{found}; print $_comps[monarch]").strip() == "_monarch"
    script = f"source '{home / PLACES['bash']}'; complete -p monarch"
    assert "_monarch_completion" in run(folder, "bash", "-c", script)


def test_a_file_of_somebody_else_stays(folder: Folder, home: Path) -> None:
    file = home / PLACES["fish"]
    file.parent.mkdir(parents=True)
    file.write_text("complete -c monarch -a mine\n")
    refused = install(folder, "fish")
    assert (refused.code, refused.out) == (2, "")
    assert "is there already, and not monarch's" in refused.err
    assert file.read_text() == "complete -c monarch -a mine\n"


def test_a_link_stays_one(folder: Folder, home: Path) -> None:
    file, kept = home / PLACES["fish"], home / "dotfiles/monarch.fish"
    file.parent.mkdir(parents=True)
    kept.parent.mkdir()
    kept.touch()
    file.symlink_to(kept)
    assert install(folder, "fish").code == 0
    assert file.is_symlink()
    assert "_MONARCH_COMPLETE" in kept.read_text()


def test_a_folder_that_cannot_be_written(folder: Folder, home: Path) -> None:
    (home / ".config").write_text("")
    refused = install(folder, "fish")
    assert (refused.code, refused.out) == (1, "")
    assert "cannot be written" in refused.err


@pytest.mark.parametrize(
    ("arguments", "shell", "message"),
    [
        ([], "/bin/tcsh", "SHELL is 'tcsh', so name the shell."),
        ([], "", "SHELL is not set, so name the shell."),
        (["bash", "--plan"], "", "--plan needs --install."),
        (["powershell"], "", "powershell"),
    ],
)
def test_wrong_usage(folder: Folder, arguments: list[str], shell: str, message: str) -> None:
    refused = folder.monarch("completion", *arguments, variables={"SHELL": shell})
    assert (refused.code, refused.out) == (2, "")
    error, _ = refused.err.splitlines()
    assert message in error
