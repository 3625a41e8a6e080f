"""``shell`` and ``uri``: to the database itself."""

from __future__ import annotations

import sys

import click

from monarch.commands.console.lines import show, tip
from monarch.commands.console.progress_lines import ProgressLines
from monarch.commands.console.prompt import open_prompt
from monarch.commands.console.questions import confirm, yes_option
from monarch.commands.looks import silence
from monarch.commands.parsing.arguments import ENVIRONMENT, this_project
from monarch.commands.parsing.whereabouts import go_back
from monarch.errors import UsageError


@click.command("shell")
@click.argument("environment", type=ENVIRONMENT)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--python", is_flag=True, help="A Python prompt, also if there is a mongosh or psql.")
def shell(environment: str, arguments: tuple[str, ...], python: bool) -> None:
    """Open mongosh or psql on the database of ENVIRONMENT.

    The password is in no argument and no file. ARGUMENTS after -- are those of the program. If it is not
    installed, you get a Python prompt with `db`. An embedded server runs as long as the shell.

    \b
    Examples:
      monarch shell development
      monarch shell production -- -c 'SELECT count(*) FROM dogs'
      monarch shell development --python
    """
    from monarch.settings.protection import why_hazardous
    from monarch.system.subprocesses import run_in_foreground

    project = this_project()
    target = project.environment(environment)
    if python and arguments:
        raise UsageError("A Python prompt takes no arguments.", "Leave out --python, or what is after --.")
    with project.open(environment, ProgressLines()) as database:
        opened = database.shell(arguments)
        where = f"{target.db_name} on {target.label} ({target.server})"
        if (why := why_hazardous(target)) is not None:
            show(f"Careful: what you type changes {where}, and {why}.", err=True)
        silence.end()
        go_back()  # files that the person names there
        if opened.program is not None and not python:
            code = run_in_foreground(opened.program)
        elif arguments:
            raise UsageError(
                f"There is no {opened.program_name} on the PATH to pass arguments to.",
                f"Install {opened.program_name}, or leave out what is after --.",
            )
        else:
            if not python:
                tip(f"There is no {opened.program_name} on the PATH, so this is Python.")
            banner = f"`db` is {where}. Try: {opened.example}. To leave: Ctrl-D."
            code = open_prompt(opened.names, banner)
    sys.stdout.flush()
    click.get_current_context().exit(code)


@click.command("uri")
@click.argument("environment", type=ENVIRONMENT)
@click.option("--reveal", is_flag=True, help="With the password, after a question.")
@yes_option
def uri(environment: str, reveal: bool, yes: bool) -> None:
    """Print the address of ENVIRONMENT, without its password.

    It is a connection string for other programs. A password in their arguments can be seen by everybody on
    the machine: `monarch shell` needs none.

    \b
    Examples:
      monarch uri development
      monarch uri production --reveal
    """
    project = this_project()
    if not reveal:
        show(project.uri(environment))
        return
    address = project.reveal_uri(environment)
    confirm(f"Print the password of {environment} here?", yes)
    show(address, recorded=False)
