"""Make the pictures of the guide: real windows of napari, photographed.

    python docs/pictures.py [NAME ...]

writes docs/images/NAME.png, all of them by default. It needs a screen; where there is
none, run it as ``xvfb-run -a -s "-screen 0 1280x860x24" python docs/pictures.py``. Your
napari settings are neither read nor changed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

FOLDER = Path(__file__).parent / "images"
WIDTH, HEIGHT = 1240, 720
#: Seconds after which a run is given up.
PATIENCE = 300.0


class Studio:
    """A napari window with the dock, and what one does in it."""

    def __init__(self, theme: str = "dark") -> None:
        import napari
        from napari.settings import get_settings

        get_settings().appearance.theme = theme
        self.viewer = napari.Viewer()
        self.window = self.viewer.window._qt_window  # no public way to its size
        self.window.setGeometry(0, 0, WIDTH, HEIGHT)
        _, self.dock = self.viewer.window.add_plugin_dock_widget(
            "napari-segrefiner", "SegRefiner"
        )
        self.wait_until(lambda: "Ready" in self.dock.message_label.text())

    def pump(self, seconds: float) -> None:
        """Let the window work."""
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        while time.monotonic() < end:
            QApplication.processEvents()
            time.sleep(0.005)

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        """Let the window work until something is so."""
        end = time.monotonic() + PATIENCE
        while not is_so():
            if time.monotonic() > end:
                message = f"Nothing came of it: {self.dock.message_label.text()}"
                raise TimeoutError(message)
            self.pump(0.02)

    def open_coins(self) -> None:
        """Open the sample, all of it in sight."""
        self.viewer.open_sample("napari-segrefiner", "coins")
        self.pump(0.5)
        self.viewer.reset_view()
        self.pump(0.2)

    def refine(self) -> None:
        """Press Refine and wait for the end."""
        self.dock.refine_button.click()
        self.wait_until(lambda: not self.dock.controller.is_running)
        self.pump(0.5)

    def show_run(self, share: float) -> None:
        """Press Refine and wait for a share of the run."""
        self.dock.refine_button.click()
        self.wait_until(
            lambda: (
                self.dock.progress_bar.value() >= 1000 * share
                or not self.dock.controller.is_running
            )
        )
        self.pump(0.2)

    def save(self, name: str) -> None:
        """Photograph the window."""
        FOLDER.mkdir(exist_ok=True)
        path = FOLDER / f"{name}.png"
        pixels = self.viewer.screenshot(canvas_only=False, flash=False)
        # The repository keeps every version of a picture: 256 colours will do.
        picture = (
            Image.fromarray(pixels)
            .convert("RGB")
            .quantize(
                256, Image.Quantize.FASTOCTREE, dither=Image.Dither.FLOYDSTEINBERG
            )
        )
        picture.save(path, optimize=True)
        print(path)

    def close(self) -> None:
        """End what is going on, and the window."""
        self.dock.controller.stop()
        self.wait_until(lambda: not self.dock.controller.is_running)
        self.viewer.close()
        self.pump(0.1)


def dock(name: str) -> None:
    """The coins, refined."""
    studio = Studio()
    studio.open_coins()
    studio.refine()
    studio.save(name)
    studio.close()


def running(name: str) -> None:
    """The coins, half-way."""
    studio = Studio()
    studio.open_coins()
    studio.show_run(0.5)
    studio.save(name)
    studio.close()


def review(name: str) -> None:
    """The coin that needs a look first; a light theme."""
    studio = Studio("light")
    studio.open_coins()
    studio.refine()
    studio.dock.next_button.click()
    studio.pump(0.5)
    studio.save(name)
    studio.close()


def whole(name: str) -> None:
    """A large object as a whole: windows follow its boundary."""
    import numpy as np
    from skimage.data import coffee

    studio = Studio()
    image = coffee()
    ys, xs = np.mgrid[: image.shape[0], : image.shape[1]]
    # A saucer outlined with a few clicks.
    angle = np.arctan2(ys - 190, xs - 282)
    radius = np.hypot((ys - 190) / 182, (xs - 282) / 198)
    coarse = radius * (1 + 0.05 * np.sign(np.sin(7 * angle))) < 1
    studio.viewer.add_image(image, name="coffee")
    studio.viewer.add_labels(coarse.astype(np.uint8), name="saucer")
    studio.dock.mode_box.setCurrentIndex(studio.dock.mode_box.findData("whole"))
    studio.dock.windows_box.setChecked(True)
    studio.pump(0.5)
    studio.viewer.reset_view()
    studio.show_run(0.6)
    studio.save(name)
    studio.close()


PICTURES = {"dock": dock, "running": running, "review": review, "whole": whole}


def main(names: list[str]) -> int:
    """Make the pictures that are named, or all."""
    unknown = [name for name in names if name not in PICTURES]
    if unknown:
        print(f"There is no picture {unknown[0]}; choose of {', '.join(PICTURES)}.")
        return 2
    # Qt reads the arguments too.
    del sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["NAPARI_CONFIG"] = str(Path(folder) / "settings.yaml")
        for name in names or PICTURES:
            (Path(folder) / "napari-segrefiner-dock.json").unlink(missing_ok=True)
            PICTURES[name](name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
