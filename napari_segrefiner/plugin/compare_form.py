"""Which layers are compared: the choices, and guesses from the layers' names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QWidget

from napari_segrefiner.plugin.compare import Request, read_layers
from napari_segrefiner.plugin.controls import SteadyComboBox, form_layout
from napari_segrefiner.plugin.layer_box import LayerBox
from napari_segrefiner.plugin.layer_list import LayerList
from napari_segrefiner.plugin.layers import is_image, is_labels, sounds_true

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Labels

PAIRINGS = {
    "auto": "automatic",
    "id": "by id",
    "overlap": "by overlap",
}


class CompareForm(QWidget):
    """Rows of choices.

    ``vacated`` is emitted with the name of a chosen layer that was deleted: its box is
    empty then, for whatever took its place would be nobody's choice.
    """

    vacated = Signal(str)

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        none = "choose labels"
        self.truth_box = LayerBox(viewer, is_labels, none, is_refilled=False)
        self.truth_box.set_tip("The true labels, as an expert drew them.")
        self.coarse_box = LayerBox(viewer, is_labels, none, is_refilled=False)
        self.coarse_box.set_tip("The labels before refinement; they decide the pairs.")
        self.refined_list = LayerList(viewer)
        self.refined_list.setToolTip(
            "Labels after refinement, with the ids of the coarse ones; tick any number."
        )
        self.image_box = LayerBox(viewer, is_image, "no image", is_refilled=False)
        self.image_box.set_tip("For the pictures of the report.")
        self.pairing_box = SteadyComboBox()
        for name, text in PAIRINGS.items():
            self.pairing_box.addItem(text, name)
        self.pairing_box.setToolTip(
            "How coarse objects find their true ones; automatic: by id if both layers "
            "hold the same ids, else by overlap."
        )
        form = form_layout(self)
        form.addRow("Truth", self.truth_box)
        form.addRow("Coarse", self.coarse_box)
        form.addRow("Refined", self.refined_list)
        form.addRow("Image", self.image_box)
        form.addRow("Pairs", self.pairing_box)
        self._is_vacated = False
        self.truth_box.vacated.connect(self._on_truth_vacated)
        for box in (self.truth_box, self.coarse_box):
            box.chosen.connect(self._hide_chosen)
            box.offered.connect(self._guess_again)
        for box in (self.truth_box, self.coarse_box, self.image_box):
            box.vacated.connect(self.vacated)
        self._guess()
        self._hide_chosen()

    @property
    def boxes(self) -> tuple[LayerBox | LayerList, ...]:
        """All that follows the viewer."""
        return self.truth_box, self.coarse_box, self.image_box, self.refined_list

    def layers(self) -> tuple[Labels, ...]:
        """The coarse labels and the ticked ones, in the order of the request."""
        return (self.coarse_box.layer, *self._refined())

    def request(self) -> Request:
        """The chosen layers, copied.

        Raises
        ------
        InputError
            If they cannot be compared.
        """
        return read_layers(
            self.truth_box.layer,
            self.coarse_box.layer,
            self._refined(),
            self.image_box.layer,
            self.pairing_box.currentData(),
        )

    def _refined(self) -> list[Labels]:
        # Whatever else is ticked: those two stand above already.
        above = (self.truth_box.layer, self.coarse_box.layer)
        return [one for one in self.refined_list.layers if one not in above]

    def _hide_chosen(self) -> None:
        """The truth and the coarse labels are no refined ones."""
        self.refined_list.hide_layers(self.truth_box.layer, self.coarse_box.layer)

    def _on_truth_vacated(self) -> None:
        """The chosen truth was deleted: the next one is for the user to choose."""
        self._is_vacated = True

    def _guess_again(self) -> None:
        """Layers came or went: one that stands in both boxes was nobody's choice."""
        truth, coarse = self.truth_box.layer, self.coarse_box.layer
        if truth is coarse and truth is not None:
            self._guess()
        elif truth is None and not self._is_vacated:
            self._guess_truth()

    def _guess(self) -> None:
        """Choose by name what is likely meant; what we have made is no truth."""
        ours = self.refined_list.layers
        others = [one for one in self.truth_box.layers if one not in ours]
        self._guess_truth()
        truth = self.truth_box.layer
        is_alone = len(others) < 2 and truth is not None and not sounds_true(truth)
        if truth in ours or is_alone:  # it is what was refined, or is going to be
            self.truth_box.setCurrentIndex(-1)
        rest = [one for one in others if one is not self.truth_box.layer]
        if rest:
            self.coarse_box.choose(rest[-1])
        elif self.coarse_box.layer in ours:
            self.coarse_box.setCurrentIndex(-1)

    def _guess_truth(self) -> None:
        """Choose as the truth what is called so."""
        for layer in self.truth_box.layers:
            if sounds_true(layer) and layer is not self.coarse_box.layer:
                self.truth_box.choose(layer)
                return
