"""The Studio: a web interface for administrators and users, rendered on the server and served at `/admin`."""
