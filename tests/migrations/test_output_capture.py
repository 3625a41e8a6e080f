"""The output of a migration is captured, and still printed."""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stdout

import click

from monarch.migrations.output_capture import capture_output


def test_output_is_printed_and_captured() -> None:
    with redirect_stdout(io.StringIO()) as out, capture_output() as echo:
        sys.stdout.write("one 2\n")
        click.echo("three")
        click.secho("four", fg="red")
        with click.progressbar([1, 2]) as bar:
            list(bar)
        sys.stdout.writelines(["five\n", "six\n"])
        assert not sys.stdout.isatty()
    assert echo.text == out.getvalue()
    assert echo.text.startswith("one 2\nthree\nfour\n")
    assert echo.text.endswith("five\nsix\n")


def test_the_beginning_and_the_end_of_long_output_are_kept() -> None:
    with redirect_stdout(io.StringIO()) as out, capture_output() as echo:
        for number in range(20_000):
            sys.stdout.write(f"{number}\n")
    assert len(out.getvalue()) > 100_000
    assert len(echo.text) < 41_000
    assert echo.text.startswith("0\n1\n")
    assert echo.text.endswith("19998\n19999\n")
    assert "\n[…]\n" in echo.text


def test_standard_output_is_restored_after_an_error() -> None:
    with redirect_stdout(io.StringIO()) as out:
        try:
            with capture_output():
                raise ValueError
        except ValueError:
            sys.stdout.write("back\n")
    assert out.getvalue() == "back\n"
