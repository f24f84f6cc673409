"""Password hashing outside the event loop."""
