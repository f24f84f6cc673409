SELECT CAST(rollcall_version.token AS TEXT) AS token, CAST(directus_users_1.id AS TEXT) AS id, CAST(directus_users_1.status AS TEXT) AS status, CAST(directus_users_1.role AS TEXT) AS role, true AS anon_1, CAST((SELECT coalesce(json_agg(json_build_object('email', anon_3.c0, 'title', anon_3.c1, 'role', CASE WHEN (anon_3.c2 IS NOT NULL) THEN json_build_object('users', anon_3.c3) END)), '[]'::json) AS json_rows_1 
FROM (SELECT directus_users_2.email AS c0, directus_users_2.title AS c1, directus_roles_1.id AS c2, (SELECT coalesce(json_agg(json_build_object('title', anon_4.c0)), '[]'::json) AS json_rows_2 
FROM (SELECT directus_users_3.title AS c0 
FROM directus_users AS directus_users_3 
WHERE directus_users_3.role = directus_roles_1.id AND true ORDER BY (directus_users_3.title COLLATE "C") ASC NULLS LAST, directus_users_3.id ASC NULLS LAST 
 LIMIT $1::BIGINT) AS anon_4) AS c3 
FROM directus_users AS directus_users_2 LEFT OUTER JOIN directus_roles AS directus_roles_1 ON directus_roles_1.id = directus_users_2.role AND true 
WHERE true ORDER BY ((SELECT (SELECT (SELECT (SELECT directus_users_4.title AS value 
FROM directus_users AS directus_users_4 
WHERE directus_users_4.role = directus_roles_2.id AND true ORDER BY value DESC NULLS LAST 
 LIMIT $2::INTEGER) AS anon_6 
FROM directus_roles AS directus_roles_2 
WHERE directus_roles_2.id = directus_users_5.role AND true) AS value 
FROM directus_users AS directus_users_5 
WHERE directus_users_5.role = directus_roles_3.id AND true ORDER BY value DESC NULLS LAST 
 LIMIT $3::INTEGER) AS anon_5 
FROM directus_roles AS directus_roles_3 
WHERE directus_roles_3.id = directus_users_2.role AND true) COLLATE "C") DESC NULLS FIRST, (directus_users_2.email COLLATE "C") ASC NULLS LAST, directus_users_2.id ASC NULLS LAST 
 LIMIT $4::BIGINT) AS anon_3) AS TEXT) AS anon_2 
FROM rollcall_version LEFT OUTER JOIN directus_users AS directus_users_1 ON directus_users_1.token = $5::VARCHAR
