-- Functions for policies of row-level security. docs/row-level-security.md describes them.
--
-- The transaction claims who asks, and the mirror decides what that user may do: a claim alone grants nothing. None of the
-- functions fails on a claim that cannot be read.
--
-- Those for policies are SECURITY DEFINER, so that the application's role needs no right on the tables of the mirror. Only
-- their owner may call them until it is granted to others. Every name in them is qualified, and their search_path is fixed.

CREATE SCHEMA IF NOT EXISTS clerksync;
REVOKE CREATE ON SCHEMA clerksync FROM PUBLIC;

-- The value of a JSON text, NULL if it is none. Before Postgres 16, only an exception tells.
CREATE OR REPLACE FUNCTION clerksync.parsed(body text) RETURNS jsonb
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF current_setting('server_version_num')::int >= 160000 THEN
        IF pg_input_is_valid(body, 'jsonb') THEN
            RETURN body::jsonb;
        END IF;
        RETURN NULL;
    END IF;
    BEGIN
        RETURN body::jsonb;
    EXCEPTION WHEN OTHERS THEN
        RETURN NULL;
    END;
END
$$;

-- Who the transaction claims to be: the claims of a token, which PostgREST has verified, or else the settings clerksync.*. If
-- both are set, one of them is not meant for this transaction, and neither counts.
CREATE OR REPLACE FUNCTION clerksync.claimed(OUT user_id text, OUT session_id text, OUT org_id text)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    token text := NULLIF(current_setting('request.jwt.claims', true), '');
    claims jsonb;
    org jsonb;
