SELECT CAST(rollcall_version.token AS TEXT) AS token, CAST(directus_users_1.id AS TEXT) AS id, CAST(directus_users_1.status AS TEXT) AS status, CAST(directus_users_1.role AS TEXT) AS role, true AS anon_1, CAST((SELECT coalesce(json_agg(json_build_object('name', anon_3.c0, 'people', anon_3.c1, 'active', anon_3.c2, 'children', anon_3.c3, 'parent', anon_3.c4)), '[]'::json) AS json_rows_1 
FROM (SELECT directus_roles_1.name AS c0, (SELECT coalesce(json_agg(json_build_object('first_name', anon_4.c0, 'email', anon_4.c1)), '[]'::json) AS json_rows_2 
FROM (SELECT directus_users_2.first_name AS c0, CASE WHEN (directus_users_2.status = $1::VARCHAR) THEN directus_users_2.email END AS c1 
FROM directus_users AS directus_users_2 
WHERE directus_users_2.role = directus_roles_1.id AND true ORDER BY (directus_users_2.first_name COLLATE "C") DESC NULLS FIRST, directus_users_2.id ASC NULLS LAST 
 LIMIT $2::BIGINT) AS anon_4) AS c1, (SELECT coalesce(json_agg(json_build_object('first_name', anon_5.c0)), '[]'::json) AS json_rows_3 
FROM (SELECT directus_users_3.first_name AS c0 
FROM directus_users AS directus_users_3 
WHERE directus_users_3.role = directus_roles_1.id AND CASE WHEN (directus_users_3.status = $3::VARCHAR) THEN directus_users_3.status END = $4::VARCHAR ORDER BY directus_users_3.id ASC NULLS LAST 
 LIMIT $5::BIGINT) AS anon_5) AS c2, (SELECT coalesce(json_agg(json_build_object('name', anon_6.c0, '__typename', $6::VARCHAR)), '[]'::json) AS json_rows_4 
FROM (SELECT directus_roles_2.name AS c0 
FROM directus_roles AS directus_roles_2 
WHERE directus_roles_2.parent = directus_roles_1.id AND true ORDER BY directus_roles_2.id ASC NULLS LAST 
 LIMIT $7::BIGINT) AS anon_6) AS c3, directus_roles_1.parent AS c4 
FROM directus_roles AS directus_roles_1 
WHERE (directus_roles_1.name = ANY ($8::VARCHAR(100)[])) ORDER BY (directus_roles_1.name COLLATE "C") ASC NULLS LAST, directus_roles_1.id ASC NULLS LAST 
 LIMIT $9::BIGINT) AS anon_3) AS TEXT) AS anon_2 
FROM rollcall_version LEFT OUTER JOIN directus_users AS directus_users_1 ON directus_users_1.token = $10::VARCHAR
