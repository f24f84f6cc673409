SELECT CAST(rollcall_version.token AS TEXT) AS token, CAST(directus_users_1.id AS TEXT) AS id, CAST(directus_users_1.status AS TEXT) AS status, CAST(directus_users_1.role AS TEXT) AS role, true AS anon_1, CAST((SELECT coalesce(json_agg(json_build_object('group', json_build_object('status', anon_3.c0), 'countAll', anon_3.c1, 'count', json_build_object('email', anon_3.c2, 'title', anon_3.c3))), '[]'::json) AS json_rows_1 
FROM (SELECT anon_4.c0 AS c0, anon_4.c1 AS c1, anon_4.c2 AS c2, anon_4.c3 AS c3 
FROM (SELECT anon_5.v0 AS c0, count(*) AS c1, count(anon_5.v1) AS c2, count(anon_5.v2) AS c3 
FROM (SELECT CASE WHEN (directus_users_2.status = $1::VARCHAR) THEN directus_users_2.status END AS v0, CASE WHEN (directus_users_2.status = $2::VARCHAR) THEN directus_users_2.email END AS v1, CASE WHEN (directus_users_2.status = $3::VARCHAR) THEN directus_users_2.title END AS v2 
FROM directus_users AS directus_users_2 
WHERE true) AS anon_5 GROUP BY anon_5.v0) AS anon_4 ORDER BY anon_4.c1 DESC NULLS FIRST, (anon_4.c0 COLLATE "C") ASC NULLS LAST 
 LIMIT $4::BIGINT) AS anon_3) AS TEXT) AS anon_2 
FROM rollcall_version LEFT OUTER JOIN directus_users AS directus_users_1 ON directus_users_1.token = $5::VARCHAR
;

SELECT CAST(rollcall_version.token AS TEXT) AS token, CAST(directus_users_1.id AS TEXT) AS id, CAST(directus_users_1.status AS TEXT) AS status, CAST(directus_users_1.role AS TEXT) AS role, true AS anon_1, CAST((SELECT coalesce(json_agg(json_build_object('countAll', anon_3.c0, 'countDistinct', json_build_object('status', anon_3.c1))), '[]'::json) AS json_rows_1 
FROM (SELECT anon_4.c0 AS c0, anon_4.c1 AS c1 
FROM (SELECT count(*) AS c0, count(DISTINCT anon_5.v0) AS c1 
FROM (SELECT CASE WHEN (directus_users_2.status = $1::VARCHAR) THEN directus_users_2.status END AS v0 
FROM directus_users AS directus_users_2 
WHERE directus_users_2.first_name IS NOT NULL) AS anon_5) AS anon_4 
 LIMIT $2::BIGINT) AS anon_3) AS TEXT) AS anon_2 
FROM rollcall_version LEFT OUTER JOIN directus_users AS directus_users_1 ON directus_users_1.token = $3::VARCHAR
