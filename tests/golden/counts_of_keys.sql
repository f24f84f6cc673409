SELECT CAST(rollcall_version.token AS TEXT) AS token, CAST(directus_users_1.id AS TEXT) AS id, CAST(directus_users_1.status AS TEXT) AS status, CAST(directus_users_1.role AS TEXT) AS role, true AS anon_1, CAST((SELECT coalesce(json_agg(json_build_object('count', json_build_object('id', anon_3.c0, 'title', anon_3.c1), 'countDistinct', json_build_object('id', anon_3.c2), 'countAll', anon_3.c3)), '[]'::json) AS json_rows_1 
FROM (SELECT anon_4.c0 AS c0, anon_4.c1 AS c1, anon_4.c2 AS c2, anon_4.c3 AS c3 
FROM (SELECT count(*) AS c0, count(anon_5.v0) AS c1, count(*) AS c2, count(*) AS c3 
FROM (SELECT CASE WHEN (directus_users_2.status = $1::VARCHAR) THEN directus_users_2.title END AS v0 
FROM directus_users AS directus_users_2 
WHERE true) AS anon_5) AS anon_4 
 LIMIT $2::BIGINT) AS anon_3) AS TEXT) AS anon_2 
FROM rollcall_version LEFT OUTER JOIN directus_users AS directus_users_1 ON directus_users_1.token = $3::VARCHAR
