SELECT CAST(rollcall_version.token AS TEXT) AS token, CAST(directus_users_1.id AS TEXT) AS id, CAST(directus_users_1.status AS TEXT) AS status, CAST(directus_users_1.role AS TEXT) AS role, true AS anon_1, CAST((SELECT coalesce(json_agg(json_build_array(anon_3.c0, CAST(anon_3.c1 AS TEXT), anon_3.c2, anon_3.c3, anon_3.c4)), '[]'::json) AS json_rows_1 
FROM (SELECT anon_4.c0 AS c0, anon_4.c1 AS c1, anon_4.c2 AS c2, anon_4.c3 AS c3, anon_4.c4 AS c4 
FROM (SELECT anon_5.v0 AS c0, sum(anon_5.v1) AS c1, avg(CAST(anon_5.v1 AS DOUBLE PRECISION)) AS c2, min(anon_5.v1) AS c3, max(anon_5.v1) AS c4 
FROM (SELECT directus_permissions_1.collection AS v0, directus_permissions_1.id AS v1 
FROM directus_permissions AS directus_permissions_1 
WHERE true) AS anon_5 GROUP BY anon_5.v0) AS anon_4 ORDER BY CAST(anon_4.c1 AS NUMERIC) DESC NULLS FIRST, (anon_4.c0 COLLATE "C") ASC NULLS LAST 
 LIMIT $1::BIGINT) AS anon_3) AS TEXT) AS anon_2 
FROM rollcall_version LEFT OUTER JOIN directus_users AS directus_users_1 ON directus_users_1.token = $2::VARCHAR
