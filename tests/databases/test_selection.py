"""What a journal says of the part of a database that was transferred."""

from __future__ import annotations

from monarch.databases.selection import Choice


def test_a_choice_is_written_as_the_options_that_make_it() -> None:
    assert Choice().as_arguments() == ""
    names = Choice(only=("users", "it's mine"), exclude_index=("users.at",), rename=(("users", "people"),))
    assert names.as_arguments() == (
        """--only users --only 'it'"'"'s mine' --exclude-index users.at --rename users=people"""
    )
    assert Choice(without_indexes=True, into_existing=True).as_arguments() == (
        "--without-indexes --into-existing"
    )


def test_many_names_are_counted_and_options_without_names_are_all_there() -> None:
    text = Choice(exclude=tuple("x" * 90 for _ in range(50)), without_indexes=True).as_arguments()
    assert text == " ".join([f"--exclude {'x' * 90}"] * 3 + ["and 47 more", "--without-indexes"])
    assert Choice(only=("ä" * 255,)).as_arguments() == "and 1 more"
