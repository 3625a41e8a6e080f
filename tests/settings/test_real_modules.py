"""``settings.py`` works as if imported as ``migrations.settings``, also for libraries."""

from __future__ import annotations

import importlib
import os
import sys
import textwrap

import pytest

from tests.support.runs.shell import Folder

ENTRY = "ENVIRONMENTS = {'dev': {'host': HOST, 'db_name': 'a'}}"


def server_of(folder: Folder, *, within: str = ".") -> str:
    """Return the server of ``dev`` as ``list_environments`` prints it."""
    below = Folder(folder.path / within)
    result = below.monarch("list_environments", "--json")
    assert result.code == 0, result.err
    return str(result.json[0]["server"])


@pytest.mark.parametrize(
    ("library", "source"),
    [
        ("dotenv", "import os\nfrom dotenv import load_dotenv\nload_dotenv()\nHOST = os.environ['THE_HOST']"),
        ("environs", "from environs import Env\nenv = Env()\nenv.read_env()\nHOST = env.str('THE_HOST')"),
        (
            "environ",
            "import environ, pathlib\nenv = environ.Env()\n"
            "environ.Env.read_env(pathlib.Path(__file__).parents[1] / '.env')\nHOST = env('THE_HOST')",
        ),
        ("decouple", "from decouple import config\nHOST = config('THE_HOST')"),
        (
            "pydantic_settings",
            "from pydantic_settings import BaseSettings, SettingsConfigDict\n"
            "class Ours(BaseSettings):\n    model_config = SettingsConfigDict(env_file='.env')\n"
            "    the_host: str\n    db_password: str\nHOST = Ours().the_host",
        ),
    ],
)
def test_libraries_find_the_file_of_variables_of_the_project(
    folder: Folder, library: str, source: str
) -> None:
    importlib.import_module(library)
    # A foreign file in the parent folder: a library that searches from monarch's own files would find it.
    folder.write(".env", "THE_HOST=wrong.example.com\nDB_PASSWORD=hush-hush\n")
    folder.write("app/.env", "THE_HOST=right.example.com\nDB_PASSWORD=hush-hush\n")
    folder.write("app/migrations/settings.py", f"{source}\n{ENTRY}\n")
    assert server_of(folder, within="app") == "right.example.com"


@pytest.mark.parametrize(
    "source",
    [
        "import os, django\nfrom django.conf import settings\n"
        "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\ndjango.setup()\n"
        "HOST = settings.DATABASES['default']['HOST']",
        "from flask import Flask\napp = Flask('shop')\napp.config.from_object('shop.settings')\n"
        "HOST = app.config['DATABASES']['default']['HOST']",
        "from flask import Flask\napp = Flask(__name__, root_path='.')\n"
        "app.config.from_pyfile('shop/settings.py')\nHOST = app.config['DATABASES']['default']['HOST']",
    ],
    ids=["Django", "Flask", "Flask's file"],
)
def test_the_settings_of_a_framework_are_read(folder: Folder, source: str) -> None:
    folder.write("shop/__init__.py", "")
    folder.write(
        "shop/settings.py",
        "SECRET_KEY = 'hush-hush'\nINSTALLED_APPS = ['django.contrib.contenttypes', 'shop']\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': 'a', 'HOST': 'h7'}}\n",
    )
    folder.write("shop/models.py", "from django.db import models\nclass Page(models.Model): pass\n")
    folder.write("migrations/settings.py", f"{source}\n{ENTRY}\n")
    assert server_of(folder) == "h7"


@pytest.mark.parametrize(
    "source",
    [
        "from dataclasses import dataclass, fields\n@dataclass\nclass Config:\n    port: int\n"
        "HOST = f\"h{fields(Config)[0].type('7')}\"",
        "import pickle\nclass C: pass\nHOST = 'h7' if pickle.loads(pickle.dumps(C)) is C else 0",
        "import inspect\ndef f(): return 'h7'\nHOST = f() if 'h7' in inspect.getsource(f) else 0",
        "from .hosts import HOST",
        "from migrations.hosts import HOST",
        "import sys\nHOST = 'h7' if sys.modules[__name__].__file__ == __file__ else 0",
        "HOST = {'migrations.settings migrations': 'h7'}[f'{__name__} {__package__}']",
        "from pathlib import Path\nHOST = 'h7' if Path(__file__).read_text() else 0",
        "import typing\nclass T(typing.NamedTuple):\n    a: int\n"
        "HOST = 'h7' if typing.get_type_hints(T) == {'a': int} else 0",
    ],
)
def test_settings_are_a_regular_module(folder: Folder, source: str) -> None:
    folder.write("migrations/hosts.py", "HOST = 'h7'")
    folder.write("migrations/settings.py", f"{source}\n{ENTRY}\n")
    assert server_of(folder) == "h7"


