"""Which image belongs to the labels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_segrefiner.plugin.image_box import ImageBox, likely_image

SHAPE = (5, 6)


def image(name: str, **more: Any) -> Image:
    return Image(np.zeros(SHAPE), name=name, **more)


def labels(name: str, **more: Any) -> Labels:
    return Labels(np.zeros(SHAPE, int), name=name, **more)


def guesses(*layers: Any) -> list[str]:
    """The names of the images guessed for the labels among layers, lowest first."""
    found = [
        likely_image(layer, list(layers))
        for layer in layers
        if isinstance(layer, Labels)
    ]
    return ["" if one is None else one.name for one in found]


def test_labels_belong_to_the_image_below_them() -> None:
    layers = [image("a"), labels("x"), image("b"), labels("y"), labels("z")]
    assert guesses(*layers) == ["a", "b", "b"]
    assert guesses(labels("x"), image("a"), image("b")) == ["a"]


def test_a_name_in_common_says_more_than_the_order() -> None:
    layers = [image("well 1"), image("well 12"), labels("1 mask"), labels("mask_12")]
    assert guesses(*layers) == ["well 1", "well 12"]


def test_the_place_says_more_than_the_name() -> None:
    beside = {"translate": (0, 6)}
    layers = [image("left"), image("right", **beside), labels("left", **beside)]
    assert guesses(*layers) == ["right"]
    # Somewhere else altogether: then the name.
    assert guesses(*layers[:2], labels("left", scale=(3, 3))) == ["left"]


def test_an_image_of_another_shape_is_no_guess() -> None:
    assert guesses(Image(np.zeros((9, 9))), labels("x")) == [""]
    colours = Image(np.zeros((*SHAPE, 3)), rgb=True, name="colours")
    assert guesses(colours, Image(np.zeros((9, 9))), labels("x")) == ["colours"]


@pytest.mark.gui
def test_an_own_choice_holds_for_all_labels_of_the_picture(qtbot: Any) -> None:
    viewer = ViewerModel()
    blue, green = image("blue"), image("green")
    nuclei, cells = labels("nuclei"), labels("cells")
    viewer.layers.extend([blue, green, nuclei, cells])
    box = ImageBox(viewer, "no image")
    qtbot.addWidget(box)
    box.update_for(nuclei)
    assert box.layer is green
    box.setCurrentIndex(1)
    box.activated.emit(1)  # as the mouse does it
    assert box.layer is blue
    box.update_for(cells)
    assert box.layer is blue
    other, more = image("other"), labels("more")
    viewer.layers.extend([other, more])
    assert box.layer is blue
    box.update_for(more)
    assert box.layer is other
    box.update_for(nuclei)
    assert box.layer is blue
    viewer.layers.remove(blue)
    assert box.layer is green
    box.disconnect_viewer()


@pytest.mark.gui
def test_an_image_that_comes_later_is_seen(qtbot: Any) -> None:
    viewer = ViewerModel()
    first, second = labels("one"), labels("two")
    viewer.layers.extend([image("picture one"), first, second])
    box = ImageBox(viewer, "no image")
    qtbot.addWidget(box)
    box.update_for(second)
    assert box.layer.name == "picture one"
    viewer.layers.append(image("picture two"))
    assert box.layer.name == "picture two"
    viewer.layers.move(0, 4)  # a look at the layers is no choice
    assert box.layer.name == "picture two"
    box.disconnect_viewer()


@pytest.mark.gui
def test_an_own_choice_stays_whatever_comes_and_goes(qtbot: Any) -> None:
    viewer = ViewerModel()
    blue, green, red, mask = image("blue"), image("green"), image("red"), labels("mask")
    viewer.layers.extend([blue, green, red, mask])
    box = ImageBox(viewer, "no image")
    qtbot.addWidget(box)
    box.update_for(mask)
    box.choose(blue)
    viewer.layers.remove(red)
    assert box.layer is blue
    viewer.layers.append(image("mask probability"))
    assert box.layer is blue
    box.disconnect_viewer()
