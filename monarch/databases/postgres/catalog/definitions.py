"""The definitions of everything in a database, as the server prints them.

They are printed with an empty search_path, so that two databases with the same definitions print the same.
What belongs to an extension, monarch's own schema, and publications are left out.
"""

from __future__ import annotations

from psycopg.rows import tuple_row

from monarch.databases.postgres.connection.client import Cursor

_OWN_PATH = "SELECT set_config('search_path', '', true)"
# Each selects rows of a name and a definition; a name may occur several times.
_QUERIES = (
    # Columns. Not those of views, which other versions of the server type otherwise.
    """
    SELECT format('table %I.%I', nspname, relname),
           format('%I %s %s%s%s', attname, format_type(atttypid, atttypmod), attnotnull,
                  concat(attidentity, attgenerated), ' ' || pg_get_expr(adbin, adrelid))
    FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid JOIN pg_namespace n ON n.oid = relnamespace
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relkind IN ('r', 'p', 'f') AND attnum > 0 AND NOT attisdropped AND {} ORDER BY attnum
    """,
    """
    SELECT format('table %I.%I', nspname, relname),
           concat_ws(' ', relkind, relpersistence, relrowsecurity, relforcerowsecurity,
                     pg_get_partkeydef(c.oid), pg_get_expr(relpartbound, c.oid))
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('r', 'p', 'f') AND {}
    """,
    # An index that is not valid is not dumped, and does nothing.
    """
    SELECT format('table %I.%I', nspname, relname),
           'index ' || pg_get_indexdef(indexrelid)
    FROM pg_index JOIN pg_class c ON c.oid = indrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'm') AND indisvalid AND {} ORDER BY 2
    """,
    """
    SELECT format('table %I.%I', nspname, relname),
           format('constraint %I %s %s', conname, pg_get_constraintdef(x.oid), convalidated)
    FROM pg_constraint x JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE contype <> 'n' AND {} ORDER BY 2
    """,
    """
    SELECT format('table %I.%I', nspname, relname), concat(pg_get_triggerdef(x.oid), tgenabled)
    FROM pg_trigger x JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE NOT tgisinternal AND {} ORDER BY 2
    """,
    """
    SELECT format('table %I.%I', nspname, relname),
           concat_ws(' ', 'policy', polname, polcmd, polpermissive, pg_get_expr(polqual, polrelid),
                     pg_get_expr(polwithcheck, polrelid))
    FROM pg_policy JOIN pg_class c ON c.oid = polrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE {} ORDER BY 2
    """,
    """
    SELECT format('view %I.%I', nspname, relname), concat(relkind, pg_get_viewdef(c.oid))
    FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind IN ('v', 'm') AND {}
    """,
    """
    SELECT format('sequence %I.%I', nspname, relname),
           concat_ws(' ', format_type(seqtypid, NULL), seqstart, seqincrement, seqmax, seqmin, seqcache,
                     seqcycle)
    FROM pg_sequence JOIN pg_class c ON c.oid = seqrelid JOIN pg_namespace n ON n.oid = relnamespace
    WHERE {}
    """,
    """
    SELECT format('function %I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(c.oid)),
           CASE WHEN prokind = 'a' THEN 'aggregate' ELSE pg_get_functiondef(c.oid) END
    FROM pg_proc c JOIN pg_namespace n ON n.oid = pronamespace WHERE {}
    """,
    """
    SELECT format('type %I.%I', nspname, typname), concat_ws(' ', typtype, enumlabel)
    FROM pg_type c JOIN pg_namespace n ON n.oid = typnamespace LEFT JOIN pg_enum ON enumtypid = c.oid
    WHERE typtype IN ('d', 'e', 'r') AND {} ORDER BY enumsortorder
    """,
    """
    SELECT format('schema %I', nspname), '' FROM pg_namespace n JOIN pg_namespace c USING (oid, nspname)
    WHERE {}
    """,
    "SELECT format('extension %I', extname), '' FROM pg_extension",
)
_NOT_OURS = """
    nspname !~ '^pg_' AND nspname NOT IN ('information_schema', 'monarch_history') AND NOT EXISTS (
        SELECT FROM pg_depend WHERE objid = c.oid AND classid = c.tableoid AND deptype = 'e'
    )
"""


def read_definitions(cursor: Cursor) -> dict[str, str]:
    """Return the definition of each table, view, sequence, function, type, schema and extension, by its name.

    That of a table has its columns, indexes, constraints, triggers and policies. The caller has a transaction
    open, whose search_path this changes.
    """
    cursor.execute(_OWN_PATH)
    found: dict[str, str] = {}
    for query in _QUERIES:
        for name, definition in _rows(cursor, query.replace("{}", _NOT_OURS)):
            found[name] = f"{found[name]}\n{definition}" if name in found else definition
    return found


def _rows(cursor: Cursor, query: str) -> list[tuple[str, str]]:
    with cursor.connection.cursor(row_factory=tuple_row) as plain:
        return plain.execute(query.encode()).fetchall()
