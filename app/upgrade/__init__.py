"""Between two editions of Directus: from roles that hold the rights to policies that do."""
