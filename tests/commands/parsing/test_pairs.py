"""``FROM:TO``: how it is parsed, and how it completes in real shells."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from contextlib import closing

import click
import pexpect
import pytest

from monarch.commands.parsing.arguments import ENVIRONMENT, ProjectName
from monarch.commands.parsing.completion import Bash, Zsh
from monarch.commands.parsing.pairs import ENVIRONMENTS, Pair, PairType
from monarch.errors import UsageError
from tests.support.runs.shell import MONARCH, Folder

# As in `restore`.
BACKUP = PairType(
    "backup:to",
    ProjectName("backup", lambda: ["2014-05-29T00:38", "development"]),
    ENVIRONMENT,
    example="2014-05-29T00:38:development",
    may_have_colons=True,
)


@click.group()
def tiny() -> None:
    """A command line with one command, to complete."""


@tiny.command("copy_db")
@click.argument("pair", metavar="FROM:TO", type=ENVIRONMENTS)
@click.option("--traceback", is_flag=True, expose_value=False)
def copy(pair: Pair) -> None:
    click.echo(f"from {pair.source} to {pair.target}")


@pytest.fixture
def environments(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """A project with three environments, whose folder is the working directory."""
    names = ("development", "production", "staging")
    folder.settings(**{name: {"host": "h", "db_name": "a"} for name in names})
    monkeypatch.chdir(folder.path)
    return folder


def offered(pair: PairType, typed: str) -> list[str]:
    (param,) = (param for param in copy.params if param.name == "pair")
    return [item.value for item in pair.shell_complete(click.Context(copy), param, typed)]


def test_a_pair_is_parsed() -> None:
    pair = ENVIRONMENTS.convert("production:development", None, None)
    assert pair == Pair(source="production", target="development")
    assert ENVIRONMENTS.convert(pair, None, None) is pair


def test_the_last_colon_separates_if_a_source_may_have_colons() -> None:
    assert BACKUP.convert("2014-05-29T00:38:dev", None, None) == ("2014-05-29T00:38", "dev")
    assert BACKUP.convert("s3://bucket/a:dev", None, None) == ("s3://bucket/a", "dev")


def test_the_missing_part_is_named() -> None:
    with pytest.raises(UsageError, match="'2014' has no colon, and names no environment"):
        BACKUP.convert("2014", None, None)
    with pytest.raises(UsageError, match="':dev' has no backup before the colon"):
        BACKUP.convert(":dev", None, None)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("production", "'production' names only one environment, but FROM:TO takes two."),
        ("", "'' names no environment, but FROM:TO takes two."),
        ("a:b:c", "'a:b:c' has 2 colons, but FROM:TO has one."),
        ("a::b", "'a::b' has 2 colons, but FROM:TO has one."),
        (":b", "':b' has no environment before the colon."),
        ("a:", "'a:' has no environment after the colon."),
        (":", "':' has no environment before the colon."),
    ],
)
def test_an_invalid_pair_is_reported_with_an_example(value: str, message: str) -> None:
    context = click.Context(copy, info_name="copy_db", parent=click.Context(tiny, info_name="monarch"))
    with pytest.raises(UsageError) as caught:
        ENVIRONMENTS.convert(value, None, context)
    assert caught.value.message == message
    assert caught.value.hint == "For example: monarch copy_db production:development"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("prod", ["production:"]),
        ("", ["development:", "production:", "staging:"]),
        ("production:", ["production:development", "production:staging"]),
        ("production:dev", ["production:development"]),
        ("production:prod", []),
        ("x", []),
        (":", []),
        ("production:development:", []),
    ],
)
def test_completion_of_both_sides(environments: Folder, typed: str, expected: list[str]) -> None:
    assert offered(ENVIRONMENTS, typed) == expected


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("20", ["2014-05-29T00:38:"]),
        ("2014-05-29T00:", ["2014-05-29T00:38:"]),
        ("2014-05-29T00:38:st", ["2014-05-29T00:38:staging"]),
        ("development:dev", ["development:development"]),
    ],
)
def test_completion_of_a_source_with_colons(environments: Folder, typed: str, expected: list[str]) -> None:
    assert offered(BACKUP, typed) == expected


def test_completion_of_settings_that_fail_offers_nothing(environments: Folder) -> None:
    environments.write("migrations/settings.py", "this is not python")
    assert offered(ENVIRONMENTS, "prod") == offered(ENVIRONMENTS, "production:") == []


@pytest.mark.parametrize(
    ("words", "current", "expected"),
    [
        (["prod"], 2, ["production:"]),
        # A bash that splits words at colons: the completion is for the part after the last colon.
        (["production", ":"], 3, ["development", "staging"]),
        (["production", ":", "dev"], 4, ["development"]),
        (["production", ":", "dev", "--traceback"], 4, ["development"]),
        # A bash that is configured not to split at colons, or with an open quote.
        (["production:"], 2, ["production:development", "production:staging"]),
        (["production:dev"], 2, ["production:development"]),
        (["'production:dev"], 2, ["production:development"]),
        # A finished word is not completed.
        (["production", ":", "dev", ""], 5, []),
        (["production", ":", ""], 4, []),
        (["--traceback", "production", ":", "dev"], 5, ["development"]),
    ],
)
def test_bash_gets_the_part_that_it_replaces(
    environments: Folder,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    current: int,
    expected: list[str],
) -> None:
    monkeypatch.setenv("COMP_WORDS", "\n".join(["monarch", "copy_db", *words]))
    monkeypatch.setenv("COMP_CWORD", str(current))
    answer = Bash(tiny, {}, "monarch", "_MONARCH_COMPLETE").complete()
    assert [line.removeprefix("plain,") for line in answer.splitlines()] == expected


def test_zsh_gets_complete_words(environments: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COMP_WORDS", "monarch copy_db production:dev")
    monkeypatch.setenv("COMP_CWORD", "2")
    assert Zsh(tiny, {}, "monarch", "_MONARCH_COMPLETE").complete() == "plain\nproduction:development\n_"


def test_the_scripts_support_words_that_continue(folder: Folder) -> None:
    """A failure means that a newer Click has changed its script, and monarch's must follow."""
    bash = folder.monarch(variables={"_MONARCH_COMPLETE": "bash_source"})
    assert (bash.code, bash.err) == (0, "")
    assert "compopt -o nospace" in bash.out
    zsh = folder.monarch(variables={"_MONARCH_COMPLETE": "zsh_source"})
    assert (zsh.code, zsh.err) == (0, "")
    assert "compadd -U -V unsorted -S ''" in zsh.out


