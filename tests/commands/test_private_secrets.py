"""Private environments: no value and no key gets into errors, tracebacks or other programs."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tests.commands.test_private import KEY, RULES, assert_masked, private
from tests.support.runs.two_environments import TwoEnvironments, assert_error

pytestmark = pytest.mark.server
__all__ = ["private"]  # the fixture

MASK = """
    from monarch.privacy import Masks, keep, null
    from monarch.privacy.rules import Mask, ValueKind

    class Own(Mask):
        def __repr__(self):
            return 'Own()'

        def bind(self, key):
            return {ValueKind.TEXT: change}

    def change(value):
        BODY

    masks = Masks()
    masks['users'] = {'_id': keep, 'name': Own(), '*': null}
    masks['orders'] = {'_id': keep, 'mail': null, 'total': keep}
"""
FUNCTION = """
    import sys
    from monarch.privacy import Masks, keep, null

    masks = Masks()
    masks['orders'] = {'_id': keep, 'mail': null, 'total': keep}

    @masks.of('users')
    def users(document):
        BODY
"""


@pytest.mark.parametrize(
    ("rules", "body", "reason"),
    [
        (MASK, "raise ValueError(value)", "raised ValueError"),
        (MASK, "raise SystemExit(value)", "raised SystemExit"),
        (MASK, "return [value]", "returned a value of type list"),
        (FUNCTION, "raise KeyError(document['name'])", "raised KeyError"),
        (FUNCTION, "sys.exit(document['name'])", "raised SystemExit"),
    ],
)
def test_a_traceback_of_a_mask_that_fails_shows_no_value(
    private: TwoEnvironments, rules: str, body: str, reason: str
) -> None:
    private.folder.write("migrations/privacy.py", rules.replace("BODY", body))
    result = private.folder.monarch("--traceback", "copy_db", "production:dev", "--yes", "--engine", "native")
    assert result.code == 1, result.output
    assert reason in result.err
    assert "users" in result.err
    assert "wackelmann" not in result.output
    private.assert_unchanged()


def test_what_masks_print_is_discarded(private: TwoEnvironments) -> None:
    body = "print(document); print(document, file=sys.stderr); document['name'] = document['secret'] = ''"
    rules = FUNCTION.replace("BODY", f"{body}; document['mail'] = str(document['_id'])")
    private.folder.write("migrations/privacy.py", rules.replace("import sys", "import sys; print('hello')"))
    result = private.copy("--yes", "--engine", "native", "--json")
    assert result.code == 0, result.output
    assert result.json["passage"] == "masked"
    assert "wackelmann" not in result.output
    assert "hello" not in result.output
    assert result.err.count("migrations/privacy.py printed text, which was discarded") == 1
    # Also what its import prints.
    suggested = private.folder.monarch("suggest_masks", "production", "--json")
    assert suggested.json["environment"] == "production"
    assert "hello" not in suggested.output


def test_names_of_fields_that_are_data_are_not_shown(private: TwoEnvironments) -> None:
    private.source.users.update_one({"_id": 3}, {"$set": {"calls": {"otti@zwackelmann.test": 7}}})
    for rule, shown in (
        ("full_name()", r"calls\.\* \(int32\), which full_name\(\) does not take"),
        ("keep", r"users\.calls\.\* \(1 document"),
    ):
        rules = RULES.replace("'note': keep", f"'note': keep, 'calls.*': {rule}")
        private.folder.write("migrations/privacy.py", rules)
        result = private.copy("--yes", "--engine", "native")
        assert result.code == 1, result.output
        assert "wackelmann" not in result.output
        assert re.search(shown, result.err), result.err
        private.assert_unchanged()
        value = {"otti@zwackelmann.test": "ottilie.3@zwackelmann.test"}
        private.source.users.update_one({"_id": 3}, {"$set": {"calls": value}})


def test_a_key_that_is_not_utf_8_is_a_key(private: TwoEnvironments) -> None:
    key = os.fsdecode(b"a key with \xff, which is long enough")
    result = private.copy("--yes", "--engine", "native", variables={"MONARCH_MASKS_KEY": key})
    assert result.code == 0, result.output
    assert_masked(private)


def test_no_tool_gets_the_key(private: TwoEnvironments, tools: Path, tmp_path: Path) -> None:
    for name in ("mongodump", "mongorestore"):
        program = tmp_path / name
        program.write_text(
            f'#!/bin/sh\n(env; echo "$@") >> {tmp_path}/{name}.seen\nexec {tools}/{name} "$@"\n'
        )
        program.chmod(0o755)
    variables = {**KEY, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    result = private.copy("--yes", "--engine", "tools", variables=variables)
    assert result.code == 0, result.output
    assert_masked(private)
    seen = [path.read_text() for path in tmp_path.glob("*.seen")]
    assert len(seen) == 2
    assert all("PATH=" in one and KEY["MONARCH_MASKS_KEY"] not in one for one in seen)


def test_a_manifest_that_travels_has_no_options_of_query_sets(private: TwoEnvironments) -> None:
    private.folder.write(
        "querysets/few_query_set.py",
        """
        from monarch import QuerySet

        class FewQuerySet(QuerySet):
            mail: str

            def run(self):
                self.dump_collection('users', {'mail': self.mail})
        """,
    )
    wish = ("-q", "FewQuerySet", "-o", "mail=ottilie.7@zwackelmann.test")
    for more, shown in (((), "zwackelmann"), (("--masked",), "mail=?")):
        result = private.folder.monarch("backup", "production", *wish, "--engine", "native", "--json", *more)
        assert result.code == 0, result.output
        (manifest,) = (private.folder.path / "backups").rglob(f"{result.json['name']}*.json")
        assert shown in manifest.read_text()
    assert "wackelmann" not in manifest.read_text()


def test_of_the_history_only_what_monarch_writes_is_copied(private: TwoEnvironments) -> None:
    private.source.mongo_migration_history.update_many({}, {"$set": {"remark": "Ottilie Zwackelmann"}})
    result = private.copy("--yes", "--engine", "native")
    assert result.code == 0, result.output
    assert_masked(private)


def test_rules_that_change_while_they_are_used_stop_the_copy(private: TwoEnvironments) -> None:
    """Processes that mask load the rules a second time: they must not pass what was to be masked."""
    private.source.drop_collection("users")
    for start in range(0, 10_000, 1_000):
        private.source.users.insert_many(
            {"_id": start + n, "name": f"Ottilie Zwackelmann{n}", "note": "x" * 1_500} for n in range(1_000)
        )
    private.folder.write(
        "migrations/privacy.py",
        """
        from pathlib import Path
        from monarch.privacy import Masks, full_name, keep, null

        masks = Masks()
        masks['users'] = {'_id': keep, 'name': full_name(), 'note': keep}
        masks['orders'] = {'_id': keep, 'mail': null, 'total': keep}
        here = Path(__file__)
        here.write_text(here.read_text().replace("'name': full_name()", "'name': keep"))
        """,
    )
    result = private.copy("--yes", "--engine", "native")
    assert_error(result, 1, "gives other rules than when the command began", "again")
    private.assert_unchanged()
