"""Recognizes common passwords, without a network: the 30,000 most frequent ones of published leaks, from zxcvbn.

zxcvbn is a Python port of Dropbox's strength estimator: maintained, under the MIT license, 1.7 MB, and without
dependencies. Only its list is used: an estimate takes long for long passwords, and its result can't be explained to a
user in one sentence. The alternatives password-strength and commonpasswords have had no release for years.
"""

from functools import cache


def is_common_password(password: str) -> bool:
    """Return whether a password is a common one, in capital or small letters."""
    return password.lower() in _common_passwords()


@cache
def _common_passwords() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # noqa: PLC0415  # takes 15 MB of memory

    return frozenset(FREQUENCY_LISTS["passwords"])
