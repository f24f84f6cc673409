"""Passwords as Directus hashes them: believed when they are right."""

import pytest

from app.core.hashing import hash_password, verify_password

HASHED = "$argon2id$v=19$m=65536,t=3,p=4$"


def test_a_password_is_hashed_with_directus_parameters():
    hashed = hash_password("d1r3ctu5")

    assert hashed.startswith(HASHED)
    assert verify_password("d1r3ctu5", hashed)
    assert not verify_password("D1r3ctu5", hashed)


def test_two_hashes_of_one_password_differ():
    assert hash_password("d1r3ctu5") != hash_password("d1r3ctu5")


def test_a_password_of_1024_characters_is_the_longest():
    assert verify_password("ü" * 1_024, hash_password("ü" * 1_024))
    for length in (0, 1_025):
        with pytest.raises(ValueError, match="1 to 1024 characters"):
            hash_password("ü" * length)


@pytest.mark.parametrize("hashed", ["", "d1r3ctu5", "$2b$12$abc", HASHED, f"{HASHED}x$y", "**********"])
def test_nothing_is_the_password_of_what_is_no_hash(hashed):
    assert not verify_password("d1r3ctu5", hashed)
