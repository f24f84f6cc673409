"""Query plans below GraphQL and REST."""
