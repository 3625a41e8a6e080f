"""The definitions of everything in a database, as the server prints them.

They are printed with an empty search_path, so that two databases with the same definitions print the same.
What belongs to an extension, monarch's own schema, and publications are left out.
"""

from __future__ import annotations

import re

from psycopg.rows import tuple_row

from monarch.databases.postgres.connection.client import Cursor

_OWN_PATH = "SELECT set_config('search_path', '', true)"
# Each selects rows of a name and a definition; a name may occur several times.
_QUERIES = (
    # Columns. Not those of views, which other versions of the server type otherwise. Their order may differ:
    # a child that is restored begins with the columns of its parents.
    """
    SELECT format('%s %I.%I', CASE relkind WHEN 'c' THEN 'type' ELSE 'table' END, nspname, relname),
           format('%I %s %s%s%s%s', attname, format_type(atttypid, atttypmod), attnotnull,
                  concat(attidentity, attgenerated), ' ' || pg_get_expr(adbin, adrelid),
                  ' ' || nullif(attcollation, typcollation)::regcollation)
    FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
    JOIN pg_type t ON t.oid = atttypid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relkind IN ('r', 'p', 'f', 'c') AND attnum > 0 AND NOT attisdropped AND {}
    """,
    """
    SELECT format('table %I.%I', nspname, relname),
           concat_ws(' ', relkind, relpersistence, relrowsecurity, relforcerowsecurity, relreplident,
                     pg_get_partkeydef(c.oid), pg_get_expr(relpartbound, c.oid), reloptions)
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p', 'f') AND {}
    """,
    """
    SELECT format('table %I.%I', nspname, relname), 'child of ' || inhparent::regclass
    FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'f') AND {}
    """,
    # An index that is not valid is not dumped, and does nothing.
    """
    SELECT format('table %I.%I', nspname, relname),
           'index ' || pg_get_indexdef(indexrelid)
    FROM pg_index JOIN pg_class c ON c.oid = indrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'm') AND indisvalid AND {}
    """,
    # Those of partitions are made by the server, which chooses their names.
    """
    SELECT format('table %I.%I', nspname, relname),
           format('constraint %I %s %s', conname, pg_get_constraintdef(x.oid), convalidated)
    FROM pg_constraint x JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE contype <> 'n' AND conparentid = 0 AND {}
    """,
    """
    SELECT format('type %I.%I', nspname, typname),
           format('constraint %I %s %s', conname, pg_get_constraintdef(x.oid), convalidated)
    FROM pg_constraint x JOIN pg_type c ON c.oid = contypid JOIN pg_namespace n ON n.oid = typnamespace
    WHERE contype <> 'n' AND {}
    """,
    """
    SELECT format('table %I.%I', nspname, relname), concat(pg_get_triggerdef(x.oid), tgenabled)
    FROM pg_trigger x JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE NOT tgisinternal AND {}
    """,
    """
    SELECT format('table %I.%I', nspname, relname), concat(pg_get_ruledef(x.oid), ev_enabled)
    FROM pg_rewrite x JOIN pg_class c ON c.oid = ev_class JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'f') AND {}
    """,
    """
    SELECT format('table %I.%I', nspname, relname),
           concat_ws(' ', 'policy', polname, polcmd, polpermissive, pg_get_expr(polqual, polrelid),
                     pg_get_expr(polwithcheck, polrelid))
    FROM pg_policy JOIN pg_class c ON c.oid = polrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE {}
    """,
    """
    SELECT format('view %I.%I', nspname, relname), concat(relkind, reloptions, pg_get_viewdef(c.oid))
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('v', 'm') AND {}
    """,
    # That of an identity column is of the type of its column once it is restored, whatever it was before.
    """
    SELECT format('sequence %I.%I', nspname, relname),
           concat_ws(' ', CASE WHEN EXISTS (SELECT FROM pg_depend
                         WHERE classid = c.tableoid AND objid = c.oid AND deptype = 'i')
                     THEN 'identity' ELSE concat_ws(' ', format_type(seqtypid, NULL), seqmax, seqmin) END,
                     seqstart, seqincrement, seqcache, seqcycle)
    FROM pg_sequence JOIN pg_class c ON c.oid = seqrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE {}
    """,
    """
    SELECT format('function %I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(c.oid)),
           CASE WHEN prokind = 'a' THEN 'aggregate' ELSE pg_get_functiondef(c.oid) END
    FROM pg_proc c JOIN pg_namespace n ON n.oid = pronamespace WHERE {}
    """,
    """
    SELECT format('operator %I.%s (%s, %s)', nspname, oprname, format_type(oprleft, NULL),
                  format_type(oprright, NULL)), oprcode::regproc::text
    FROM pg_operator c JOIN pg_namespace n ON n.oid = oprnamespace WHERE {}
    """,
    """
    SELECT format('type %I.%I', nspname, typname),
           concat_ws(' ', typtype, format_type(nullif(typbasetype, 0), typtypmod), typnotnull, typdefault,
                     (SELECT string_agg(quote_ident(enumlabel), ', ' ORDER BY enumsortorder)
                      FROM pg_enum WHERE enumtypid = c.oid))
    FROM pg_type c JOIN pg_namespace n ON n.oid = typnamespace
    WHERE typtype IN ('d', 'e', 'r') AND {}
    """,
    """
    SELECT format('statistics %I.%I', nspname, stxname), pg_get_statisticsobjdef(c.oid)
    FROM pg_statistic_ext c JOIN pg_namespace n ON n.oid = stxnamespace WHERE {}
    """,
    """
    SELECT format('schema %I', nspname), '' FROM pg_namespace n JOIN pg_namespace c USING (oid, nspname)
    WHERE {}
    """,
    "SELECT format('extension %I', extname), '' FROM pg_extension",
    """
    SELECT format('event trigger %I', evtname), 
           concat_ws(' ', evtevent, evtenabled, evttags, evtfoid::regproc)
    FROM pg_event_trigger c WHERE NOT EXISTS (
        SELECT FROM pg_depend WHERE objid = c.oid AND classid = c.tableoid AND deptype = 'e'
    )
    """,
)
_NOT_OURS = """
    nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'monarch_history') AND NOT EXISTS (
        SELECT FROM pg_depend WHERE objid = c.oid AND classid = c.tableoid AND deptype = 'e'
    )
"""
_NAME = r'(?:"(?:[^"]|"")*"|\w+)'
# A type after "::", with its parameters, such as "character varying(9)[]".
_CAST = re.compile(
    rf"::{_NAME}(?:\.{_NAME})*(?: varying| precision)?(?:\([\d, ]+\))?(?: with(?:out)? time zone)?(?:\[\])*"
)
_BRACKETS = re.compile(r"[()\s]+")


def read_definitions(cursor: Cursor) -> dict[str, str]:
    """Return the definition of each table, view, sequence, function, type, schema and extension, by its name.

    That of a table has its columns, indexes, constraints, triggers and policies. The caller has a transaction
    open, whose search_path this changes.
    """
    cursor.execute(_OWN_PATH)
    found: dict[str, str] = {}
    for query in _QUERIES:
        # Sorted here: two servers may sort differently.
        for name, definition in sorted(_rows(cursor, query.replace("{}", _NOT_OURS))):
            found[name] = f"{found[name]}\n{definition}" if name in found else definition
    return found


def comparable(definition: str) -> str:
    """Return what stays of ``definition`` when the server reads what it has printed, and prints it again.

    It then prints other casts and brackets: ``a IN ('x', 'y')`` of a varchar changes twice.
    """
    return _BRACKETS.sub("", _CAST.sub("", definition))


def _rows(cursor: Cursor, query: str) -> list[tuple[str, str]]:
    with cursor.connection.cursor(row_factory=tuple_row) as plain:
        return plain.execute(query.encode()).fetchall()
