"""``completion``: what a shell needs to complete monarch's command lines."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import click

from monarch.commands.console.lines import note, show
from monarch.commands.parsing.arguments import plan_option
from monarch.errors import MonarchError, UsageError

_VARIABLE = "_MONARCH_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


@dataclass(frozen=True)
class _Place:
    """The file where a shell looks for the script, and what a person may have to do besides."""

    file: Path
    then: str


@click.command("completion")
@click.argument("shell", metavar="[bash|zsh|fish]", type=click.Choice(SHELLS), required=False)
@click.option("--install", is_flag=True, help="Write it where the shell finds it.")
@plan_option("With --install: show the file. Writes nothing.")
def completion(shell: str | None, install: bool, plan: bool) -> None:
    """Print the completion script of a shell, or install it.

    Names of environments, migrations, backups and query sets complete, too. Without a name it is for the
    shell in SHELL. --install writes one file of its own, and changes none of yours.

    \b
    Examples:
      monarch completion --install
      monarch completion zsh --install --plan
      monarch completion bash
    """
    if plan and not install:
        raise UsageError("--plan needs --install.", "Add --install, or leave out --plan.")
    name = shell or _this_shell()
    if not install:
        click.echo(_script(name))
        return
    place = _find_place(name)
    if plan:
        show(f"Would write {place.file}.")
        show(place.then)
        return
    is_new = _write(place.file, _script(name) + "\n")
    show(f"{'Wrote' if is_new else 'Nothing to do: this is the script in'} {place.file}.")
    note(place.then)


def _this_shell() -> str:
    name = Path(os.environ.get("SHELL", "")).name
    if name in SHELLS:
        return name
    said = f"SHELL is {name!r}" if name else "SHELL is not set"
    raise UsageError(f"{said}, so name the shell.", "For example: monarch completion bash")


def _script(shell: str) -> str:
    from click.shell_completion import ShellComplete, get_completion_class

    from monarch.commands.parsing.completion import register

    register()
    kind = get_completion_class(shell)
    assert kind is not None
    root = click.get_current_context().find_root().command
    # Not bash's own, which starts bash to ask for its version.
    return ShellComplete.source(kind(root, {}, "monarch", _VARIABLE)).strip()


def _find_place(shell: str) -> _Place:
    try:
        home = Path.home()
    except RuntimeError:
        raise MonarchError("There is no home folder.", f"Print it: monarch completion {shell}") from None
    data = _folder("XDG_DATA_HOME", home / ".local/share")
    if shell == "bash":
        return _Place(
            data / "bash-completion/completions/monarch",
            "New shells have it if there is the package bash-completion. Else add to ~/.bashrc: "
            'eval "$(monarch completion bash)"',
        )
    if shell == "zsh":
        folder = data / "zsh/site-functions"
        return _Place(
            folder / "_monarch",
            f"zsh finds it if ~/.zshrc has, before compinit: fpath+=({folder})",
        )
    config = _folder("XDG_CONFIG_HOME", home / ".config")
    return _Place(config / "fish/completions/monarch.fish", "New shells have it.")


def _folder(variable: str, usual: Path) -> Path:
    named = os.environ.get(variable, "")
    return Path(named) if named.startswith("/") else usual  # others are invalid, by XDG's specification


def _write(path: Path, script: str) -> bool:
    """Write ``script``; return False if it is there already.

    :raises UsageError: if the file is somebody else's.
    :raises MonarchError: if it cannot be written.
    """
    from monarch.system.atomic_files import write_atomically

    try:
        path = path.resolve()  # a link, as to a repository of such files, stays one
        old = path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
        if old == script:
            return False
        if old is not None and old.strip() and _VARIABLE not in old:
            raise UsageError(
                f"{path} is there already, and not monarch's. Nothing was changed.",
                "Move it away, and try again.",
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, script)
    except OSError as error:
        raise MonarchError(
            f"{path} cannot be written: {error.strerror}.",
            "Fix that, or print the script, and put it where your shell finds it.",
        ) from error
    return True
