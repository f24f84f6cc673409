"""What an operator is told when something can't be done."""


class OperatorError(Exception):
    """One clear sentence: what is wrong, and what would be right. Never a database's words, never a secret."""
