"""The dock "Compare with the truth": how well layers agree with it."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from qtpy.QtWidgets import (
    QApplication,
    QCheckBox,
    QFileDialog,
    QVBoxLayout,
)

from napari_segrefiner.errors import SegRefinerError
from napari_segrefiner.plugin import messages
from napari_segrefiner.plugin.compare import (
    Compared,
    Written,
    compare,
    summary,
    write,
)
from napari_segrefiner.plugin.compare_form import CompareForm
from napari_segrefiner.plugin.compare_scores import Rows, gain_layer, write_scores
from napari_segrefiner.plugin.compare_table import ScoreTable
from napari_segrefiner.plugin.layers import (
    entry,
    insert_above,
    is_labels,
    is_listed,
    unwrap,
)
from napari_segrefiner.plugin.view import Tone
from napari_segrefiner.plugin.widgets import (
    Docked,
    Scroll,
    Sentence,
    emphasised,
    progress_bar,
    quiet_button,
    show_share,
    side_by_side,
)
from napari_segrefiner.plugin.worker import (
    Failed,
    Handle,
    Progress,
    Runner,
    ThreadRunner,
)

if TYPE_CHECKING:
    import napari.viewer
    from napari.components import ViewerModel
    from napari.layers import Labels

#: Modes of a layer in which nobody paints.
LOOKING = ("pan_zoom", "transform")

#: Pixels in which the title, two columns of the table and its buttons can be read.
MIN_WIDTH = 372
HINT = "Scores go into the table and into the features of the layers."


class CompareDock(Docked):
    """Score labels of the viewer against true ones.

    Parameters
    ----------
    napari_viewer : napari.viewer.Viewer
        napari passes it in.
    runner : Runner, optional
        Where work is done; by default in napari's worker threads.
    """

    def __init__(
        self, napari_viewer: napari.viewer.Viewer, runner: Runner | None = None
    ) -> None:
        super().__init__()
        self._viewer = cast("ViewerModel", unwrap(napari_viewer))
        self._runner = ThreadRunner() if runner is None else runner
        self.compared: Compared | None = None
        self._chosen: dict[str, weakref.ref[Labels]] = {}
        self._handle: Handle | None = None
        self._is_answered = False
        self._meanwhile: list[str] = []
        self.is_running = False
        self.form = CompareForm(self._viewer)
        self._make_buttons()
        self._make_results()
        self._lay_out()
        self.form.vacated.connect(self._on_vacated)
        self.left.connect(self.stop)
        self._show_running(False)
        # Without self in it: a bound method of a deleted widget is never called.
        self._gone = threading.Event()
        release = partial(_release, self.form.boxes, self._gone)
        self.destroyed.connect(release)
        weakref.finalize(self, release).atexit = False

    # ---- what the buttons do

    def compare(self) -> None:
        """Score what is chosen; the table follows."""
        if self.is_running:
            return
        try:
            request = self.form.request()
        except SegRefinerError as error:
            self.message_label.say(str(error), "notice")
            return
        self._chosen = {
            name: weakref.ref(layer)
            for name, layer in zip(request.layers, self.form.layers(), strict=True)
        }
        self._start(partial(compare, request), "Comparing…")

    def stop(self) -> None:
        """Stop at the next plane; nothing comes of it."""
        if self._handle is not None:
            self._handle.cancel()
            self.message_label.say(messages.STOPPING, "busy")

    def copy_table(self) -> None:
        """Put the table into the clipboard, to be pasted into a sheet."""
        QApplication.clipboard().setText(self.table.text())
        self.message_label.say("The table is in the clipboard.", "done")

    def save_json(self, path: str = "") -> None:
        """Write all scores; asks where if it is not told."""
        if self.compared is not None:
            self._save(self.compared.json, "Scores (*.json)", ".json", path)

    def save_page(self, path: str = "") -> None:
        """Write the report; asks where if it is not told."""
        if self.compared is not None:
            self._save(self.compared.page, "Report (*.html)", ".html", path)

    def _save(self, make: Callable[[], str], kind: str, ending: str, path: str) -> None:
        if self.is_running:
            return
        if not path:
            path, _ = QFileDialog.getSaveFileName(self, "Save", f"scores{ending}", kind)
        if not path:
            return
        file = Path(path)
        file = file if file.suffix else file.with_suffix(ending)
        self._start(partial(write, make, file), f"Writing {file.name}…")

    # ---- the work and its answers

    def _start(
        self, work: Callable[[threading.Event], Iterator[Any]], text: str
    ) -> None:
        """Begin; a dock that is gone when the work ends hears nothing of it."""
        gone, ref = self._gone, weakref.ref(self)

        def take(event: Any) -> None:
            if not gone.is_set() and (dock := ref()) is not None:
                dock._take(event)

        def end() -> None:
            if not gone.is_set() and (dock := ref()) is not None:
                dock._end()

        def until_gone(cancelled: threading.Event) -> Iterator[Any]:
            for event in work(cancelled):
                if gone.is_set():
                    return
                yield event

        self._is_answered, self._meanwhile = False, []
        self._show_running(True)
        show_share(self.progress_bar, None, "")
        self.message_label.say(text, "busy")
        handle = self._runner.start(until_gone, take, end)
        self._handle = handle if self.is_running else None

    def _take(self, event: Any) -> None:
        match event:
            case Progress(share=share):
                show_share(self.progress_bar, share, "")
            case Compared():
                self._is_answered = True
                self._show(event)
            case Written(file=file):
                self._is_answered = True
                self.message_label.say(f"Written to {file}", "done")
            case Failed(text=text):
                self._is_answered = True
                self.message_label.say(text, "notice")

    def _end(self) -> None:
        self._handle = None
        self._show_running(False)
        if not self._is_answered:
            self.message_label.say("Stopped; all is as it was.", "notice")

    def _on_vacated(self, name: str) -> None:
        """A chosen layer was deleted; what is at work has its own copy."""
        text = f"'{name}' was deleted; choose another layer in its place."
        if self.is_running:
            self._meanwhile.append(text)
        else:
            self.message_label.say(text, "notice")

    # ---- what is shown

    def _show(self, compared: Compared) -> None:
        """The table, the scores on the layers, and a sentence."""
        self.compared = compared
        self.table.show_scores(compared)
        notes = [*self._show_on_layers(compared), *self._meanwhile]
        tone: Tone = "notice" if self._meanwhile else "done"
        self.message_label.say(" ".join([summary(compared), *notes]), tone)

    def _show_on_layers(self, compared: Compared) -> list[str]:
        """Scores as features, gains as colours; returns what was not possible."""
        refused = []
        for name, ref in self._chosen.items():
            layer = ref()
            if layer is None or not is_listed(self._viewer, layer):
                continue
            rows = compared.objects[name]
            if not write_scores(layer, rows):
                refused.append(f"The features of '{layer.name}' were left alone.")
            if name != "coarse" and self.gain_check.isChecked():
                self._show_gain(layer, compared.arrays.layers[name], rows)
        return refused

    def _show_gain(self, layer: Labels, data: Any, rows: Rows) -> None:
        """Put the gains of a layer on top, in place of older ones of it.

        All other labels go out of sight: their colours would mix with the gains'. One
        that is being painted on stays: nothing is taken from under the brush.
        """
        layers = self._viewer.layers
        for one in map(unwrap, list(layers)):
            is_active = one is unwrap(layers.selection.active)
            is_painted = is_active and str(one.mode) not in LOOKING
            if (is_labels(one) and not is_painted) or "gain_of" in entry(one):
                one.visible = False
            if entry(one).get("gain_of") == layer.name:
                layers.remove(one)
        shown = gain_layer(layer, data, rows)
        insert_above(self._viewer, shown, layers[-1])
        active = layers.selection.active
        if active is not None and not active.visible:
            layers.selection.active = shown  # its status bar has the scores too

    def _show_running(self, is_running: bool) -> None:
        self.is_running = is_running
        self.stop_button.setEnabled(is_running)
        self.compare_button.setEnabled(not is_running)
        self.progress_bar.setVisible(is_running)
        has_results = self.compared is not None and not is_running
        for button in (self.copy_button, self.json_button, self.page_button):
            button.setEnabled(has_results)

    # ---- how it is built

    def _make_buttons(self) -> None:
        self.gain_check = QCheckBox("Colour objects by gain")
        self.gain_check.setChecked(True)
        self.gain_check.setToolTip(
            "Adds a layer: blue objects gained IoU, orange ones lost, grey ones did "
            "neither. All other labels are hidden then."
        )
        self.compare_button = emphasised(
            quiet_button(
                "Compare",
                "Score the coarse and the ticked labels against the truth; labels "
                "stay.",
            )
        )
        self.stop_button = quiet_button("Stop", "Stop at the next plane of a stack.")
        self.copy_button = quiet_button("Copy", "The table, to be pasted into a sheet.")
        self.json_button = quiet_button(
            "Save scores…", "All scores of all objects, as JSON."
        )
        self.page_button = quiet_button(
            "Save report…", "A page with charts and pictures, as HTML."
        )
        self.compare_button.clicked.connect(lambda: self.compare())
        self.stop_button.clicked.connect(lambda: self.stop())
        self.copy_button.clicked.connect(lambda: self.copy_table())
        self.json_button.clicked.connect(lambda: self.save_json())
        self.page_button.clicked.connect(lambda: self.save_page())

    def _make_results(self) -> None:
        self.progress_bar = progress_bar("What is done.", keeps_room=True)
        self.message_label = Sentence(HINT)
        self.table = ScoreTable()

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 8, 6, 8)
        layout.setSpacing(6)
        layout.addWidget(Scroll(self.form))
        layout.addWidget(self.gain_check)
        layout.addLayout(side_by_side((self.compare_button, 3), (self.stop_button, 1)))
        layout.addWidget(self.progress_bar)
        layout.addWidget(self.message_label)
        layout.addWidget(self.table, 1)
        layout.addLayout(
            side_by_side(
                (self.copy_button, 1), (self.json_button, 1), (self.page_button, 1)
            )
        )
        layout.addStretch(0)
        self.setMinimumWidth(MIN_WIDTH)


def _release(boxes: tuple[Any, ...], gone: threading.Event) -> None:
    """Hear no more of the viewer, and let what is at work end."""
    gone.set()
    for box in boxes:
        box.disconnect_viewer()
