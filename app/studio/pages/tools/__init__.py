"""The explorers, and the explanation of access."""
