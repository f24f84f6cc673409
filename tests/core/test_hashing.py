"""Password hashing in Directus' format."""

import pytest

from app.core.hashing import hash_password, verify_password

PREFIX = "$argon2id$v=19$m=65536,t=3,p=4$"


def test_a_password_is_hashed_with_directus_parameters():
    hashed = hash_password("d1r3ctu5")

    assert hashed.startswith(PREFIX)
    assert verify_password("d1r3ctu5", hashed)
    assert not verify_password("D1r3ctu5", hashed)


def test_two_hashes_of_one_password_differ():
    assert hash_password("d1r3ctu5") != hash_password("d1r3ctu5")


def test_a_password_has_1_to_1024_characters():
    assert verify_password("ü" * 1_024, hash_password("ü" * 1_024))
    for length in (0, 1_025):
        with pytest.raises(ValueError, match="1 to 1024 characters"):
            hash_password("ü" * length)


@pytest.mark.parametrize("hashed", ["", "d1r3ctu5", "$2b$12$abc", PREFIX, f"{PREFIX}x$y", "**********"])
def test_no_password_matches_an_invalid_hash(hashed):
    assert not verify_password("d1r3ctu5", hashed)
