"""Names of migrations from any text."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from monarch.errors import ProjectError
from monarch.migrations.files.names import PATTERN, name_from
from monarch.system.spelling import camel_case

TEXTS = st.one_of(
    st.text(max_size=200),
    st.text("aZ_09 /\\.-éßл日'\n", max_size=140),
    st.from_regex(r"(migrations/)?(20\d\d/)?_\d{12}_\w+_migration(\.py)?", fullmatch=True),
)


def answer(text: str) -> tuple[str | None, str]:
    """Return the name of ``text``, or None, and the hint why there is none."""
    try:
        return name_from(text), ""
    except ProjectError as error:
        return None, error.hint or ""


@given(TEXTS)
def test_any_text_is_a_name_or_refused_with_one(text: str) -> None:
    name, hint = answer(text)
    if name is None:
        found = re.fullmatch(r"For example: monarch generate (\w+)(?: --in \S+)?", hint)
        assert found is not None, hint
        name = found[1]
    assert PATTERN.fullmatch(f"_202611290638_{name}_migration.py")
    assert f"{camel_case(name)}Migration".isidentifier()
    assert name_from(name) == name