def test_a_normal_start_does_not_load_completion() -> None:
    completion = "monarch.commands.parsing.completion"
    code = f"import sys, monarch.commands.parsing.pairs; print({completion!r} in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


def installed(folder: Folder) -> str:
    """Return a PATH with this monarch, in a separate home below the folder."""
    program = folder.write("home/bin/monarch", f'#!/bin/sh\nexec {shlex.join(MONARCH)} "$@"\n')
    program.chmod(0o755)
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"


class Interactive:
    """A real shell with monarch's completion, in the project, at its prompt."""

    def __init__(self, folder: Folder, shell: str, *setup: str) -> None:
        home = folder.path / "home"
        path = installed(folder)
        start = {"bash": ["--noprofile", "--rcfile", str(home / ".bashrc"), "-i"], "zsh": ["-d", "-i"]}
        keys = {
            "bash": """bind -x '"\\C-xl": echo "<$READLINE_LINE>"'""",
            "zsh": """show() { zle -I; print -r -- "<$BUFFER>" }; zle -N show; bindkey '^xl' show""",
        }
        lines = [
            f"PATH={shlex.quote(path)}",  # again, because the system's start file may have changed it
            "HISTFILE=",
            "autoload -Uz compinit && compinit -u -D" if shell == "zsh" else "",
            *setup,
            f'eval "$(_MONARCH_COMPLETE={shell}_source monarch)"',
            keys[shell],
            "PS1='ready> '",
        ]
        (home / f".{shell}rc").write_text("\n".join(lines) + "\n")
        self._terminal = pexpect.spawn(
            shell,
            start[shell],
            cwd=str(folder.path),
            env={
                **os.environ,
                "HOME": str(home),
                "ZDOTDIR": str(home),
                "INPUTRC": os.devnull,
                "TERM": "xterm",
            },
            encoding="utf-8",
            timeout=120,
            dimensions=(24, 200),
        )
        self._terminal.expect("ready> ")

    def close(self) -> None:
        self._terminal.close(force=True)

    def typed(self, keys: str) -> str:
        """Return the command line after these ``keys``."""
        self._terminal.send("\x15" + keys + "\x18l")
        self._terminal.expect(r"<(monarch[^\r\n]*)>")
        match = self._terminal.match
        assert isinstance(match, re.Match)
        return str(match[1])


