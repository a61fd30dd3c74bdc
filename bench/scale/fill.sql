-- Made-up rows: {users}, {organizations}, {memberships}, {sessions}, {invitations}, {deliveries}. The text is for both engines.
-- {sync} and {values} are the sync columns, {begin} and {span} the time in milliseconds, {pad N} N characters of a JSON text.

INSERT INTO clerk_organizations (clerk_organization_id, name, slug, created_by, public_metadata, created_at, updated_at, {sync}, raw)
WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {organizations})
SELECT {id org_ i}, m.last_name || ' ' || m.first_name || ' ' || i, lower(m.last_name) || '-' || i, {id user_ i}, '{}',
    {begin} + i * {span} / {organizations}, {begin} + i * {span} / {organizations}, {values 0},
    '{"object":"organization","id":"' || {id org_ i} || '","name":"' || m.last_name || '","created_by":"' || {id user_ i} || '","pad":"{pad 300}"}'
FROM n JOIN scale_names m ON m.n = i * 31 % 1000;

INSERT INTO clerk_users (id, clerk_user_id, email, phone, username, first_name, last_name, profile_image_url, external_id, role, is_active,
    banned, deprovisioned, locked, last_login_at, last_active_at, public_metadata, created_at, updated_at,
    sync_banned_at, sync_provision_at, sync_provision_seen_at, {sync}, raw)
WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {users})
SELECT {uuid i}, {id user_ i}, lower(m.first_name) || '.' || lower(m.last_name) || i || '@example' || (i % 50) || '.com',
    CASE WHEN i % 5 = 0 THEN '+1' || (2000000000 + i * 7919 % 7999999999) END,
    CASE WHEN i % 3 = 0 THEN lower(m.first_name) || i END, m.first_name, m.last_name, 'https://img.clerk.com/' || i, NULL,
    CASE WHEN i % 1000 = 0 THEN 'admin' WHEN i % 50 = 0 THEN 'enterprise' WHEN i % 10 = 0 THEN 'growth' ELSE 'solo' END,
    CASE WHEN i % 500 = 3 THEN 0 ELSE 1 END, CASE WHEN i % 500 = 3 THEN 1 ELSE 0 END, 0, 0,
    {begin} + {span} - i % 1000000 * 1000, {begin} + {span} - i % 1000000 * 1000, '{"role":"solo"}',
    {begin} + i * {span} / {users}, {begin} + {span} - i % 1000000 * 1000, 0, 0, 0, {values CASE WHEN i % 200 = 7 THEN 1 ELSE 0 END},
    '{"object":"user","id":"' || {id user_ i} || '","first_name":"' || m.first_name || '","last_name":"' || m.last_name
        || '","username":' || CASE WHEN i % 3 = 0 THEN '"' || lower(m.first_name) || i || '"' ELSE 'null' END
        || ',"image_url":"https://img.clerk.com/' || i || '","primary_email_address_id":"idn_1","email_addresses":[{"id":"idn_1","email_address":"'
        || lower(m.first_name) || '.' || lower(m.last_name) || i || '@example' || (i % 50) || '.com"}],"phone_numbers":['
        || CASE WHEN i % 5 = 0 THEN '{"id":"idn_2","phone_number":"+1' || (2000000000 + i * 7919 % 7999999999) || '"}],"primary_phone_number_id":"idn_2"' ELSE ']' END
        || ',"public_metadata":{"role":"solo"},"pad":"{pad 1400}"}'
FROM n JOIN scale_names m ON m.n = i * 7919 % 1000;

-- A tenth of the users is in the first organization, and everyone in two or three others.
INSERT INTO clerk_memberships (clerk_membership_id, clerk_user_id, clerk_organization_id, role, permissions, public_metadata,
    created_at, updated_at, {sync}, raw)
WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {memberships})
SELECT {id orgmem_ i}, {id user_ (i - 1) % {users} + 1},
    CASE WHEN i <= {users} / 10 THEN {id org_ 1} ELSE {id org_ 2 + i * 7919 % ({organizations} - 1)} END,
    CASE WHEN i % 100 = 0 THEN 'org:admin' ELSE 'org:member' END, '["org:sys_memberships:read"]', '{}',
    {begin} + i * {span} / {memberships}, {begin} + i * {span} / {memberships}, {values 0},
    '{"object":"organization_membership","id":"' || {id orgmem_ i} || '","role":"org:member","pad":"{pad 500}"}'
FROM n;

-- One session of a thousand was revoked, those of the oldest tenth alone.
INSERT INTO clerk_sessions (clerk_session_id, clerk_user_id, client_id, status, last_active_at, expire_at, abandon_at, created_at,
    updated_at, {sync}, raw)
WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {sessions})
SELECT {id sess_ i}, {id user_ i * 7919 % {users} + 1}, {id client_ i},
    CASE WHEN i % 1000 = 0 AND i < {sessions} / 10 THEN 'revoked' WHEN i % 3 = 0 THEN 'active' WHEN i % 3 = 1 THEN 'ended' ELSE 'expired' END,
    {begin} + i * {span} / {sessions}, {begin} + {span} * 2, {begin} + {span} * 3, {begin} + i * {span} / {sessions},
    {begin} + i * {span} / {sessions}, {values 0},
    '{"object":"session","id":"' || {id sess_ i} || '","pad":"{pad 300}"}'
