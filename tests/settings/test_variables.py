"""The variable that a setting without a value comes from."""

from __future__ import annotations

import pytest

from tests.support.runs.shell import Folder

GET = "os.environ.get('APP_URI')"
NAMED = {
    "get": f"ENVIRONMENTS = {{'dev': {{'uri': {GET}, 'db_name': 'a'}}}}",
    "getenv": "ENVIRONMENTS = {'dev': {'uri': os.getenv('APP_URI', ''), 'db_name': 'a'}}",
    "imported": "from os import environ\n"
    "ENVIRONMENTS = {'dev': {'uri': environ.get('APP_URI'), 'db_name': 'a'}}",
    "dict": f"ENVIRONMENTS = {{'dev': dict(uri={GET}, db_name='a')}}",
    "named": f"URI = {GET}\nENVIRONMENTS = {{'dev': {{'uri': URI, 'db_name': 'a'}}}}",
    "named entry": f"DEV = {{'uri': {GET}, 'db_name': 'a'}}\nENVIRONMENTS: dict = {{'dev': DEV}}",
    "another is set": "ENVIRONMENTS = {"
    "'dev': {'uri': os.environ['EMPTY'] or os.getenv('APP_URI'), 'db_name': 'a'}, "
    "'other': {'uri': os.environ.get('OTHER_URI')}}",
}


@pytest.mark.parametrize("how", NAMED)
def test_the_hint_names_the_variable(folder: Folder, how: str) -> None:
    folder.write("migrations/settings.py", f"import os\n{NAMED[how]}\n")
    folder.variables["EMPTY"] = ""
    result = folder.monarch("check", "dev")
    assert result.code == 2
    error, hint = result.err.splitlines()
    assert error == "Error: Environment 'dev' has no 'uri': its value is empty."
    if how == "another is set":
        assert (
            hint == "Hint: migrations/settings.py takes it from variables. These are not set: EMPTY, APP_URI."
        )
    else:
        assert hint == "Hint: Set APP_URI, from which migrations/settings.py takes it."


UNKNOWN = {
    "None": "ENVIRONMENTS = {'dev': {'uri': None, 'db_name': 'a'}}",
    "made": "N = 'APP'\nENVIRONMENTS = {'dev': {'uri': os.environ.get(N + '_URI'), 'db_name': 'a'}}",
    "in a loop": "ENVIRONMENTS = {n: {'uri': os.environ.get(n.upper()), 'db_name': 'a'} for n in ['dev']}",
    "of another": f"ENVIRONMENTS = {{'dev': {{'uri': None, 'db_name': 'a'}}, 'x': {{'uri': {GET}}}}}",
    "changed": f"URI = {GET}\nURI = None\nENVIRONMENTS = {{'dev': {{'uri': URI, 'db_name': 'a'}}}}",
    "changed later": f"ENVIRONMENTS = {{'dev': {{'uri': {GET}, 'db_name': 'a'}}}}\nENVIRONMENTS = "
    "{'dev': {'uri': '', 'db_name': 'a'}}",
    "changed in place": f"ENVIRONMENTS = {{'dev': {{'uri': {GET}, 'db_name': 'a'}}}}\n"
    "ENVIRONMENTS['dev']['uri'] = ''",
    "set": "ENVIRONMENTS = {'dev': {'uri': os.environ.get('SET') and '', 'db_name': 'a'}}",
}


@pytest.mark.parametrize("how", UNKNOWN)
def test_a_variable_that_is_not_certain_is_not_guessed(folder: Folder, how: str) -> None:
    folder.write("migrations/settings.py", f"import os\n{UNKNOWN[how]}\n")
    folder.variables["SET"] = "1"
    result = folder.monarch("check", "dev")
    assert result.code == 2
    error, hint = result.err.splitlines()
    assert error == "Error: Environment 'dev' has no 'uri': its value is empty."
    assert hint == "Hint: Set the variable that migrations/settings.py takes it from."