def test_an_installed_package_called_migrations_is_not_used(folder: Folder) -> None:
    folder.write("elsewhere/migrations/__init__.py", "")
    folder.write("elsewhere/migrations/hosts.py", "HOST = 'wrong'")
    folder.write("app/migrations/hosts.py", "HOST = 'right'")
    folder.write("app/migrations/settings.py", f"from migrations.hosts import HOST\n{ENTRY}\n")
    below = Folder(folder.path / "app")
    installed = [str(folder.path / "elsewhere"), os.environ.get("PYTHONPATH", "")]
    below.variables["PYTHONPATH"] = os.pathsep.join(filter(None, installed))
    assert below.monarch("list_environments", "--json").json[0]["server"] == "right"


def test_a_missing_module_names_the_interpreter(folder: Folder) -> None:
    folder.write("migrations/settings.py", "import our_company_config")
    result = folder.monarch("list_environments")
    assert result.code == 2
    assert "/python" in result.err
    assert "has no module 'our_company_config'" in result.err
    assert f"`{sys.executable} -m pip install PACKAGE`" in result.err


def test_the_package_of_a_missing_module_is_installed_for_the_interpreter(folder: Folder) -> None:
    folder.write("migrations/settings.py", "import dynaconf.loaders")
    result = folder.monarch("check", "dev")
    assert result.code == 2
    assert f"Install it there: `{sys.executable} -m pip install dynaconf`." in result.err


SECRETS = {
    "python-dotenv": "import os, dotenv\ndotenv.load_dotenv()\nint(os.environ['DB_PASSWORD'])",
    "python-decouple": "from decouple import config\nconfig('DB_PASSWORD', cast=int)",
    "environs": "from environs import Env\nenv = Env()\nenv.read_env()\nenv.int('DB_PASSWORD')",
    "a name": "PASSWORD = 'hunter2'\nraise ValueError(PASSWORD)",
    "a name in a dict": "DATABASES = {'default': {'PASSWORD': 'hunter2'}}\nraise ValueError(DATABASES)",
    "a local name": "def f():\n    password = 'hunter2'\n    raise ValueError(password)\nf()",
    "a secret's file": "raise ValueError(open('secrets/db').read())",
    "an ini": "from configparser import *\nc = ConfigParser()\nc.read('db.ini')\nint(c['db']['password'])",
    "json": "import json\nint(json.load(open('db.json'))['password'])",
    "a URI": "int('mongodb://me:hunter2@h/x')",
    "a URI with a name": "URL = 'mongodb://me:hunter2@h/x'\nraise ValueError(URL.split(':')[2])",
    "later": "P = 'hunter2'\nENVIRONMENTS = {'dev': {'host': 'h', 'db_name': 'a', 'passwort': P}}",
}


@pytest.mark.parametrize("how", SECRETS)
@pytest.mark.parametrize("traceback", [[], ["--traceback"]])
def test_no_secret_is_printed_wherever_it_comes_from(folder: Folder, how: str, traceback: list[str]) -> None:
    folder.write(".env", "DB_PASSWORD=hunter2\n")
    folder.write("secrets/db", "hunter2\n")
    folder.write("db.ini", "[db]\npassword = hunter2\n")
    folder.write("db.json", '{"password": "hunter2"}')
    folder.write("migrations/settings.py", textwrap.dedent(SECRETS[how]) + "\n")
    result = folder.monarch("check", "dev", *traceback)
    assert result.code == 2
    assert "Error: " in result.err
    assert "hunter2" not in result.out + result.err


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("SecretStr('hush-hush')", "append .get_secret_value()"),
        ("MongoDsn('mongodb://me:hush-hush@h/a')", "Give it as a text: str(…)"),
        ("7", "Write it as 'text'."),
    ],
)
@pytest.mark.parametrize("key", ["password", "uri"])
def test_no_hint_leads_to_a_secret_in_the_code(folder: Folder, key: str, value: str, hint: str) -> None:
    entry = {"password": "'host': 'h', 'username': 'me', 'db_name': 'a', 'password'", "uri": "'uri'"}[key]
    source = f"from pydantic import MongoDsn, SecretStr\nENVIRONMENTS = {{'dev': {{{entry}: {value}}}}}\n"
    folder.write("migrations/settings.py", source)
    result = folder.monarch("check", "dev")
    assert result.code == 2
    assert hint in result.err
    assert "hush" not in result.err


