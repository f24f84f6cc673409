SELECT CAST(rollcall_version.token AS TEXT) AS token, CAST(directus_users_1.id AS TEXT) AS id, CAST(directus_users_1.status AS TEXT) AS status, CAST(directus_users_1.role AS TEXT) AS role, true AS anon_1, CAST((SELECT coalesce(json_agg(json_build_object('id', anon_3.c0)), '[]'::json) AS json_rows_1 
FROM (SELECT directus_users_2.id AS c0 
FROM directus_users AS directus_users_2 
WHERE true ORDER BY directus_users_2.id ASC NULLS LAST 
 LIMIT $1::BIGINT) AS anon_3) AS TEXT) AS anon_2 
FROM rollcall_version LEFT OUTER JOIN directus_users AS directus_users_1 ON directus_users_1.token = $2::VARCHAR
;

SELECT CAST(rollcall_version.token AS TEXT) AS token, CAST(directus_users_1.id AS TEXT) AS id, CAST(directus_users_1.status AS TEXT) AS status, CAST(directus_users_1.role AS TEXT) AS role, true AS anon_1, CAST((SELECT coalesce(json_agg(json_build_object('name', anon_3.c0, 'users_func', json_build_object('count', anon_3.c1))), '[]'::json) AS json_rows_1 
FROM (SELECT directus_roles_1.name AS c0, (SELECT count(*) AS count_1 
FROM directus_users AS directus_users_2 
WHERE directus_users_2.role = directus_roles_1.id AND true) AS c1 
FROM directus_roles AS directus_roles_1 
WHERE true ORDER BY (directus_roles_1.name COLLATE "C") ASC NULLS LAST, directus_roles_1.id ASC NULLS LAST 
 LIMIT $1::BIGINT) AS anon_3) AS TEXT) AS anon_2 
FROM rollcall_version LEFT OUTER JOIN directus_users AS directus_users_1 ON directus_users_1.token = $2::VARCHAR
;

SELECT CAST(rollcall_version.token AS TEXT) AS token, CAST(directus_users_1.id AS TEXT) AS id, CAST(directus_users_1.status AS TEXT) AS status, CAST(directus_users_1.role AS TEXT) AS role, true AS anon_1, CAST((SELECT coalesce(json_agg(json_build_object('policy', CASE WHEN (anon_3.c0 IS NOT NULL) THEN json_build_object('name', anon_3.c1) END, 'role', CASE WHEN (anon_3.c2 IS NOT NULL) THEN json_build_object('name', anon_3.c3) END, 'user', CASE WHEN (anon_3.c4 IS NOT NULL) THEN json_build_object('id', anon_3.c5) END)), '[]'::json) AS json_rows_1 
FROM (SELECT directus_policies_1.id AS c0, directus_policies_1.name AS c1, directus_roles_1.id AS c2, directus_roles_1.name AS c3, directus_users_2.id AS c4, directus_users_2.id AS c5 
FROM directus_access AS directus_access_1 LEFT OUTER JOIN directus_policies AS directus_policies_1 ON directus_policies_1.id = directus_access_1.policy AND true LEFT OUTER JOIN directus_roles AS directus_roles_1 ON directus_roles_1.id = directus_access_1.role AND true LEFT OUTER JOIN directus_users AS directus_users_2 ON directus_users_2.id = directus_access_1."user" AND true 
WHERE EXISTS (SELECT 1 
FROM directus_roles AS directus_roles_2 
WHERE directus_roles_2.id = directus_access_1.role AND true AND (directus_roles_2.name = ANY ($1::VARCHAR(100)[]))) ORDER BY ((SELECT directus_policies_2.name 
FROM directus_policies AS directus_policies_2 
WHERE directus_policies_2.id = directus_access_1.policy AND true) COLLATE "C") ASC NULLS LAST, directus_access_1.id ASC NULLS LAST 
 LIMIT $2::BIGINT) AS anon_3) AS TEXT) AS anon_2 
FROM rollcall_version LEFT OUTER JOIN directus_users AS directus_users_1 ON directus_users_1.token = $3::VARCHAR