BEGIN
    user_id := NULLIF(current_setting('clerksync.user_id', true), '');
    session_id := NULLIF(current_setting('clerksync.session_id', true), '');
    org_id := NULLIF(current_setting('clerksync.org_id', true), '');
    IF token IS NULL THEN
        RETURN;
    END IF;
    IF user_id IS NOT NULL OR session_id IS NOT NULL OR org_id IS NOT NULL THEN
        user_id := NULL; session_id := NULL; org_id := NULL;
        RETURN;
    END IF;
    claims := clerksync.parsed(token);
    IF jsonb_typeof(claims) IS DISTINCT FROM 'object'
        OR jsonb_typeof(claims -> 'sub') IS DISTINCT FROM 'string'
        OR claims ? 'sid' AND jsonb_typeof(claims -> 'sid') IS DISTINCT FROM 'string'
        OR claims ? 'sts' AND claims -> 'sts' IS DISTINCT FROM '"active"'
        OR claims ? 'exp' AND jsonb_typeof(claims -> 'exp') IS DISTINCT FROM 'number' THEN
        RETURN;
    END IF;
    -- A token lives for a minute. One that expired a minute ago was left behind in the connection.
    IF (claims ->> 'exp')::numeric + 60 < extract(epoch FROM statement_timestamp()) THEN
        RETURN;
    END IF;
    org := CASE WHEN claims -> 'v' = '2' THEN claims -> 'o' -> 'id' ELSE claims -> 'org_id' END;
    user_id := NULLIF(claims ->> 'sub', '');
    session_id := claims ->> 'sid';
    IF jsonb_typeof(org) = 'string' THEN
        org_id := NULLIF(org #>> '{}', '');
    END IF;
END
$$;

-- The key of an organization role with exactly one prefix.
CREATE OR REPLACE FUNCTION clerksync.role_key(role text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT 'org:' || NULLIF(regexp_replace(role, '^(org:)+', ''), '')
$$;

-- The Clerk id of the user who asks. NULL if no user is claimed, if the user is unknown, deleted, banned, deprovisioned or
-- locked, and if the claimed session has ended or is another user's.
CREATE OR REPLACE FUNCTION clerksync.user_id() RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c record;
BEGIN
    SELECT * INTO c FROM clerksync.claimed();
    IF c.user_id IS NULL
        OR NOT EXISTS (SELECT 1 FROM @mirror.clerk_users_live u
            WHERE u.clerk_user_id = c.user_id AND u.is_active = 1
                AND NOT (u.locked = 1 AND (COALESCE(u.locked_until, 0) = 0
                    OR u.locked_until > extract(epoch FROM statement_timestamp()) * 1000)))
        OR EXISTS (SELECT 1 FROM @mirror.clerk_sessions s
            WHERE s.clerk_session_id = c.session_id
                AND NOT EXISTS (SELECT 1 FROM @mirror.clerk_sessions_live l
                    WHERE l.clerk_session_id = c.session_id AND COALESCE(l.clerk_user_id, c.user_id) = c.user_id
                        AND COALESCE(l.status, '') IN ('', 'active', 'pending'))) THEN
        RETURN NULL;
    END IF;
    RETURN c.user_id;
END
$$;

-- Whether a user has a membership that may grant something: one that is live, complete, and not in the verify queue.
CREATE OR REPLACE FUNCTION clerksync.has_seat(member text, organization text) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN EXISTS (SELECT 1 FROM @mirror.clerk_memberships_live m
        WHERE m.clerk_user_id = member AND m.clerk_organization_id = organization AND m.is_stub = 0
            AND NOT EXISTS (SELECT 1 FROM @mirror.clerk_verify v
                WHERE v.kind = 'organization_membership' AND v.id = m.clerk_membership_id));
END
$$;

-- The role and the permissions of the user who asks in an organization. NULL without a membership, and while the membership,
-- its role or one of the role's permissions is in the verify queue.
CREATE OR REPLACE FUNCTION clerksync.rights(organization text, OUT role text, OUT permissions jsonb)
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    member text := clerksync.user_id();
    bare text;
BEGIN
    IF member IS NULL OR NOT clerksync.has_seat(member, organization) THEN
        RETURN;
    END IF;
    SELECT clerksync.role_key(m.role), clerksync.parsed(m.permissions) INTO role, permissions
        FROM @mirror.clerk_memberships_live m WHERE m.clerk_user_id = member AND m.clerk_organization_id = organization;
    bare := substr(role, 5);
    IF EXISTS (SELECT 1 FROM @mirror.clerk_verify v JOIN @mirror.clerk_roles r ON r.clerk_role_id = v.id
            WHERE v.kind = 'role' AND r.sync_hidden = 0 AND (r.role_key IS NULL OR r.role_key IN (role, bare)))
        OR EXISTS (SELECT 1 FROM @mirror.clerk_verify v JOIN @mirror.clerk_roles r ON r.permissions LIKE '%"' || v.id || '"%'
            WHERE v.kind = 'permission' AND v.reason <> 'stub' AND r.sync_hidden = 0 AND r.role_key IN (role, bare)) THEN
        role := NULL; permissions := NULL;
    END IF;
END
$$;

-- Whether the user who asks is a member of an organization.
CREATE OR REPLACE FUNCTION clerksync.is_member(organization text) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER COST 1000 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    member text := clerksync.user_id();
BEGIN
    RETURN member IS NOT NULL AND organization IS NOT NULL AND clerksync.has_seat(member, organization);
END
$$;

-- The Clerk id of the organization that the user who asks has chosen. NULL if none is claimed, or the user is no member of it.
CREATE OR REPLACE FUNCTION clerksync.org_id() RETURNS text
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    chosen text := (SELECT c.org_id FROM clerksync.claimed() c);
BEGIN
    RETURN CASE WHEN clerksync.is_member(chosen) THEN chosen END;
END
$$;

-- The Clerk ids of all organizations that the user who asks is a member of.
CREATE OR REPLACE FUNCTION clerksync.org_ids() RETURNS text[]
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    member text := clerksync.user_id();
BEGIN
    RETURN ARRAY(SELECT m.clerk_organization_id::text FROM @mirror.clerk_memberships_live m
        WHERE m.clerk_user_id = member AND clerksync.has_seat(member, m.clerk_organization_id));
END
$$;

-- Whether the user who asks has a role in an organization. The prefix org: may be missing.
CREATE OR REPLACE FUNCTION clerksync.has_role(organization text, role text) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER COST 1000 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN COALESCE((SELECT r.role = clerksync.role_key(has_role.role) FROM clerksync.rights(organization) r), false);
END
$$;

-- Whether the user who asks has a role in the chosen organization.
CREATE OR REPLACE FUNCTION clerksync.has_role(role text) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN clerksync.has_role(clerksync.org_id(), role);
END
$$;

-- Whether the user who asks has a permission in an organization, such as org:deals:write.
CREATE OR REPLACE FUNCTION clerksync.has_permission(organization text, permission text) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER COST 1000 SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN COALESCE((SELECT jsonb_typeof(r.permissions) = 'array' AND r.permissions ? permission
        FROM clerksync.rights(organization) r), false);
END
$$;

-- Whether the user who asks has a permission in the chosen organization.
CREATE OR REPLACE FUNCTION clerksync.has_permission(permission text) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN clerksync.has_permission(clerksync.org_id(), permission);
END
$$;

-- Whether users, organizations, memberships, roles and permissions were all compared with Clerk within a time, and since the
-- mirror was last found stopped or restored.
CREATE OR REPLACE FUNCTION clerksync.compared_within(age interval) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    now_ms bigint := extract(epoch FROM statement_timestamp()) * 1000;
    proven bigint := COALESCE((SELECT m.value::bigint FROM @mirror.clerk_meta m WHERE m.name = 'proven_from'), 0);
BEGIN
    RETURN age IS NOT NULL AND COALESCE((SELECT count(*) = 5 AND bool_and(w.backfilled_at > 0 AND w.complete_at > 0 AND w.refused = 0
            AND w.complete_at BETWEEN greatest(proven, now_ms - extract(epoch FROM age) * 1000) AND now_ms)
        FROM @mirror.clerk_walks w
        WHERE w.list IN ('user', 'organization', 'organization_membership', 'role', 'permission')), false);
END
$$;

REVOKE ALL ON FUNCTION clerksync.parsed(text), clerksync.claimed(), clerksync.role_key(text), clerksync.has_seat(text, text),
    clerksync.rights(text), clerksync.user_id(), clerksync.org_id(), clerksync.org_ids(), clerksync.is_member(text),
    clerksync.has_role(text), clerksync.has_role(text, text), clerksync.has_permission(text),
    clerksync.has_permission(text, text), clerksync.compared_within(interval) FROM PUBLIC;

-- A function that catches an exception cannot run next to parallel workers. From Postgres 16 on, none does.
DO $$
BEGIN
    IF current_setting('server_version_num')::int >= 160000 THEN
        ALTER FUNCTION clerksync.parsed(text) PARALLEL SAFE;
        ALTER FUNCTION clerksync.claimed() PARALLEL SAFE;
        ALTER FUNCTION clerksync.rights(text) PARALLEL SAFE;
        ALTER FUNCTION clerksync.user_id() PARALLEL SAFE;
        ALTER FUNCTION clerksync.org_id() PARALLEL SAFE;
        ALTER FUNCTION clerksync.org_ids() PARALLEL SAFE;
        ALTER FUNCTION clerksync.is_member(text) PARALLEL SAFE;
        ALTER FUNCTION clerksync.has_role(text) PARALLEL SAFE;
        ALTER FUNCTION clerksync.has_role(text, text) PARALLEL SAFE;
        ALTER FUNCTION clerksync.has_permission(text) PARALLEL SAFE;
        ALTER FUNCTION clerksync.has_permission(text, text) PARALLEL SAFE;
    END IF;
END
$$;
