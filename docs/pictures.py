"""Make the pictures of the guide: real windows of napari, photographed.

    python docs/pictures.py [NAME ...]

writes docs/images/NAME.png, all of them by default. It needs a screen; where there is
none, run it as ``xvfb-run -a -s "-screen 0 1280x860x24" python docs/pictures.py``. Your
napari settings and your models are neither read nor changed.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

FOLDER = Path(__file__).parent / "images"
WIDTH, HEIGHT = 1240, 720
#: Seconds after which a run is given up.
PATIENCE = 900.0


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
        save(self.viewer.screenshot(canvas_only=False, flash=False), name)

    def close(self) -> None:
        """End what is going on, and the window."""
        self.dock.controller.stop()
        self.wait_until(lambda: not self.dock.controller.is_running)
        self.viewer.close()
        self.pump(0.1)


def save(pixels: npt.NDArray[np.uint8], name: str) -> None:
    """Write a picture."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{name}.png"
    # The repository keeps every version of a picture: 256 colours will do.
    picture = (
        Image.fromarray(pixels)
        .convert("RGB")
        .quantize(256, Image.Quantize.FASTOCTREE, dither=Image.Dither.FLOYDSTEINBERG)
    )
    picture.save(path, optimize=True)
    print(path)


def square(canvas: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The middle of a canvas, as high as wide, and not too large."""
    height, width = canvas.shape[:2]
    side = min(height, width)
    y0, x0 = (height - side) // 2, (width - side) // 2
    return np.asarray(
        Image.fromarray(canvas[y0 : y0 + side, x0 : x0 + side]).resize((480, 480))
    )


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
    """A large photograph in mode whole: first the global steps, then the windows.

    The window at the last but one zoom, and beside it, as NAME_steps, the canvas at the
    first global step, at the coarsest zoom, and at full resolution.
    """
    from skimage.data import retina

    from napari_segrefiner.plugin.preview import NAME as PREVIEW
    from napari_segrefiner.plugin.windows_layer import NAME as WINDOWS

    studio = Studio()
    layers = studio.viewer.layers
    image = retina()
    ys, xs = np.mgrid[: image.shape[0], : image.shape[1]]
    # An eye outlined in a hurry.
    angle = np.arctan2(ys - 705, xs - 705)
    coarse = np.hypot(ys - 705, xs - 705) < 690 * (1 + 0.04 * np.sin(7 * angle))
    studio.viewer.add_image(image, name="retina")
    studio.viewer.add_labels(coarse.astype(np.uint8), name="eye")
    layers["eye"].opacity = 0.3
    studio.dock.form.mode_box.setCurrentIndex(
        studio.dock.form.mode_box.findData("whole")
    )
    studio.dock.form.windows_box.setChecked(True)
    # The guard would keep this outline: the picture is to show the windows at work.
    studio.dock.form.option_form.widgets["doubt"].setValue(1.0)
    studio.dock.form.option_form.widgets["steps"].setValue(6)
    studio.pump(0.5)
    studio.viewer.reset_view()
    studio.pump(0.5)

    def level() -> int:
        """Newest zoom that is shown; -1 before the first."""
        shown = layers[WINDOWS].features if WINDOWS in layers else ()
        return int(shown["level"].max()) if len(shown) else -1

    canvases = []
    studio.dock.refine_button.click()
    studio.wait_until(lambda: PREVIEW in layers and bool(layers[PREVIEW].data.any()))
    canvases.append(studio.viewer.screenshot(canvas_only=True, flash=False))
    studio.wait_until(lambda: level() >= 0)
    studio.pump(0.3)
    canvases.append(studio.viewer.screenshot(canvas_only=True, flash=False))
    studio.wait_until(lambda: level() >= 2)
    studio.pump(0.3)
    studio.save(name)
    studio.wait_until(lambda: level() >= 3)
    studio.pump(0.3)
    canvases.append(studio.viewer.screenshot(canvas_only=True, flash=False))
    save(np.concatenate([square(canvas) for canvas in canvases], 1), f"{name}_steps")
    studio.close()


def learn(name: str) -> None:
    """Whoever wants coins with their rims has corrected some; the model follows."""
    from skimage.segmentation import expand_labels

    from napari_segrefiner.io.sample import coins

    studio = Studio()
    studio.open_coins()
    studio.refine()
    truth = expand_labels(coins().truth, 2)
    result = studio.viewer.layers["coins coarse refined"]
    for label in range(1, 13):
        result.selected_label = label
        wrong = np.nonzero((result.data == label) != (truth == label))
        result.data_setitem(wrong, np.where(truth[wrong] == label, label, 0))
    studio.pump(0.5)
    studio.dock.learn_button.click()
    studio.wait_until(lambda: not studio.dock.controller.is_running)
    studio.wait_until(lambda: "Loading" not in studio.dock.message_label.text())
    studio.pump(0.5)
    print(studio.dock.message_label.text())
    studio.save(name)
    studio.close()


def training(name: str) -> None:
    """A model learns from layers: half of the coins teach, the others validate."""
    from napari_segrefiner.io.sample import coins

    studio = Studio()
    studio.window.setGeometry(0, 0, WIDTH, 840)
    window = studio.viewer.window
    _, dock = window.add_plugin_dock_widget(
        "napari-segrefiner", "SegRefiner training", tabify=True
    )
    dock.parent().raise_()
    form, sample = dock.form, coins()
    half = sample.image.shape[1] // 2
    for side, part in (("left", np.s_[:, :half]), ("right", np.s_[:, half:])):
        at = (0, half if side == "right" else 0)
        image = studio.viewer.add_image(
            sample.image[part], name=f"coins {side}", translate=at
        )
        labels = studio.viewer.add_labels(
            sample.truth[part], name=f"true {side}", translate=at
        )
        form.image_box.choose(image)
        form.labels_box.choose(labels)
        form.pair_list.add_button.click()
    form.source_box.setCurrentIndex(form.source_box.findData("layers"))
    for option, value in (("iterations", 80), ("validate_every", 20)):
        form.option_form.widgets[option].setValue(value)
    form.option_form.widgets["validation_windows"].setValue(64)
    studio.pump(0.5)
    studio.viewer.reset_view()
    with tempfile.TemporaryDirectory() as folder:
        form.run_field.set_path(Path(folder) / "coins")
        dock.start_button.click()
        # The model as it was, and three validations.
        studio.wait_until(
            lambda: (
                len(dock.live.validation.chart.lines[0].x) > 3
                or not dock.controller.is_running
            )
        )
        studio.pump(1.0)
        studio.save(name)
        for _ in range(2):
            dock.stop_button.click()
        studio.wait_until(lambda: not dock.controller.is_running)
    studio.close()


def compare(name: str) -> None:
    """Refined coins against the truth, coloured by what they gained."""
    from napari_segrefiner.io.sample import coins

    studio = Studio()
    studio.open_coins()
    studio.refine()
    viewer = studio.viewer
    viewer.add_labels(coins().truth, name="truth")
    _, dock = viewer.window.add_plugin_dock_widget(
        "napari-segrefiner", "Compare with the truth", tabify=True
    )
    dock.parent().raise_()
    dock.compare_button.click()
    studio.wait_until(lambda: not dock.is_running)
    viewer.layers.selection.active = viewer.layers[-1]
    studio.pump(0.5)
    studio.save(name)
    studio.close()


PICTURES = {
    "dock": dock,
    "running": running,
    "review": review,
    "whole": whole,
    "learn": learn,
    "training": training,
    "compare": compare,
}


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
        os.environ["NAPARI_SEGREFINER_MODELS"] = str(Path(folder) / "models")
        for name in names or PICTURES:
            (Path(folder) / "napari-segrefiner-dock.json").unlink(missing_ok=True)
            PICTURES[name](name)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
