"""The protocol of the worker process that hashes passwords: lines of JSON on its standard streams.

A request is `[id, password, [memory, time, parallelism]]` for a hash, or `[id, password, hash]` to verify it. The
response `[id, result]` follows as soon as the result is known; it is null for a password that cannot be hashed. The
first response has the id `READY` and means that the worker is ready.
"""

READY = 0
"""The id of the first response, which answers no request."""
WORKER_MODULE = "app.passwords.worker"
"""The module that the worker runs. The server does not import it: it loads passlib and argon2, which take 2 MB."""
