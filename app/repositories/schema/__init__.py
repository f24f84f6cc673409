"""What the database says about its own fields, and the registry built from that."""
