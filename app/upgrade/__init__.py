"""Migration between Directus 10, whose roles hold the permissions, and Directus 11, whose policies do."""
