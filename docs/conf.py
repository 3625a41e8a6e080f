"""Sphinx's configuration. ``tox -e docs`` builds the manual and checks its links."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from docs import drawing
from monarch.version import __version__

drawing.write(Path(__file__).with_name("drawings"))

project = "monarch"
author = "The authors of monarch"
project_copyright = author
release = version = __version__

extensions = ["sphinx.ext.autodoc", "sphinx_click"]
exclude_patterns: list[str] = []
html_theme = "furo"
html_title = "monarch"
html_static_path = ["static"]
html_css_files = ["monarch.css"]
html_show_copyright = False
pygments_style = "friendly"
pygments_dark_style = "monokai"
# No network is needed to check links: those inside the manual and the repository are checked.
linkcheck_ignore = [r"https?://.*"]
linkcheck_anchors = True

# Docstrings name code in single backquotes.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
add_module_names = False
python_use_unqualified_type_names = True
