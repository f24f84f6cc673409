SELECT CAST(rollcall_version.token AS TEXT) AS token, CAST(directus_users_1.id AS TEXT) AS id, CAST(directus_users_1.status AS TEXT) AS status, CAST(directus_users_1.role AS TEXT) AS role, true AS anon_1, CAST((SELECT coalesce(json_agg(json_build_object('id', anon_3.c0, 'name', anon_3.c1)), '[]'::json) AS json_rows_1 
FROM (SELECT directus_roles_1.id AS c0, directus_roles_1.name AS c1 
FROM directus_roles AS directus_roles_1 
WHERE (directus_roles_1.name = ANY ($1::VARCHAR(100)[])) ORDER BY directus_roles_1.id ASC NULLS LAST 
 LIMIT $2::BIGINT) AS anon_3) AS TEXT) AS anon_2 
FROM rollcall_version LEFT OUTER JOIN directus_users AS directus_users_1 ON false
