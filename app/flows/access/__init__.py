"""What administrators ask about access: who may do what and why, what changes would do, and what ends when."""
