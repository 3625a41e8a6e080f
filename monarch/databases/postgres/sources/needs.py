"""What the contents of a database need of a server that is to hold them."""

from __future__ import annotations

from monarch.databases.postgres.connection.client import Cursor
from monarch.databases.postgres.sources.base import Needs

_DATABASE = """
    SELECT current_setting('server_version_num')::int / 10000 AS major,
           pg_encoding_to_char(encoding) AS encoding, datcollate AS locale
    FROM pg_database WHERE datname = current_database()
"""
# The server's own collations, which another system may not have.
_COLLATIONS = """
    SELECT DISTINCT collname AS name FROM pg_collation c WHERE collnamespace = 'pg_catalog'::regnamespace
        AND collprovider IN ('c', 'i') AND collname NOT IN ('C', 'POSIX', 'ucs_basic', 'unicode')
        AND EXISTS (SELECT FROM pg_attribute WHERE attcollation = c.oid AND attrelid >= 16384
            UNION ALL SELECT FROM pg_index WHERE c.oid = ANY (indcollation) AND indexrelid >= 16384
            UNION ALL SELECT FROM pg_type t WHERE typcollation = c.oid AND t.oid >= 16384)
    ORDER BY 1
"""
_EXTENSIONS = "SELECT extname AS name FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1"
# 16384 is the first number that the server gives to what people create ("FirstNormalObjectId").
_ROLES = """
    SELECT DISTINCT pg_get_userbyid(owner) AS name FROM (
        SELECT nspowner FROM pg_namespace WHERE oid >= 16384
        UNION SELECT relowner FROM pg_class WHERE oid >= 16384 AND relnamespace::regnamespace::text
            <> 'pg_toast' AND relkind NOT IN ('i', 'I', 't', 'c')
        UNION SELECT proowner FROM pg_proc WHERE oid >= 16384
        UNION SELECT typowner FROM pg_type WHERE oid >= 16384 AND typtype IN ('d', 'e', 'r')
        UNION SELECT lomowner FROM pg_largeobject_metadata
        -- Everything else, but for what belongs to the first superuser.
        UNION SELECT refobjid FROM pg_shdepend WHERE deptype = 'o' AND refclassid = 'pg_authid'::regclass
            AND classid <> 'pg_default_acl'::regclass AND classid <> 'pg_user_mapping'::regclass
            AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    ) owners (owner) ORDER BY 1
"""
_GRANTEES = """
    SELECT DISTINCT pg_get_userbyid(grantee) AS name FROM (
        SELECT (aclexplode(relacl)).grantee FROM pg_class WHERE oid >= 16384
        UNION SELECT (aclexplode(nspacl)).grantee FROM pg_namespace
        UNION SELECT (aclexplode(proacl)).grantee FROM pg_proc WHERE oid >= 16384
        UNION SELECT (aclexplode(attacl)).grantee FROM pg_attribute WHERE attrelid >= 16384
        UNION SELECT (aclexplode(typacl)).grantee FROM pg_type WHERE oid >= 16384
        UNION SELECT (aclexplode(defaclacl)).grantee FROM pg_default_acl
        UNION SELECT unnest(polroles) FROM pg_policy
    ) rights (grantee) WHERE grantee <> 0 AND grantee >= 16384 ORDER BY 1
"""
_GRANTERS = "SELECT DISTINCT pg_get_userbyid(defaclrole) AS name FROM pg_default_acl ORDER BY 1"
_EVENT_TRIGGERS = """
    SELECT evtname AS name FROM pg_event_trigger e WHERE NOT EXISTS (
        SELECT FROM pg_depend WHERE classid = 'pg_event_trigger'::regclass AND objid = e.oid AND deptype = 'e'
    ) ORDER BY 1
"""
_HIDDEN = """
    SELECT relname AS name FROM pg_class
    WHERE relrowsecurity AND relforcerowsecurity AND relkind IN ('r', 'p') ORDER BY 1
"""
_TABLESPACES = """
    SELECT DISTINCT spcname AS name FROM pg_class c JOIN pg_tablespace s ON s.oid = reltablespace
    WHERE c.oid >= 16384 AND spcname NOT LIKE 'pg\\_%' ORDER BY 1
"""


def read_needs(cursor: Cursor) -> Needs:
    """Return what the database of ``cursor`` needs."""
    row = cursor.execute(_DATABASE).fetchone()
    assert row is not None
    return Needs(
        row["major"],
        _names(cursor, _EXTENSIONS),
        _names(cursor, _ROLES),
        _names(cursor, _GRANTEES),
        _names(cursor, _COLLATIONS),
        _names(cursor, _TABLESPACES),
        row["encoding"],
        row["locale"],
        granters=_names(cursor, _GRANTERS),
        event_triggers=_names(cursor, _EVENT_TRIGGERS),
        hidden=_names(cursor, _HIDDEN),
    )


def _names(cursor: Cursor, query: str) -> tuple[str, ...]:
    return tuple(row["name"] for row in cursor.execute(query.encode()).fetchall())
