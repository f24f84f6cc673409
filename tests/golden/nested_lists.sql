SELECT CAST(rollcall_version.token AS TEXT) AS token, CAST(directus_users_1.id AS TEXT) AS id, CAST(directus_users_1.status AS TEXT) AS status, CAST(directus_users_1.role AS TEXT) AS role, true AS anon_1, CAST((SELECT coalesce(json_agg(json_build_array(anon_3.c0, anon_3.c1, anon_3.c2, anon_3.c3, anon_3.c4) ORDER BY anon_3.n), '[]'::json) AS json_rows_1 
FROM (SELECT directus_roles_1.name AS c0, (SELECT coalesce(json_agg(json_build_array(anon_4.c0, anon_4.c1) ORDER BY anon_4.n), '[]'::json) AS json_rows_2 
FROM (SELECT directus_users_2.first_name AS c0, CASE WHEN (directus_users_2.status = $1::VARCHAR) THEN directus_users_2.email END AS c1, row_number() OVER (ORDER BY (directus_users_2.first_name COLLATE "C") DESC NULLS FIRST, directus_users_2.id ASC NULLS LAST) AS n 
FROM directus_users AS directus_users_2 
WHERE directus_users_2.role = directus_roles_1.id AND true ORDER BY (directus_users_2.first_name COLLATE "C") DESC NULLS FIRST, directus_users_2.id ASC NULLS LAST 
 LIMIT $2::BIGINT) AS anon_4) AS c1, (SELECT coalesce(json_agg(json_build_array(anon_5.c0) ORDER BY anon_5.n), '[]'::json) AS json_rows_3 
FROM (SELECT directus_users_3.first_name AS c0, row_number() OVER (ORDER BY directus_users_3.id ASC NULLS LAST) AS n 
FROM directus_users AS directus_users_3 
WHERE directus_users_3.role = directus_roles_1.id AND CASE WHEN (directus_users_3.status = $3::VARCHAR) THEN directus_users_3.status END = $4::VARCHAR ORDER BY directus_users_3.id ASC NULLS LAST 
 LIMIT $5::BIGINT) AS anon_5) AS c2, (SELECT coalesce(json_agg(json_build_array(anon_6.c0) ORDER BY anon_6.n), '[]'::json) AS json_rows_4 
FROM (SELECT directus_roles_2.name AS c0, row_number() OVER (ORDER BY directus_roles_2.id ASC NULLS LAST) AS n 
FROM directus_roles AS directus_roles_2 
WHERE directus_roles_2.parent = directus_roles_1.id AND true ORDER BY directus_roles_2.id ASC NULLS LAST 
 LIMIT $6::BIGINT) AS anon_6) AS c3, directus_roles_1.parent AS c4, row_number() OVER (ORDER BY (directus_roles_1.name COLLATE "C") ASC NULLS LAST, directus_roles_1.id ASC NULLS LAST) AS n 
FROM directus_roles AS directus_roles_1 
WHERE (directus_roles_1.name = ANY ($7::VARCHAR(100)[])) ORDER BY (directus_roles_1.name COLLATE "C") ASC NULLS LAST, directus_roles_1.id ASC NULLS LAST 
 LIMIT $8::BIGINT) AS anon_3) AS TEXT) AS anon_2 
FROM rollcall_version LEFT OUTER JOIN directus_users AS directus_users_1 ON directus_users_1.token = $9::VARCHAR
