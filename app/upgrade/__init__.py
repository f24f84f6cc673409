"""Between Directus 10's layout and Directus 11's."""
