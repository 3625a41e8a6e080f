"""The manual, for a terminal: its pages are those of ``docs/``, which are installed with monarch.

`pages` finds and reads them, `parse` and `inline` understand their markup, `topics` finds what a person asks
for, and `layout` makes lines of it that fit a terminal. They know as much of reStructuredText as the pages
use; a test compares them with docutils.
"""
