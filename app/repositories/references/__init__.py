"""References to users: every foreign key of the database, a project's own included, and what a deletion does to it."""
