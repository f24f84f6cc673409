"""Business rules of single collections."""
