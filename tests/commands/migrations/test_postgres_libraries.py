"""Migrations that use SQLAlchemy and Django, in the transaction and through a connection of their own."""

from __future__ import annotations

import pytest

from tests.support.runs.billing import Billing

pytestmark = [pytest.mark.server, pytest.mark.command]

# As the manual has them.
SAME_CONNECTION = """
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool
engine = create_engine('postgresql+psycopg://', creator=lambda: self.connection, poolclass=StaticPool)
engine.dialect.do_commit = engine.dialect.do_rollback = lambda _: None
"""
OWN_CONNECTION = """
from sqlalchemy import create_engine
engine = create_engine(self.uri.replace('postgresql:', 'postgresql+psycopg:', 1))
"""
DJANGO = """
import django
from django.conf import settings
from psycopg.conninfo import conninfo_to_dict
options = conninfo_to_dict(self.uri)
database = {'ENGINE': 'django.db.backends.postgresql', 'NAME': options.pop('dbname'), 'OPTIONS': options}
settings.configure(DATABASES={'default': database}, INSTALLED_APPS=['kennel'])
django.setup()
"""
MODELS = """\
from django.db import models


class Dog(models.Model):
    id = models.BigIntegerField(primary_key=True)
    name = models.TextField()
    weight = models.IntegerField()

    class Meta:
        db_table = 'dogs'
"""
CORE = """
from sqlalchemy import MetaData, Table, update
dogs = Table('dogs', MetaData(), autoload_with=engine)
values = [{'id': 8, 'name': 'Hasso', 'weight': 1}, {'id': 9, 'name': 'Lassie', 'weight': 2}]
with engine.begin() as connection:
    connection.execute(update(dogs).values(weight=dogs.c.weight + 1))
    connection.execute(dogs.insert(), values)
"""
ORM = """
from sqlalchemy import select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

class Base(DeclarativeBase):
    pass

class Dog(Base):
    __tablename__ = 'dogs'
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    weight: Mapped[int]

with Session(engine) as session:
    for dog in session.scalars(select(Dog)):
        dog.weight += 1
    session.add(Dog(id=8, name='Hasso', weight=1))
    with session.begin_nested():
        session.add(Dog(id=9, name='Lassie', weight=2))
    session.commit()
"""
QUERIES = """
from django.db import transaction
from django.db.models import F
from kennel.models import Dog
Dog.objects.update(weight=F('weight') + 1)
with transaction.atomic():
    Dog.objects.create(id=8, name='Hasso', weight=1)
    Dog.objects.bulk_create([Dog(id=9, name='Lassie', weight=2)])
"""
DONE = [(1, 10), (2, 31), (3, 13), (8, 1), (9, 2)]
WEIGHTS = "SELECT id, weight FROM dogs ORDER BY id"


@pytest.mark.parametrize("work", [CORE, ORM], ids=["core", "orm"])
def test_sqlalchemy_in_the_transaction(billing: Billing, work: str) -> None:
    key = billing.migration("alchemy", f"{SAME_CONNECTION}{work}raise ValueError('no')")
    assert billing.folder.monarch("migrate", "dev").code == 1
    assert billing.rows(WEIGHTS) == [(1, 9), (2, 30), (3, 12)]
    assert billing.states() == {key: "Failed"}
    billing.migration("alchemy", SAME_CONNECTION + work)
    result = billing.folder.monarch("migrate", "dev", "--retry")
    assert result.code == 0, result.output
    assert billing.rows(WEIGHTS) == DONE
    assert billing.rows("SELECT rows FROM monarch_history.journal ORDER BY id") == [(0,), (5,)]


@pytest.mark.parametrize("work", [CORE, ORM], ids=["core", "orm"])
def test_sqlalchemy_through_a_connection_of_its_own(billing: Billing, work: str) -> None:
    key = billing.migration("alchemy", OWN_CONNECTION + work, "transaction = False")
    result = billing.folder.monarch("migrate", "dev")
    assert result.code == 0, result.output
    assert billing.rows(WEIGHTS) == DONE
    assert billing.states() == {key: "Completed"}


def test_django_through_a_connection_of_its_own(billing: Billing) -> None:
    billing.folder.write("kennel/__init__.py", "")
    billing.folder.write("kennel/models.py", MODELS)
    key = billing.migration("django", DJANGO + QUERIES, "transaction = False")
    result = billing.folder.monarch("migrate", "dev")
    assert result.code == 0, result.output
    assert billing.rows(WEIGHTS) == DONE
    assert billing.states() == {key: "Completed"}


FLUSHED = """
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
session = Session(engine)
for _ in range(2):
    try:
        session.add(Dog(id=1, name=waldi, weight=1))
        session.flush()
    except SQLAlchemyError as error:
        last = error
raise last
"""
WALDI = "waldi = self.connection.execute('SELECT name FROM dogs').fetchone()[0]\n"


@pytest.mark.parametrize(
    "body",
    [
        SAME_CONNECTION + CORE.replace("'Hasso'", "waldi").replace("'id': 8", "'id': 1"),
        SAME_CONNECTION + CORE.replace("'Hasso'", "waldi").replace("'name': 'Lassie', ", ""),
        SAME_CONNECTION + ORM.replace("'Hasso'", "waldi").replace("id=9", "id=1"),
        SAME_CONNECTION + ORM.partition("with Session")[0] + FLUSHED,
        DJANGO + "from kennel.models import Dog\nDog.objects.create(id=1, name=waldi, weight=1)",
        DJANGO
        + "from django.db import connection\nwith connection.cursor() as cursor:\n"
        + "    cursor.execute('SELECT name::int FROM dogs')",
    ],
    ids=["core", "statement", "orm", "flush", "django", "django cursor"],
)
def test_no_values_are_shown(billing: Billing, body: str) -> None:
    billing.folder.write("kennel/__init__.py", "")
    billing.folder.write("kennel/models.py", MODELS)
    billing.migration("values", WALDI + body)
    result = billing.folder.monarch("migrate", "dev", "--traceback")
    assert result.code == 1
    assert "failed on 'dev': " in result.err
    journal = str(billing.rows("SELECT error, traceback, echoed FROM monarch_history.journal"))
    assert "Traceback" in journal
    for value in ("Waldi", "(1)"):
        assert value not in result.output + journal
