"""Where the contents of files lie; which of them belongs to whom is a repository's."""
