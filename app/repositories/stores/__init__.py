"""SQL on single tables."""
