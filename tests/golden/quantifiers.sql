SELECT CAST(rollcall_version.token AS TEXT) AS token, CAST(directus_users_1.id AS TEXT) AS id, CAST(directus_users_1.status AS TEXT) AS status, CAST(directus_users_1.role AS TEXT) AS role, true AS anon_1, CAST((SELECT coalesce(json_agg(json_build_object('name', anon_3.c0)), '[]'::json) AS json_rows_1 
FROM (SELECT directus_roles_1.name AS c0 
FROM directus_roles AS directus_roles_1 
WHERE EXISTS (SELECT 1 
FROM directus_users AS directus_users_2 
WHERE directus_users_2.role = directus_roles_1.id AND true AND directus_users_2.status != $1::VARCHAR) ORDER BY (directus_roles_1.name COLLATE "C") ASC NULLS LAST, directus_roles_1.id ASC NULLS LAST 
 LIMIT $2::BIGINT) AS anon_3) AS TEXT) AS anon_2 
FROM rollcall_version LEFT OUTER JOIN directus_users AS directus_users_1 ON directus_users_1.token = $3::VARCHAR
;

SELECT CAST(rollcall_version.token AS TEXT) AS token, CAST(directus_users_1.id AS TEXT) AS id, CAST(directus_users_1.status AS TEXT) AS status, CAST(directus_users_1.role AS TEXT) AS role, true AS anon_1, CAST((SELECT coalesce(json_agg(json_build_object('name', anon_3.c0)), '[]'::json) AS json_rows_1 
FROM (SELECT directus_roles_1.name AS c0 
FROM directus_roles AS directus_roles_1 
WHERE NOT (EXISTS (SELECT 1 
FROM directus_users AS directus_users_2 
WHERE directus_users_2.role = directus_roles_1.id AND true AND directus_users_2.status = $1::VARCHAR)) AND (directus_roles_1.parent IS NULL OR (rollcall_fold(directus_roles_1.name) COLLATE "C" LIKE rollcall_fold($2::VARCHAR))) ORDER BY (directus_roles_1.name COLLATE "C") ASC NULLS LAST, directus_roles_1.id ASC NULLS LAST 
 LIMIT $3::BIGINT) AS anon_3) AS TEXT) AS anon_2 
FROM rollcall_version LEFT OUTER JOIN directus_users AS directus_users_1 ON directus_users_1.token = $4::VARCHAR
