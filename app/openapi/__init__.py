"""The OpenAPI document, and the request bodies that it shares with the endpoints."""
