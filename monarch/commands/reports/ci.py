"""Annotations and summaries of CI systems."""

from __future__ import annotations

import os
from pathlib import Path

import click

from monarch.commands.console.lines import harmless, note
from monarch.commands.console.text import duration
from monarch.commands.reports.story import Story


def annotate(story: Story) -> None:
    """Report the end of a run to the CI system, if it shows annotations or summaries."""
    if story.error is not None:
        path, line = story.place or (None, None)
        path = path and _in_repository(story.folder / path, path)
        if os.environ.get("GITHUB_ACTIONS"):  # "Workflow commands for GitHub Actions", also of Gitea
            where = f" file={_property(path, '%:,')}{f',line={line}' if line else ''}" if path else ""
            message = harmless(story.error).replace("%", "%25")
            click.echo(f"::error{where}::{message}", err=True)
        elif os.environ.get("TF_BUILD"):  # Azure Pipelines, "Logging commands"
            where = (
                f"sourcepath={_property(path, '%;]')};{f'linenumber={line};' if line else ''}" if path else ""
            )
            click.echo(f"##vso[task.logissue type=error;{where}]{harmless(story.error)}", err=True)
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        try:
            with Path(summary).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(_summary(story))
        except OSError as error:
            note(f"the step summary cannot be written: {error.strerror}.")


def _property(path: str, special: str) -> str:
    """Return ``path`` as a property of a command, with its ``special`` characters escaped."""
    return "".join(f"%{ord(c):02X}" if c in special else c for c in harmless(path))


def _in_repository(path: Path, shown: str) -> str:
    """``path`` relative to the repository, in which the project may be a folder; otherwise ``shown``."""
    workspace = os.environ.get("GITHUB_WORKSPACE")
    return path.relative_to(workspace).as_posix() if workspace and path.is_relative_to(workspace) else shown


def _summary(story: Story) -> str:
    lines = [f"### monarch migrate {story.environment}", ""]
    if story.planned:
        lines += [f"| migration | | took | {story.part}s |", "|---|---|---|---|"]
        lines += [f"| {f.migration} | done | {duration(f.seconds)} | {f.documents:,} |" for f in story.done]
        lines += [f"| {story.running} | **failed** | | |"] if story.running else []
        lines += [f"| {key} | not reached | | |" for key in story.not_reached]
    elif story.error is None:
        lines.append("Nothing to do.")
    if story.error is not None:
        lines += ["", f"**{_markdown(story.error)}**", ""]
        lines += [_markdown(story.hint), ""] if story.hint else []
    return "\n".join(lines) + "\n"


def _markdown(text: str) -> str:
    return text.replace("<", "&lt;").replace("|", "\\|")
