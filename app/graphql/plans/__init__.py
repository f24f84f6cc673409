"""The fast path: query plans for requests seen before."""
