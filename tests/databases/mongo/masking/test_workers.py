"""Processes that mask."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import bson
import pytest

from monarch.databases.mongo.masking.processes.workers import Worker, Workers
from monarch.databases.mongo.masking.transform import MongoMasking
from monarch.errors import ServerError
from monarch.privacy.key import VARIABLE
from monarch.privacy.project_masks import ProjectMasks, load_project_masks
from monarch.privacy.rules import MaskingError

RULES = """
import os
from monarch.privacy import Masks, email, keep, text

print("this must not get between the answers")
masks = Masks()
masks["people"] = {"name": text(), "*": keep}

@masks.of("payments")
def payments(document):
    document["by"] = email()(document["by"])
    if document.get("end"):
        os._exit(1)
"""
DOCUMENTS = b"".join(bson.encode({"_id": n, "name": f"Ann {n}"}) for n in range(100))


@pytest.fixture
def rules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProjectMasks:
    monkeypatch.setenv(VARIABLE, "a key for tests of masks")
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "privacy.py").write_text(RULES)
    return load_project_masks(tmp_path)


@pytest.fixture
def masking(rules: ProjectMasks) -> Iterator[MongoMasking]:
    masking = MongoMasking(rules, cores=2, few=0)
    yield masking
    masking.stop()


def test_processes_mask_as_this_one_does(masking: MongoMasking, rules: ProjectMasks) -> None:
    here = MongoMasking(rules, cores=1)
    payment = bson.encode({"_id": 1, "by": "ann@example.org"})
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: masking("people", DOCUMENTS), range(6)))
    assert set(found) == {here("people", DOCUMENTS)} != {DOCUMENTS}
    assert masking("payments", payment) == here("payments", payment) != payment


def test_their_errors_are_those_of_masks(masking: MongoMasking) -> None:
    with pytest.raises(MaskingError, match=r"name \(int32\), which text\(\) does not take"):
        masking("people", bson.encode({"name": 5}))
    with pytest.raises(MaskingError, match=r"'payments'.* raised KeyError"):
        masking("payments", bson.encode({"_id": 1}))


def test_rules_that_cannot_be_loaded_there_are_an_error(rules: ProjectMasks, tmp_path: Path) -> None:
    (tmp_path / "migrations" / "privacy.py").write_text("1 / 0")
    workers = Workers(rules, 1)
    with pytest.raises(MaskingError, match="privacy cannot be loaded"):
        workers.mask("people", DOCUMENTS)
    workers.stop()


def test_a_module_of_the_project_that_has_changed_is_an_error(tmp_path: Path) -> None:
    """The rules look the same, and a function of the module would let the values pass."""
    (tmp_path / "migrations").mkdir()
    helper = tmp_path / "helping_with_masks.py"
    helper.write_text("def mask(text):\n    return 'x'\n")
    (tmp_path / "migrations" / "privacy.py").write_text(
        "import helping_with_masks\nfrom monarch.privacy import Masks\nmasks = Masks()\n"
        "@masks.of('people')\ndef people(document):\n"
        "    document['name'] = helping_with_masks.mask(document['name'])\n"
    )
    rules = load_project_masks(tmp_path)
    for text in ("def mask(text):\n    return 'x'\n", "def mask(text):\n    return text\n"):
        helper.write_text(text)
        workers = Workers(rules, 1)
        try:
            if "return text" in text:
                with pytest.raises(MaskingError, match="a module that it imports was changed"):
                    workers.mask("people", DOCUMENTS)
            else:
                assert b"Ann" not in workers.mask("people", DOCUMENTS)
        finally:
            workers.stop()


def test_a_process_that_dies_is_an_error(masking: MongoMasking) -> None:
    with pytest.raises(ServerError, match="documents of 'payments' ended before it was done"):
        masking("payments", bson.encode({"_id": 1, "by": "ann@example.org", "end": True}))


def test_the_key_is_neither_an_argument_nor_in_the_environment(rules: ProjectMasks) -> None:
    worker = Worker(rules)
    assert worker.mask("people", DOCUMENTS)
    process = Path("/proc") / str(worker.pid)
    if process.is_dir():
        shown = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        assert b"a key for tests" not in shown
    worker.stop()


def test_a_thread_that_waits_for_a_stopped_process_gets_an_error(rules: ProjectMasks) -> None:
    worker = Worker(rules)
    assert worker.mask("people", DOCUMENTS)
    os.kill(worker.pid, signal.SIGSTOP)
    failures: list[BaseException] = []

    def mask() -> None:
        try:
            worker.mask("people", DOCUMENTS)
        except ServerError as error:
            failures.append(error)

    thread = threading.Thread(target=mask)
    thread.start()
    worker.stop()
    thread.join(30)
    assert not thread.is_alive()
    assert len(failures) == 1
