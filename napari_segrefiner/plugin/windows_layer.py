"""The layer that shows where the windows of large objects lie, as rectangles."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
from napari.layers import Labels, Shapes

from napari_segrefiner.geometry import Box
from napari_segrefiner.plugin.layers import KEY, geometry, insert_above, is_listed
from napari_segrefiner.plugin.planes import Plane, array_shape
from napari_segrefiner.plugin.worker import Windows

if TYPE_CHECKING:
    from napari.components import ViewerModel

NAME = "SegRefiner windows"
#: Sky blue of Okabe and Ito's set: neither of the preview's colours.
COLOUR = "#56B4E9"
#: Width of a line as a share of the image's longer side, and at least, in pixels.
EDGE_SHARE, LEAST_EDGE = 1 / 500, 0.5
#: The newest ones are shown; napari takes long to draw more rectangles.
MOST_BOXES = 250
#: Drawing takes at most one part in so many of the window's time.
REST = 5


class WindowsLayer:
    """Shows the windows of a run.

    While it is at work those of the newest zoom, after it, until the next run, each
    object's finest ones: all zooms at once would hide the picture.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer
        self._layer: Shapes | None = None
        self._source: Labels | None = None
        self._finest: dict[tuple[Plane, int], Windows] = {}
        self._newest: Windows | None = None
        self._rests_until = 0.0

    @property
    def layer(self) -> Shapes | None:
        """The layer, while it is in the viewer."""
        return self._layer if is_listed(self._viewer, self._layer) else None

    def begin(self, source: Labels | None) -> None:
        """Prepare for a run on `source`; without one nothing is shown.

        What the run before has left goes.
        """
        layer, self._layer = self.layer, None
        if layer is not None:
            self._viewer.layers.remove(layer)
        self._source = source
        self._finest.clear()
        self._newest = None

    def push(self, windows: Windows) -> None:
        """Take windows; they are shown by `show`."""
        self._newest = windows
        self._finest[windows.plane, windows.label] = windows

    def show(self) -> None:
        """Draw the newest windows if there are any, and time for it."""
        if self._newest is None or time.monotonic() < self._rests_until:
            return
        began = time.monotonic()
        newest, self._newest = self._newest, None
        self._draw([newest])
        now = time.monotonic()
        self._rests_until = now + REST * (now - began)

    def finish(self) -> None:
        """Draw the finest windows of every object."""
        if self._finest:
            self._draw(list(self._finest.values()))
        self._newest = None

    def _draw(self, shown: list[Windows]) -> None:
        """Rectangles in place of those that were there."""
        source = self._source
        if source is None:
            return
        if self._layer is not None and self.layer is None:
            self._source = None  # the user has deleted it, and means it
            return
        rows = [
            (rectangle(windows.plane, box), windows.label, windows.level)
            for windows in shown
            for box in windows.boxes
        ][-MOST_BOXES:]
        corners = [row[0] for row in rows]
        features = pd.DataFrame(
            {"label": [row[1] for row in rows], "level": [row[2] for row in rows]}
        )
        if self._layer is not None:
            self._layer.data = corners
            self._layer.features = features
            return
        self._layer = Shapes(
            corners,
            shape_type="rectangle",
            name=NAME,
            edge_color=COLOUR,
            face_color="transparent",
            edge_width=max(LEAST_EDGE, EDGE_SHARE * max(array_shape(source)[-2:])),
            features=features,
            metadata={KEY: {"is_preview": True}},
            **geometry(source),
        )
        insert_above(self._viewer, self._layer, None)


def rectangle(plane: Plane, box: Box) -> npt.NDArray[np.float64]:
    """The four corners of a box, (4, ndim), around its pixels' outer edges."""
    y0, x0, y1, x1 = (side - 0.5 for side in (box.y0, box.x0, box.y1, box.x1))
    corners = ((y0, x0), (y0, x1), (y1, x1), (y1, x0))
    return np.array([plane.point(y, x) for y, x in corners])
