from __future__ import annotations

import click
import pytest

import monarch
from monarch.databases import KINDS, find_kind


def test_the_public_names() -> None:
    for name in monarch.__all__:
        assert getattr(monarch, name) is not None
    assert monarch.echo is click.echo
    assert monarch.progressbar is click.progressbar
    assert issubclass(monarch.MongoBackedMigration, monarch.Migration)
    assert isinstance(monarch.cli, click.Group)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        monarch.nonsense  # noqa: B018


def test_every_kind_of_database_has_a_base_class_for_migrations() -> None:
    for name in KINDS:
        kind = find_kind(name)
        assert issubclass(kind.migration_class(), monarch.Migration)
    assert find_kind("mongo").migration_class() is monarch.MongoBackedMigration
