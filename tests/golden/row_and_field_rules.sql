SELECT CAST(rollcall_version.token AS TEXT) AS token, CAST(directus_users_1.id AS TEXT) AS id, CAST(directus_users_1.status AS TEXT) AS status, CAST(directus_users_1.role AS TEXT) AS role, true AS anon_1, CAST((SELECT coalesce(json_agg(json_build_object('first_name', anon_3.c0, 'email', anon_3.c1, 'status', anon_3.c2, 'title', anon_3.c3)), '[]'::json) AS json_rows_1 
FROM (SELECT directus_users_2.first_name AS c0, CASE WHEN (directus_users_2.status = $1::VARCHAR) THEN directus_users_2.email END AS c1, CASE WHEN (directus_users_2.status = $2::VARCHAR) THEN directus_users_2.status END AS c2, CASE WHEN (directus_users_2.status = $3::VARCHAR) THEN directus_users_2.title END AS c3 
FROM directus_users AS directus_users_2 
WHERE CASE WHEN (directus_users_2.status = $4::VARCHAR) THEN directus_users_2.status END = $5::VARCHAR ORDER BY (CASE WHEN (directus_users_2.status = $6::VARCHAR) THEN directus_users_2.email END COLLATE "C") ASC NULLS LAST, directus_users_2.id ASC NULLS LAST 
 LIMIT $7::BIGINT) AS anon_3) AS TEXT) AS anon_2 
FROM rollcall_version LEFT OUTER JOIN directus_users AS directus_users_1 ON directus_users_1.token = $8::VARCHAR
