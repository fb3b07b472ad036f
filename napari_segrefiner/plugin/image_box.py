"""A choice of images that follows the labels to the image they were drawn on."""

from __future__ import annotations

import re
import weakref
from typing import TYPE_CHECKING, Any

from napari_segrefiner.plugin.images import fits, same_place
from napari_segrefiner.plugin.layer_box import LayerBox
from napari_segrefiner.plugin.layers import is_image, is_listed, unwrap

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image, Labels, Layer


class ImageBox(LayerBox):
    """A combo box of images that guesses the one that belongs to the labels.

    Where the user has chosen another one instead of a guess, that one is taken in its
    place from then on, as with two channels of one picture; and for the same labels
    whatever comes and goes besides.

    Parameters
    ----------
    viewer : napari viewer or ViewerModel
    placeholder : str
        Shown when there is none.
    """

    # Of the labels; none before update_for() was called.
    _labels: weakref.ref[Labels] | None = None

    def __init__(self, viewer: ViewerModel, placeholder: str) -> None:
        super().__init__(viewer, is_image, placeholder)
        self._instead: weakref.WeakKeyDictionary[Layer, weakref.ref[Layer]] = (
            weakref.WeakKeyDictionary()
        )
        self._own: weakref.WeakKeyDictionary[Labels, weakref.ref[Layer]] = (
            weakref.WeakKeyDictionary()
        )
        self.activated.connect(self._remember)

    def choose(self, layer: Layer | None) -> None:
        """Choose a layer, for all labels for which the same one would be guessed."""
        super().choose(layer)
        self._remember()

    def update_for(self, labels: Labels | None) -> None:
        """Choose the image of these labels; if none fits, the choice stays."""
        self._labels = None if labels is None else weakref.ref(labels)
        self._follow()

    def refresh(self, event: Any = None) -> None:
        """Follow the viewer's list; what came or went may be the better guess."""
        super().refresh(event)
        if event is not None and event.type in ("inserted", "removed"):
            self._follow()

    def _follow(self) -> None:
        labels, guess = self._known_labels(), self._guess()
        if labels is None or guess is None:
            return
        for known in (self._own.get(labels), self._instead.get(guess)):
            own = None if known is None else known()
            if own is not None and own in self.layers and fits(own, labels):
                super().choose(own)
                return
        super().choose(guess)

    def _known_labels(self) -> Labels | None:
        """The labels, while they are listed."""
        labels = None if self._labels is None else self._labels()
        return labels if is_listed(self._viewer, labels) else None

    def _guess(self) -> Image | None:
        labels = self._known_labels()
        if labels is None:
            return None
        return likely_image(labels, [unwrap(layer) for layer in self._viewer.layers])

    def _remember(self, index: int = 0) -> None:
        """The choice is somebody's own."""
        labels, guess, own = self._known_labels(), self._guess(), self.layer
        if labels is not None and guess is not None and own is not None:
            self._own[labels] = weakref.ref(own)
            self._instead[guess] = weakref.ref(own)


def likely_image(labels: Labels, layers: list[Layer]) -> Image | None:
    """The image that labels were drawn on, by all that can be seen of it.

    Of the images that fit by their shape it is one that lies where the labels lie, if
    there is one; of these the one whose name shares most words with theirs; of these
    the next one below them, or else above.

    Parameters
    ----------
    labels : Labels
        One of `layers`.
    layers : list of Layer
        From the lowest to the topmost.
    """
    at, words = layers.index(labels), _words(labels.name)

    def likeness(place: int) -> tuple[bool, int, bool, int]:
        image = layers[place]
        n_shared = len(words & _words(image.name))
        return same_place(image, labels), n_shared, place < at, -abs(place - at)

    places = [
        place
        for place, layer in enumerate(layers)
        if is_image(layer) and fits(layer, labels)
    ]
    found: Any = layers[max(places, key=likeness)] if places else None
    return found


def _words(name: str) -> frozenset[str]:
    """The words and numbers in a layer's name."""
    return frozenset(re.findall(r"[^\W\d_]+|\d+", name.lower()))
