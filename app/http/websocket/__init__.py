"""WebSocket connections: which are accepted, and the two protocols that they speak."""
