SELECT CAST(rollcall_version.token AS TEXT) AS token, CAST(directus_users_1.id AS TEXT) AS id, CAST(directus_users_1.status AS TEXT) AS status, CAST(directus_users_1.role AS TEXT) AS role, true AS anon_1 
FROM rollcall_version LEFT OUTER JOIN directus_users AS directus_users_1 ON directus_users_1.token = $1::VARCHAR
