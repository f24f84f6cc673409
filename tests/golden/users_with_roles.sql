SELECT CAST(rollcall_version.token AS TEXT) AS token, CAST(directus_users_1.id AS TEXT) AS id, CAST(directus_users_1.status AS TEXT) AS status, CAST(directus_users_1.role AS TEXT) AS role, true AS anon_1, CAST((SELECT coalesce(json_agg(json_build_array(anon_3.c0, anon_3.c1, anon_3.c2, anon_3.c3, CASE WHEN (anon_3.c4 IS NOT NULL) THEN json_build_array(anon_3.c5) END, anon_3.c6)), '[]'::json) AS json_rows_1 
FROM (SELECT directus_users_2.email AS c0, directus_users_2.last_access AS c1, (directus_users_2.tags::json) AS c2, CASE json_typeof((directus_users_2.tags::json)) WHEN 'array' THEN json_array_length((directus_users_2.tags::json)) WHEN 'object' THEN (SELECT count(*) FROM json_object_keys((directus_users_2.tags::json))) END AS c3, directus_roles_1.id AS c4, directus_roles_1.name AS c5, (SELECT coalesce(json_agg(json_build_array(anon_4.c0)), '[]'::json) AS json_rows_2 
FROM (SELECT directus_access_1.id AS c0 
FROM directus_access AS directus_access_1 
WHERE directus_access_1."user" = directus_users_2.id AND true ORDER BY directus_access_1.sort ASC NULLS LAST, directus_access_1.id ASC NULLS LAST 
 LIMIT $1::BIGINT) AS anon_4) AS c6 
FROM directus_users AS directus_users_2 LEFT OUTER JOIN directus_roles AS directus_roles_1 ON directus_roles_1.id = directus_users_2.role AND true 
WHERE true ORDER BY ((SELECT directus_roles_2.name 
FROM directus_roles AS directus_roles_2 
WHERE directus_roles_2.id = directus_users_2.role AND true) COLLATE "C") ASC NULLS LAST, (directus_users_2.email COLLATE "C") DESC NULLS FIRST, directus_users_2.id ASC NULLS LAST 
 LIMIT $2::BIGINT OFFSET $3::BIGINT) AS anon_3) AS TEXT) AS anon_2 
FROM rollcall_version LEFT OUTER JOIN directus_users AS directus_users_1 ON directus_users_1.token = $4::VARCHAR
