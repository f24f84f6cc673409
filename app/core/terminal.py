"""Texts that a terminal prints."""


def printable(text: str) -> str:
    """Return a line of text with `?` for each character that controls a terminal or the direction of writing.

    Names of tokens, roles and policies can hold such characters, and may be written by users without admin access.
    """
    return "".join(character if character.isprintable() else "?" for character in text)
