"""Visibility: computed once per access shape, and forgotten with it."""

import gc
import weakref
from dataclasses import replace

from app.policy import visibility
from app.policy.rules import AccessShape
from tests.base_data import caller


async def test_the_visibility_of_a_shape_is_computed_once(readonly_db):
    access = await readonly_db.directory(caller("ed")).access()

    assert visibility.visibility_for(access) is visibility.visibility_for(access)
    assert visibility.visibility_for(access) is not visibility.visibility_for(access, legacy=True)


async def test_a_shape_that_is_no_longer_used_is_not_kept_alive(readonly_db):
    access = await readonly_db.directory(caller("ed")).access()
    gc.collect()  # shapes that other tests left
    shape = AccessShape(access.rules)
    visibility.visibility_for(replace(access, shape=shape))
    remembered, reference = len(visibility._visibilities), weakref.ref(shape)

    del shape
    gc.collect()

    assert reference() is None
    assert len(visibility._visibilities) == remembered - 1
