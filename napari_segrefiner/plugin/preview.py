"""The one layer that shows the diffusion steps at the objects being worked on."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.transforms import Affine

from napari_segrefiner.geometry import Box
from napari_segrefiner.plugin.frames import Frame
from napari_segrefiner.plugin.layers import KEY, geometry, insert_above, is_listed
from napari_segrefiner.plugin.planes import Plane, array_shape

if TYPE_CHECKING:
    from napari.components import ViewerModel

NAME = "SegRefiner preview"
#: Values of the preview's pixels: in both masks, only in the step's, only in the coarse
#: one.
KEPT, GAINED, GIVEN_UP = 1, 2, 3
#: Yellow and vermilion of Okabe and Ito's set differ for any kind of colour vision;
#: what is kept is only brightened, so that the label's own colour shows through.
COLOURS: dict[int | None, str] = {
    0: "transparent",
    None: "transparent",
    KEPT: "#FFFFFF40",
    GAINED: "#F0E442",
    GIVEN_UP: "#D55E00",
}
OPACITY = 0.8
#: A plane up to this many pixels gets a preview of its size; in a larger one the
#: preview covers the objects of a batch, with every n-th pixel if they need more.
MOST_PIXELS = 2048 * 2048


class Preview:
    """Shows the newest frame of a run; frames that come too fast are never drawn."""

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layer: Labels | None = None
        self._source: Labels | None = None
        self._plane: Plane | None = None
        self._box = Box(0, 0, 0, 0)
        self._stride = 1
        self._newest: Frame | None = None
        self._drawn: Frame | None = None
        self._outline: tuple[tuple[int, ...], Box] | None = None
        self._finished: list[Frame] = []
        self._is_off = False

    @property
    def layer(self) -> Labels | None:
        """The layer, while it is in the viewer."""
        return self._layer if is_listed(self._viewer, self._layer) else None

    def begin(self, source: Labels) -> None:
        """Prepare for a run on `source`; no layer appears before its first frame."""
        self._source = source
        self._plane = None
        self._newest = self._drawn = self._outline = None
        self._finished.clear()
        self._is_off = False

    def push(self, frame: Frame) -> None:
        """Take a frame; it is shown by `show` unless a newer one comes before."""
        self._newest = frame
        if frame.is_last:
            # Shown later together: a batch's last state must not be lost because the
            # next batch's first frame arrived before the timer.
            self._finished.append(frame)

    def show(self) -> None:
        """Draw what has arrived since the last call."""
        frame, source = self._newest, self._source
        if frame is None or source is None or self._is_off:
            return
        finished = [f for f in self._finished if f.plane == frame.plane]
        self._newest = None
        self._finished.clear()
        if not self._place(frame, source) or self._layer is None:
            return
        shape = self._layer.data.shape
        data = self._layer.data.reshape([shape[axis] for axis in frame.plane.axes])
        for each in (*finished, frame):
            draw(each, self._drawn, data, self._box, self._stride)
            self._drawn = each
        self._layer.visible = True
        self._layer.refresh(extent=False, thumbnail=False, highlight=False)

    def hide(self) -> None:
        """Out of sight, but kept: adding a layer costs more than a small run."""
        self._forget_run()
        if self.layer is not None:
            self.layer.visible = False

    def remove(self) -> None:
        """Out of the viewer."""
        self._forget_run()
        self._remove_layer()

    def _forget_run(self) -> None:
        self._newest = self._drawn = self._outline = None
        self._finished.clear()
        self._source = None
        self._plane = None

    def _place(self, frame: Frame, source: Labels) -> bool:
        """Bring the layer to where the frame's objects are; False to show nothing."""
        if self._layer is not None and self.layer is None:
            # The user has deleted it during this run, and means it.
            if self._plane is not None:
                self._is_off = True
                return False
            self._layer = None
        shape = array_shape(source)
        height, width = (shape[axis] for axis in frame.plane.axes)
        is_small = height * width <= MOST_PIXELS
        box = Box(0, 0, height, width) if is_small else self._extent(frame)
        if frame.plane != self._plane or box != self._box or self._layer is None:
            self._box = box
            self._stride = math.ceil(math.sqrt(box.height * box.width / MOST_PIXELS))
            self._move(source, frame.plane)
            self._plane = frame.plane
        return True

    def _extent(self, frame: Frame) -> Box:
        """What the frame is about; for windows all of their object, not theirs alone.

        Else the layer would move, and lose what it shows, with every batch of windows.
        """
        if frame.windows and self._outline is not None:
            ids, box = self._outline
            if set(frame.ids) <= set(ids):
                return box
        self._outline = (frame.ids, frame.box)
        return frame.box

    def _move(self, source: Labels, plane: Plane) -> None:
        """Give the layer the box's shape and place, empty; add it if there is none."""
        place = geometry(source)
        first = np.array(plane.start(self._box))
        shape = [1] * plane.ndim
        for axis, side in zip(plane.axes, self._box.shape, strict=True):
            shape[axis] = -(-side // self._stride)
            place["scale"][axis] *= self._stride
            first[axis] += (self._stride - 1) / 2  # the middle of a pixel this large
        # Where the source's own transform (without its affine) puts the first pixel.
        place["translate"] = Affine(
            scale=source.scale,
            translate=source.translate,
            rotate=source.rotate,
            shear=source.shear,
        )(first)
        data = np.zeros(shape, np.uint8)
        self._drawn = None
        layer = self._layer
        if layer is not None and layer.ndim == data.ndim:
            layer.data = data
            # Each of them redraws the layer, so only what differs is set.
            is_new = self._plane is None
            names = list(place) if is_new else ["scale", "translate"]
            for name in names:
                setattr(layer, name, place[name])
            return
        self._remove_layer()
        self._layer = Labels(
            data,
            name=NAME,
            colormap=DirectLabelColormap(color_dict=COLOURS),
            opacity=OPACITY,
            metadata={KEY: {"is_preview": True}},
            **place,
        )
        self._layer.editable = False
        insert_above(self._viewer, self._layer, None)

    def _remove_layer(self) -> None:
        """Take the layer out of the viewer."""
        layer, self._layer = self.layer, None
        if layer is not None:
            self._viewer.layers.remove(layer)


def draw(
    frame: Frame,
    previous: Frame | None,
    data: npt.NDArray[np.uint8],
    window: Box,
    stride: int = 1,
) -> None:
    """Draw a frame's objects into `data`, every `stride`-th (Y, X) pixel of `window`.

    The objects as `previous` showed them are wiped out first if they are the same ones;
    objects of earlier batches stay. A step in windows changes nothing outside of them.
    """
    if frame.windows:
        for box in frame.windows:
            data[_every(box, window, stride)[0]] = 0
    elif previous is not None and previous.ids == frame.ids:
        for pixels, values in _parts(previous, data, window, stride):
            pixels[values > 0] = 0
    for pixels, values in _parts(frame, data, window, stride):
        pixels[values > 0] = values[values > 0]


def _parts(
    frame: Frame, data: npt.NDArray[np.uint8], window: Box, stride: int
) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]]:
    """For each object the view of `data` that it lies in, and its values there."""
    for packed, coarse in zip(frame.masks, frame.coarse, strict=True):
        outer, inner = _every(packed.box, window, stride)
        now, before = packed.unpack()[inner], coarse.unpack()[inner]
        values = np.zeros(now.shape, np.uint8)
        values[now & before] = KEPT
        values[now & ~before] = GAINED
        values[before & ~now] = GIVEN_UP
        yield data[outer], values


def _every(
    box: Box, window: Box, stride: int
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Where every `stride`-th pixel of `window` that is in `box` is: there, and in it.

    Examples
    --------
    >>> _every(Box(0, 12, 1, 20), Box(0, 10, 1, 18), 3)[1][1]
    slice(1, 6, 3)
    """
    dy, dx = window.y0 - box.y0, window.x0 - box.x0
    there = box.shift(-window.y0, -window.x0).clip(window.shape)
    y0, x0, y1, x1 = (-(-side // stride) for side in there)
    inner = (
        slice(y0 * stride + dy, max(there.y1 + dy, 0), stride),
        slice(x0 * stride + dx, max(there.x1 + dx, 0), stride),
    )
    return Box(y0, x0, y1, x1).slices, inner
