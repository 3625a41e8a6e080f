"""Which commands the rights of a user are enough for."""

from __future__ import annotations

from monarch.databases.health.judging import BACKUP, COPY_FROM, COPY_TO, DROP, MIGRATE, READ, judge_rights
from monarch.databases.health.observation import Observation
from monarch.databases.postgres.connection.session import Session

# Objects of extensions are dropped and created with those.
_RIGHTS = """
    WITH own AS (
        SELECT rolsuper OR rolbypassrls AS sees_all, rolsuper OR rolcreatedb AS may_create_databases,
            has_database_privilege(current_database(), 'CREATE') AS may_create,
            (SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = current_database()) AS owns
        FROM pg_roles WHERE rolname = current_user
    ), things AS (
        SELECT c.oid, nspname, relkind, relrowsecurity, relforcerowsecurity,
            pg_has_role(relowner, 'USAGE') AS is_ours, has_schema_privilege(n.oid, 'USAGE') AS enters,
            EXISTS (
                SELECT FROM pg_depend
                WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype = 'e'
            ) AS is_of_extension
        FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
            AND nspname !~ '^pg_' AND nspname <> 'information_schema'
    )
    SELECT own.*, pg_is_in_recovery() AS is_standby,
        count(*) FILTER (WHERE relkind IN ('r', 'p', 'm') AND NOT is_of_extension AND NOT (enters AND
            has_table_privilege(oid, 'SELECT'))) AS unreadable,
        count(*) FILTER (WHERE relrowsecurity AND NOT sees_all AND (relforcerowsecurity OR NOT is_ours))
            AS hidden,
        count(*) FILTER (WHERE NOT is_ours AND NOT is_of_extension) AS of_others,
        count(*) FILTER (WHERE nspname = 'monarch_history') AS records,
        count(*) FILTER (WHERE nspname = 'monarch_history' AND relkind = 'r' AND NOT (enters AND
            has_table_privilege(oid, 'SELECT'))) AS unread_records,
        count(*) FILTER (WHERE nspname = 'monarch_history' AND relkind = 'r' AND NOT (enters AND
            has_table_privilege(oid, 'INSERT') AND has_table_privilege(oid, 'UPDATE'))) AS unwritten_records
    FROM own LEFT JOIN things ON true
    GROUP BY sees_all, may_create_databases, may_create, owns
"""


def find_rights(session: Session) -> Observation:
    """Return what the user of ``session`` may do with its database.

    :raises ServerError: if the server does not say.
    """
    (row,) = session.query(_RIGHTS)
    whole = f"lacks the right to read {_tables(row['unreadable'])}" if row["unreadable"] else None
    if whole is None and row["hidden"]:
        whole = f"lacks BYPASSRLS, to see all rows of {_tables(row['hidden'])}"
    change: str | None
    replaced: str | None
    dropped: str | None
    if row["is_standby"]:
        change = replaced = dropped = "it is a standby"
    else:
        change = None
        if not row["records"] and not row["may_create"]:
            change = "lacks CREATE on the database, for its history"
        elif row["unwritten_records"]:
            change = "lacks the right to write its history"
        dropped = f"lacks the ownership of {_tables(row['of_others'])}" if row["of_others"] else None
        replaced = None if row["owns"] and row["may_create_databases"] else dropped
        if replaced is None and not row["may_create"]:
            replaced = "lacks CREATE on the database"
    return judge_rights(
        {
            READ: "lacks the right to read its history" if row["unread_records"] else None,
            MIGRATE: change,
            COPY_FROM: whole,
            BACKUP: whole,
            COPY_TO: replaced,
            DROP: dropped,
        }
    )


def _tables(number: int) -> str:
    return f"{number} table{'s' * (number != 1)}"
