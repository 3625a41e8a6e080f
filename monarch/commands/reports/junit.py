"""A run of migrations as a JUnit file, which most CI systems show as tests."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement

from monarch.commands.reports.story import Story

# Characters that XML 1.0 cannot hold, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_junit(path: Path, *stories: Story) -> None:
    """Write ``stories`` to the file ``path``, each as a suite: a test case for every planned migration."""
    root = Element("testsuites")
    for story in stories:
        _add_suite(root, story)
    ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def _add_suite(root: Element, story: Story) -> None:
    suite = SubElement(root, "testsuite", name=f"monarch migrate {story.environment}")
    for finished in story.done:
        case = _case(suite, finished.migration, finished.seconds)
        if finished.echoed:
            SubElement(case, "system-out").text = _clean(finished.echoed)
    failed = story.running
    if story.error is not None:
        # If no migration was running, the run failed as a whole.
        case = _case(suite, failed or f"migrate {story.environment}", 0)
        failure = SubElement(case, "failure", message=_clean(story.error))
        failure.text = _clean(story.hint or story.error)
    for key in story.not_reached:
        SubElement(_case(suite, key, 0), "skipped", message="not reached")
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(int(story.error is not None)))
    suite.set("skipped", str(len(story.not_reached)))
    suite.set("time", f"{sum(finished.seconds for finished in story.done):.3f}")


def _case(suite: Element, name: str, seconds: float) -> Element:
    return SubElement(suite, "testcase", classname="migrations", name=name, time=f"{seconds:.3f}")


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("", text)
