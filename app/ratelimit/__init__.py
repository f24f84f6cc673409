"""Rate limiting: counters in memory or in Redis."""
