SELECT rollcall_version.token, directus_users_1.id, directus_users_1.status, directus_users_1.role, true AS anon_1 
FROM rollcall_version LEFT OUTER JOIN directus_users AS directus_users_1 ON directus_users_1.token = %(param_1)s::VARCHAR
