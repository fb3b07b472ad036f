"""The keys of the dock: bound in code where they are free, unbound when it closes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from app_model.types import KeyBinding
from napari.components import ViewerModel
from napari.layers import Labels

if TYPE_CHECKING:
    from napari import Viewer

#: What each key does, by the name of the controller's action.
KEYS = {
    "refine_object": "R",
    "restore_object": "Shift+R",
    "next_object": "N",
    "hold_source": "H",
    "accept_object": "K",
}

Action = Callable[[Any], Any]


class Keys:
    """Keys bound on a viewer.

    The viewer's own bindings come after those of a layer's class, so keys that a Points
    or Shapes layer uses do there what they always do.
    """

    def __init__(self, viewer: Viewer | ViewerModel) -> None:
        self._viewer = viewer
        self._bound: dict[str, Action] = {}

    @property
    def bound(self) -> frozenset[str]:
        """Names of the actions that have their key."""
        return frozenset(self._bound)

    def bind(self, actions: Mapping[str, Action]) -> None:
        """Bind each action's key unless somebody else has it.

        An action takes the viewer; if it returns a generator, what comes after its
        ``yield`` runs when the key is released.
        """
        for name, action in actions.items():
            if name not in self._bound and is_free(self._viewer, KEYS[name]):
                self._viewer.bind_key(KEYS[name], action)
                self._bound[name] = action

    def unbind(self) -> None:
        """Give back the keys that are still ours."""
        for name, action in self._bound.items():
            key = KeyBinding.validate(KEYS[name])
            if self._viewer.keymap.get(key) is action:
                self._viewer.bind_key(KEYS[name], None)
        self._bound.clear()


def is_free(viewer: Viewer | ViewerModel, key: str) -> bool:
    """Whether neither the viewer nor Labels layers use the key."""
    binding = KeyBinding.validate(key)
    # __class__, not type(): plugins get the viewer in a proxy.
    keymaps = (viewer.keymap, viewer.__class__.class_keymap, Labels.class_keymap)
    return all(binding not in keymap for keymap in keymaps)