BROKEN = {
    "an unescaped @": {"uri": "mongodb://me:p@ss@word@h/x"},
    "a misspelt key": {"host": "h", "db_name": "a", "passwort": "hunter2"},
    "no dict": "mongodb://h/a",
    "a port": {"host": "h", "port": 27017, "db_name": "a"},
    "an unknown kind": {"kind": "oracle", "host": "h", "db_name": "a"},
    "a number": {"host": 7, "db_name": "a"},
}


@pytest.mark.parametrize("how", BROKEN)
def test_one_broken_environment_does_not_break_the_others(project: Folder, how: str) -> None:
    assert project.server is not None
    entry = {"uri": project.server.uri, "db_name": project.db_name}
    project.write("migrations/settings.py", f"ENVIRONMENTS = {{'bad': {BROKEN[how]!r}, 'dev': {entry!r}}}\n")
    project.migration("one")
    result = project.invoke("migrate", "dev")
    assert result.code == 0, result.err
    refused = project.invoke("migrate", "bad")
    assert refused.code == 2
    assert "Error: Environment 'bad'" in refused.err
    listed = project.invoke("list_environments")
    assert listed.code == 0
    assert "Note: Environment 'bad'" in listed.err
    rows = project.invoke("list_environments", "--json").json
    assert [bool(row["problem"]) for row in rows] == [True, False]
    for one in (refused, listed):
        assert "hunter2" not in one.err
        assert "ss@word" not in one.err


ODD = {
    "a client": "from pymongo import MongoClient\nclient = MongoClient('localhost:9', connect=False)",
    "a lazy object": "class Lazy:\n    @property\n    def __class__(self): raise RuntimeError('lazy')\n"
    "    def __getattr__(self, name): raise RuntimeError('not configured')\nlazy = Lazy()",
    "a circle": "a = []\na.append(a)\nb = {'a': a}\nb['b'] = b",
    "a lot": "many = [{'n': n, 'more': [n]} for n in range(200_000)]",
    "a mapping that fails": "from collections.abc import Mapping\nclass M(Mapping):\n"
    "    def __getitem__(self, key): raise OSError\n    def __iter__(self): raise OSError\n"
    "    def __len__(self): return 1\nm = M()",
    "Django's": "from types import SimpleNamespace\nsettings = SimpleNamespace(PASSWORD='hunter2')",
}


@pytest.mark.parametrize("how", ODD)
def test_settings_may_bind_any_value(folder: Folder, how: str) -> None:
    folder.write("migrations/settings.py", f"{ODD[how]}\nHOST = 'h7'\n{ENTRY}\n")
    assert server_of(folder) == "h7"


def test_a_large_settings_file_loads_quickly(folder: Folder) -> None:
    folder.write("large.txt", "a=" + " " * 250_000 + "x")
    folder.write("migrations/settings.py", f"open('large.txt').read()\nHOST = 'h7'\n{ENTRY}\n")
    assert server_of(folder) == "h7"


def test_a_long_key_that_looks_like_a_path_is_a_secret(folder: Folder) -> None:
    key = "/" + "k" * 5_000
    folder.variables["SECRET_KEY"] = key
    folder.write("migrations/settings.py", "import os\nraise ValueError(os.environ['SECRET_KEY'])")
    result = folder.monarch("check", "dev")
    assert result.code == 2
    assert "settings.py, line 2: ValueError" in result.err
    assert "kkkk" not in result.err
