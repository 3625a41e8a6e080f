"""Removing what is in a database, which stays itself, with its owner, its settings and the rights on it."""

from __future__ import annotations

# Schemas go with what is in them. The schema "public" stays, whose owner and rights a new one would not have,
# and so do extensions of other roles, which may have been created by a superuser.
EMPTY = """
DO $monarch$
DECLARE
    one record;
BEGIN
    FOR one IN SELECT extname FROM pg_extension WHERE extname <> 'plpgsql' AND pg_has_role(extowner, 'MEMBER')
    LOOP
        EXECUTE format('DROP EXTENSION IF EXISTS %I CASCADE', one.extname);
    END LOOP;
    FOR one IN SELECT nspname FROM pg_namespace n
        WHERE nspname !~ '^pg_'
            AND nspname NOT IN ('public', 'information_schema', 'monarch_history', 'monarch_kept')
            AND NOT EXISTS (SELECT FROM pg_depend
                WHERE objid = n.oid AND classid = 'pg_namespace'::regclass AND deptype = 'e')
    LOOP
        EXECUTE format('DROP SCHEMA %I CASCADE', one.nspname);
    END LOOP;
    FOR one IN SELECT type, identity FROM (
        SELECT 'pg_event_trigger'::regclass AS catalog, oid FROM pg_event_trigger
            WHERE pg_has_role(evtowner, 'USAGE')
        UNION ALL SELECT 'pg_class'::regclass, oid FROM pg_class
            WHERE relnamespace = to_regnamespace('public') AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace = to_regnamespace('public')
        UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type t LEFT JOIN pg_class c ON c.oid = typrelid
            WHERE typnamespace = to_regnamespace('public')
                AND (typtype IN ('d', 'e', 'r') OR typtype = 'c' AND relkind = 'c')
        UNION ALL SELECT 'pg_operator'::regclass, oid FROM pg_operator
            WHERE oprnamespace = to_regnamespace('public')
        UNION ALL SELECT 'pg_collation'::regclass, oid FROM pg_collation
            WHERE collnamespace = to_regnamespace('public')
        UNION ALL SELECT 'pg_conversion'::regclass, oid FROM pg_conversion
            WHERE connamespace = to_regnamespace('public')
        UNION ALL SELECT 'pg_opfamily'::regclass, oid FROM pg_opfamily
            WHERE opfnamespace = to_regnamespace('public')
        UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, oid FROM pg_foreign_data_wrapper
            WHERE pg_has_role(fdwowner, 'USAGE')
        UNION ALL SELECT 'pg_ts_config'::regclass, oid FROM pg_ts_config
            WHERE cfgnamespace = to_regnamespace('public')
        UNION ALL SELECT 'pg_ts_dict'::regclass, oid FROM pg_ts_dict
            WHERE dictnamespace = to_regnamespace('public')
    ) AS found CROSS JOIN LATERAL pg_identify_object(catalog, oid, 0) WHERE NOT EXISTS (
        SELECT FROM pg_depend d WHERE d.objid = found.oid AND d.classid = catalog
            AND (deptype = 'e' OR deptype IN ('a', 'i') AND type = 'sequence'
                OR deptype = 'i' AND catalog = 'pg_proc'::regclass)
    )
    -- Sorted, so that all of them are identified before the first is dropped, and CASCADE takes others along.
    -- Event triggers go first: nothing of theirs must run.
    ORDER BY type <> 'event trigger', type, identity
    LOOP
        EXECUTE format(
            'DROP %s IF EXISTS %s CASCADE', replace(one.type, 'foreign-data', 'foreign data'), one.identity
        );
    END LOOP;
    -- Else they would give rights on what is created next.
    FOR one IN
        WITH defaults AS (
            SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE %I%s', pg_get_userbyid(defaclrole),
                    (SELECT format(' IN SCHEMA %I', nspname) FROM pg_namespace n
                     WHERE n.oid = defaclnamespace)) AS change,
                CASE defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                    WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' ELSE 'LARGE OBJECTS' END AS things,
                defaclacl AS granted, CASE WHEN defaclnamespace = 0 THEN acldefault(
                    CASE defaclobjtype WHEN 'S' THEN 's' ELSE defaclobjtype END, defaclrole) END AS usual
            FROM pg_default_acl WHERE pg_has_role(defaclrole, 'MEMBER')
        )
        SELECT 1 AS turn, format('%s REVOKE ALL ON %s FROM %s', change, things,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END) AS statement
        FROM defaults, aclexplode(granted)
        UNION SELECT 2, format('%s GRANT %s ON %s TO %s', change, privilege_type, things,
            CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END)
        FROM defaults, aclexplode(usual)
        ORDER BY turn
    LOOP
        EXECUTE one.statement;
    END LOOP;
    PERFORM lo_unlink(oid) FROM pg_largeobject_metadata;
END
$monarch$;
"""
FOREIGN_EXTENSIONS = """
    SELECT EXISTS (
        SELECT FROM pg_extension WHERE extname <> 'plpgsql' AND NOT pg_has_role(extowner, 'MEMBER')
    ) AS found
"""