FROM n;

INSERT INTO clerk_invitations (clerk_invitation_id, clerk_organization_id, inviter_clerk_user_id, email, role, status, public_metadata,
    expires_at, created_at, updated_at, {sync}, raw)
WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {invitations})
SELECT {id orginv_ i}, {id org_ 1 + i * 31 % {organizations}}, {id user_ 1 + i * 7 % {users}}, 'guest' || i || '@example.com', 'org:member',
    CASE WHEN i % 10 = 0 THEN 'pending' WHEN i % 10 = 1 THEN 'revoked' ELSE 'accepted' END, '{}',
    {begin} + i * {span} / {invitations} + 2592000000, {begin} + i * {span} / {invitations}, {begin} + i * {span} / {invitations}, {values 0},
    '{"object":"organization_invitation","id":"' || {id orginv_ i} || '","pad":"{pad 200}"}'
FROM n;

-- Of a hundred deliveries one is dead, and three hold nothing to mirror. One of ten thousand is quarantined.
INSERT INTO clerk_inbox (message_id, received_at, signed_at, type, instance_id, state, reason, attempts, subjects, digest, revision, seq, body)
WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {deliveries})
SELECT {id msg_ i}, {begin} + i * {span} / {deliveries}, {begin} + i * {span} / {deliveries} - 50,
    CASE WHEN i % 100 BETWEEN 1 AND 3 THEN 'email.created' WHEN i % 7 = 0 THEN 'session.created' WHEN i % 11 = 0 THEN 'user.created'
        WHEN i % 5000 = 1234 THEN 'organizationDomain.created' ELSE 'user.updated' END,
    'ins_scale',
    CASE WHEN i % 100 = 0 THEN 'dead' WHEN i % 100 BETWEEN 1 AND 3 THEN 'ignored' WHEN i % 10000 = 77 THEN 'quarantined' ELSE 'applied' END,
    CASE WHEN i % 1000 = 0 THEN 'error' WHEN i % 100 = 0 THEN 'invalid' WHEN i % 100 BETWEEN 1 AND 3 THEN 'not_kept'
        WHEN i % 10000 = 77 THEN 'foreign_instance' END,
    1, 'user:' || {id user_ i * 7919 % {users} + 1} || CASE WHEN i % 10 = 0 THEN ' organization:' || {id org_ 1 + i * 31 % {organizations}} ELSE '' END,
    'digest' || i, 1, i - 1,
    CASE WHEN i % 100 BETWEEN 1 AND 3 THEN NULL ELSE
        '{"data":{"object":"user","id":"' || {id user_ i * 7919 % {users} + 1} || '","note":"n' || i || '","pad":"{pad 1900}"},"object":"event","type":"user.updated"}' END
FROM n;

INSERT INTO clerk_changes (seq, at, kind, id, clerk_user_id, operation, version, fields, tag, origin)
WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {deliveries})
SELECT i, {begin} + i * {span} / {deliveries}, 'user', {id user_ i * 7919 % {users} + 1}, {id user_ i * 7919 % {users} + 1}, 'updated', '0.3.1.1',
    'first_name,updated_at', substr({id x i}, 21, 8), {id msg_ i}
FROM n;

INSERT INTO clerk_audit (audit_id, at, action, clerk_user_id, actor, origin, was, became)
WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {deliveries} / 2)
SELECT {id a i}, {begin} + i * {span} / ({deliveries} / 2), CASE WHEN i % 4 = 0 THEN 'member_changed' ELSE 'role_changed' END,
    {id user_ i * 31 % {users} + 1}, NULL, {id msg_ i}, 'solo', 'growth'
FROM n;

INSERT INTO clerk_drift (kind, id, found_at, fields, cause, since, repaired)
WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {deliveries} / 20)
SELECT 'user', {id user_ i * 31 % {users} + 1}, {begin} + i * {span} / ({deliveries} / 20), 'first_name', 'missed_event', 0, 1
FROM n;

UPDATE clerk_head SET seq = {deliveries}, writes = {deliveries}, high_water = {begin} + {span}, last_received_at = {begin} + {span};

INSERT INTO clerk_walks (list, backfilled_at, cursor, watermark, begun_at, ended_at, complete, complete_at, reason, refused, rows_read,
    rows_total, found, repaired, known_left, lease_token, swept_at, begun_write, observed_at, begun_by, complete_write, complete_observed_at, complete_by)
SELECT list, {begin}, '', {begin} + {span}, {begin} + {span}, {begin} + {span} + 1000, 1, {begin} + {span}, '', 0, 1000, 1000, 0, 0, 0, 1,
    {begin} + {span}, 1, {begin} + {span}, {begin} + {span}, 1, {begin} + {span}, {begin} + {span}
FROM (SELECT 'user' AS list UNION ALL SELECT 'organization_membership' UNION ALL SELECT 'organization' UNION ALL SELECT 'role'
    UNION ALL SELECT 'permission' UNION ALL SELECT 'organization_invitation' UNION ALL SELECT 'organization_domain') AS lists;
