"""Keys: bound where free, given back, never taken from others."""

from __future__ import annotations

from app_model.types import KeyBinding
from napari.components import ViewerModel

from napari_segrefiner.plugin.keys import KEYS, Keys


def held(viewer: ViewerModel, key: str) -> object:
    return viewer.keymap.get(KeyBinding.validate(key))


def actions() -> dict[str, object]:
    return {name: (lambda viewer, name=name: name) for name in KEYS}


def test_keys_are_bound_and_given_back() -> None:
    viewer, ours = ViewerModel(), actions()
    keys = Keys(viewer)
    keys.bind(ours)
    assert keys.bound == set(KEYS)
    assert all(held(viewer, KEYS[name]) is ours[name] for name in KEYS)
    keys.unbind()
    assert not viewer.keymap
    assert not keys.bound


def test_a_key_of_somebody_else_stays_theirs() -> None:
    viewer = ViewerModel()

    def theirs(viewer: object) -> None: ...

    viewer.bind_key("N", theirs)
    keys = Keys(viewer)
    keys.bind(actions())
    assert keys.bound == set(KEYS) - {"next_object"}
    keys.unbind()
    assert held(viewer, "N") is theirs


def test_a_key_that_was_taken_over_later_is_not_unbound() -> None:
    viewer = ViewerModel()
    keys = Keys(viewer)
    keys.bind(actions())

    def later(viewer: object) -> None: ...

    viewer.bind_key("R", later, overwrite=True)
    keys.unbind()
    assert held(viewer, "R") is later