def is_local(shell: str) -> bool:
    """Whether there is a ``shell`` that can complete: macOS's own bash is too old, also for Click."""
    if shutil.which(shell) is None:
        return False
    new_enough = '[ -z "$BASH_VERSION" ] || (( BASH_VERSINFO[0] * 100 + BASH_VERSINFO[1] >= 404 ))'
    return subprocess.run([shell, "-c", new_enough], check=False).returncode == 0


def write_query_set(folder: Folder) -> None:
    """Write a query set with options, and a migration in a folder."""
    folder.write(
        "querysets/orders.py",
        "from monarch import QuerySet\nclass Orders(QuerySet):\n    account_id: int\n    since: str\n",
    )
    folder.write("migrations/2026/11/_202611010000_a_migration.py", "")


@pytest.mark.server
@pytest.mark.parametrize(
    ("shell", "setup"),
    [
        pytest.param("bash", "", id="bash"),
        pytest.param("bash", "COMP_WORDBREAKS=${COMP_WORDBREAKS//:}", id="bash-that-breaks-not-at-colons"),
        pytest.param("zsh", "", id="zsh"),
    ],
)
def test_pairs_complete_in_a_real_shell(environments: Folder, shell: str, setup: str) -> None:
    if not is_local(shell):
        pytest.skip(f"there is no {shell}")
    write_query_set(environments)
    with closing(Interactive(environments, shell, setup)) as line:
        assert line.typed("monarch copy_db prod\t") == "monarch copy_db production:"
        assert line.typed("monarch copy_db prod\tst\t") == "monarch copy_db production:staging "
        assert line.typed("monarch copy_db production:dev\t") == "monarch copy_db production:development "
        assert line.typed("monarch copy_db 'production:dev\t") == "monarch copy_db 'production:development' "
        assert line.typed("monarch copy_db production:prod\t") == "monarch copy_db production:prod"
        assert line.typed("monarch copy_db nope\t") == "monarch copy_db nope"
        assert line.typed("monarch migrate st\t") == "monarch migrate staging "
        backup = "monarch backup production -q Orders"
        assert line.typed(f"{backup} -o acc\t") == f"{backup} -o account_id="
        assert line.typed(f"{backup} -o account_id=1 -o s\t") == f"{backup} -o account_id=1 -o since="
        assert line.typed("monarch generate x --in 20\t") == "monarch generate x --in 2026/11 "


@pytest.mark.server
def test_pairs_complete_in_fish(environments: Folder) -> None:
    if shutil.which("fish") is None:
        pytest.skip("there is no fish")
    variables = {**os.environ, "PATH": installed(environments), "HOME": str(environments.path / "home")}

    def complete(line: str) -> list[str]:
        script = f"_MONARCH_COMPLETE=fish_source monarch | source; complete -C {shlex.quote(line)}"
        result = subprocess.run(
            ["fish", "-c", script], env=variables, capture_output=True, text=True, check=True
        )
        assert result.stderr == ""
        return result.stdout.split()

    write_query_set(environments)
    assert complete("monarch backup production -q Orders -o ") == ["account_id=", "since="]
    assert complete("monarch copy_db prod") == ["production:"]
    assert complete("monarch copy_db production:") == ["production:development", "production:staging"]
    assert complete("monarch copy_db production:dev") == ["production:development"]
