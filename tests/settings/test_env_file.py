"""A file with environment variables that is read before the settings."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from monarch.errors import SettingsError
from monarch.settings.env_file import load_env_file
from monarch.settings.load import load_settings
from monarch.settings.paths import EnvFile
from monarch.system.secrets import redact
from tests.support.runs.shell import Folder

ASKS = "import os\nENV_FILE = '.env'\n"
SETTINGS = "ENVIRONMENTS = {'dev': {'host': 'localhost', 'db_name': os.environ['ENV_FILE_NAME']}}\n"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the variables of a test."""
    for name in list(os.environ):
        if name.startswith("ENV_FILE_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(os, "environ", os.environ.copy())


def db_name(folder: Folder) -> str:
    return load_settings(folder.path).environment("dev").db_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ENV_FILE_NAME=shop\n", "shop"),
        ("\ufeffENV_FILE_NAME=shop\r\nX=1\r\n", "shop"),
        ("export ENV_FILE_NAME='shop-one' # here\n", "shop-one"),
        ('ENV_FILE_NAME="a\\nb"', "a\nb"),
        ("ENV_FILE_BASE=eu\nENV_FILE_NAME=${ENV_FILE_BASE}_shop\n", "eu_shop"),
        ("ENV_FILE_NAME=${ENV_FILE_NOT_SET:-other}", "other"),
        ("# nothing\n\nENV_FILE_ALONE\nENV_FILE_NAME = shop", "shop"),
    ],
)
def test_what_python_dotenv_understands(folder: Folder, text: str, expected: str) -> None:
    folder.write("migrations/settings.py", ASKS + SETTINGS)
    folder.write(".env", text)
    assert db_name(folder) == expected


def test_variables_that_are_set_win(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "ENV_FILE_BASE", "set")
    folder.write("migrations/settings.py", ASKS + SETTINGS)
    folder.write(".env", "ENV_FILE_BASE=file\nENV_FILE_NAME=${ENV_FILE_BASE}\n")
    assert db_name(folder) == "set"


def test_which_file(folder: Folder) -> None:
    folder.write(".env", "ENV_FILE_NAME=settings")
    folder.write("config/.env", "ENV_FILE_NAME=pyproject")
    folder.write("pyproject.toml", "[tool.monarch]\nenv-file = 'config/.env'")
    folder.write("migrations/settings.py", "import os\n" + SETTINGS)
    assert db_name(folder) == "pyproject"
    del os.environ["ENV_FILE_NAME"]
    folder.write("migrations/settings.py", ASKS + SETTINGS)
    assert db_name(folder) == "settings"


@pytest.mark.parametrize(
    "line",
    [
        "from pathlib import Path\nENV_FILE = Path('.env')",
        "ENV_FILE = None",
        "def f():\n    ENV_FILE = '.env'",
    ],
)
def test_another_expression_is_the_projects_own(folder: Folder, line: str) -> None:
    folder.write("migrations/settings.py", f"import os\n{line}\n" + SETTINGS)
    folder.write(".env", "ENV_FILE_NAME=shop")
    with pytest.raises(SettingsError, match="there is no 'ENV_FILE_NAME'"):
        db_name(folder)


def test_a_missing_file_is_named_where_a_variable_is_missing(folder: Folder) -> None:
    folder.write(
        "migrations/settings.py", ASKS + SETTINGS.replace("['ENV_FILE_NAME']", ".get('ENV_FILE_NAME')")
    )
    assert [one.missing for one in load_settings(folder.path).environments] == ["db_name"]
    folder.write("migrations/settings.py", ASKS + SETTINGS)
    with pytest.raises(SettingsError) as caught:
        db_name(folder)
    assert f"There is no {folder.path}/.env (ENV_FILE in migrations/settings.py)." in str(caught.value.hint)


def test_a_file_that_nothing_asks_for_is_proposed(folder: Folder) -> None:
    folder.write("migrations/settings.py", "import os\n" + SETTINGS)
    folder.write(".env", "ENV_FILE_NAME=shop")
    with pytest.raises(SettingsError) as caught:
        db_name(folder)
    assert "ENV_FILE = '.env'" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"A=1\nPASSWORD='hush-hush\n", "line 2: this is not NAME=value"),
        (b"A=1\nB=\xff hush-hush\n", "line 2: this is not UTF-8"),
        ("A=hush-hush\n".encode("utf-16"), "line 1: this is not UTF-8"),
        ("A=hush-hush\n".encode("utf-16-le"), "line 1: this has a zero byte"),
        (b"x" * 1_000_001, "more than 1 MB"),
    ],
)
def test_a_broken_file_shows_nothing_of_it(folder: Folder, content: bytes, message: str) -> None:
    folder.write("migrations/settings.py", ASKS + SETTINGS)
    (folder.path / ".env").write_bytes(content)
    with pytest.raises(SettingsError, match=message) as caught:
        db_name(folder)
    assert "hush" not in f"{caught.value} {caught.value.hint}"
    assert ".env" in str(caught.value)


def test_a_folder_and_a_pipe(folder: Folder) -> None:
    (folder.path / "env").mkdir()
    with pytest.raises(SettingsError, match="Is a directory"):
        load_env_file(EnvFile(folder.path / "env", "--env-file", required=True))
    with pytest.raises(SettingsError, match="No such file"):
        load_env_file(EnvFile(folder.path / "gone", "--env-file", required=True))
    reading, writing = os.pipe()
    os.write(writing, b"ENV_FILE_PIPED=1\n")
    os.close(writing)
    for _ in range(2):  # it can be read once, and the settings may be read again
        load_env_file(EnvFile(Path(f"/dev/fd/{reading}"), "--env-file", required=True))
    os.close(reading)
    assert os.environ["ENV_FILE_PIPED"] == "1"


def test_its_values_are_secrets_like_others(folder: Folder) -> None:
    folder.write(
        "migrations/settings.py", ASKS + SETTINGS + "raise ValueError(os.environ['ENV_FILE_PASSWORD'])"
    )
    folder.write(
        ".env", "ENV_FILE_NAME=shop\nENV_FILE_PASSWORD='very hush' # no\nENV_FILE_URI=mongodb://u:hushed@h/\n"
    )
    with pytest.raises(SettingsError) as caught:
        db_name(folder)
    assert "very hush" not in str(caught.value)
    assert "very hush" not in redact("very hush")
    assert "hushed" not in redact("hushed")


def test_python_dotenv_is_missing(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dotenv", None)
    folder.write("migrations/settings.py", ASKS + SETTINGS)
    with pytest.raises(SettingsError, match="ENV_FILE_NAME"):  # without the file it is not needed
        db_name(folder)
    folder.write(".env", "ENV_FILE_NAME=shop")
    with pytest.raises(SettingsError, match=r"cannot be read without python-dotenv \(ENV_FILE") as caught:
        db_name(folder)
    assert "-m pip install 'monarch[dotenv]'" in str(caught.value.hint)
