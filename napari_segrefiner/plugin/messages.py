"""The sentences of the dock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from napari_segrefiner.core.events import outcome
from napari_segrefiner.plugin.view import Job

READY = "Ready."
LOADING = "Loading the model…"
STOPPING = "Stopping…"
STOPPED = "Stopped; nothing was changed."
NO_IMAGE = "There is no image; open one, then refine."
NO_LABELS = (
    "There are no labels; add a Labels layer and paint or load coarse masks. If they "
    "were opened as an image, right-click that layer: Convert to Labels."
)
NO_OBJECT = "There is no object under the cursor; point at one, then press R."
NO_SELECTION = "No label is selected; pick an object with the picker (L), then refine."
NO_RESULT = "There is nothing to look at yet; refine some labels first."
ALL_SEEN = "All objects were looked at; N begins anew."
ALL_ACCEPTED = "All objects are accepted."
IN_NEW_LAYER = "; in a new layer, where Shift+R takes it back"
NO_RESTORE = "Point at an object of a refined layer, then press Shift+R."
SAME = "That object is as coarse as it was."
IN_PLACE = "The coarse labels were in this layer itself; Ctrl+Z shows them again."
RESHAPED = "The labels changed their shape during the run; nothing was written."
PAINTING = "Done; it is written as soon as the stroke or polygon ends."
DISTURBED = (
    "Something else in napari failed while the result was written; look whether all of "
    "it is there."
)
NOT_LEARNT = "Stopped; the model is as it was, and so are all marks."
NO_ACCEPT = (
    "Select an object of a refined layer (picker: L), then press K to accept it."
)
NO_OTHERS = (
    "There are no other objects in sight: all are accepted or edited, or none is "
    "refined."
)


def hidden(layer: str) -> str:
    """The sentence if the layer whose object is to be refined is not in sight."""
    return f"'{layer}' is hidden; show it, or select the layer that you see."


def behind(layer: str, result: str) -> str:
    """The sentence if the layer to be written into is hidden behind its result."""
    return (
        f"'{layer}' would be written into, but '{result}' is what you see; show the "
        "first, or choose the second as labels."
    )


def undone(layer: str, *, is_done: bool) -> str:
    """The sentence after Ctrl+Z, or after its opposite."""
    if is_done:
        return f"Done again in '{layer}'; Ctrl+Z takes it back."
    return f"Taken back in '{layer}'; Ctrl+Shift+Z does it again."


def source_changed(source: str) -> str:
    """The sentence where the coarse labels of a result are others by now."""
    return f"'{source}' holds other labels now; refine these to get a new result."


def source_gone(result: str, source: str) -> str:
    """The sentence where the coarse labels of a result are needed.

    Examples
    --------
    >>> source_gone("cells refined", "cells").partition(";")[0]
    "'cells refined' was made from 'cells', which is not open in its shape"
    """
    return (
        f"'{result}' was made from '{source}', which is not open in its shape; open "
        "it again, or use Ctrl+Z."
    )


def busy(job: Job | None) -> str:
    """Why something has to wait."""
    what = "A model is learning" if job == "learning" else "A run is at work"
    return f"{what}; wait for it or press Stop."


def finished(counts: Mapping[str, int], where: str, passes: str, n_left: int) -> str:
    """The sentence at the end of a run.

    Examples
    --------
    >>> finished({"refined": 24}, in_planes(1, "4 of 10"), "", 0)
    '24 refined in plane 4 of 10'
    """
    return outcome(counts) + where + passes + kept_by_hand(n_left)


def in_planes(n_planes: int, place: str) -> str:
    """How many planes were refined, or which one of a stack (empty if of none)."""
    if n_planes > 1:
        return f" in {n_planes:,} planes"
    return f" in plane {place}" if place else ""


def put_aside(layer: str, n_planes: int, n_corrected: int) -> str:
    """What is said if an older result is hidden that holds work of its own.

    Parameters
    ----------
    layer : str
    n_planes : int
        That are refined there alone.
    n_corrected : int
        Objects that are accepted or edited there.

    Examples
    --------
    >>> put_aside("cells refined", 0, 2)
    "; 'cells refined' with 2 corrected objects is hidden now"
    """
    counted = ((n_planes, "other refined plane"), (n_corrected, "corrected object"))
    held = [f"{n:,} {what}{'s' if n > 1 else ''}" for n, what in counted if n]
    return f"; '{layer}' with {' and '.join(held)} is hidden now" if held else ""


def into_itself(layer: str) -> str:
    """What is said beside the outcome if no new layer was made.

    Examples
    --------
    >>> into_itself("cells")
    "; written into 'cells' itself"
    """
    return f"; written into '{layer}' itself"


def kept_by_hand(n_pixels: int) -> str:
    """What happened to pixels that were painted during the run."""
    if not n_pixels:
        return ""
    if n_pixels == 1:
        return "; 1 pixel painted meanwhile stays as it is"
    return f"; {n_pixels:,} pixels painted meanwhile stay as they are"


def apart(labels: str, image: str) -> str:
    """What is said beside the outcome if the layers do not lie on each other."""
    return (
        f"; '{labels}' does not lie on '{image}' in the window, but pixel on pixel was "
        "taken as belonging together"
    )


def many_parts(label: int, n_parts: int) -> str:
    """What is said beside the outcome if the only label may be a mask of many objects.

    Examples
    --------
    >>> many_parts(1, 1200)
    '; label 1 has 1,200 parts: if they are bodies, set Labels are: classes (Advanced)'
    """
    return (
        f"; label {label} has {n_parts:,} parts: if they are bodies, set Labels are: "
        "classes (Advanced)"
    )


def one_finished(
    label: int, status: str, change: float, passes: str, n_left: int
) -> str:
    """The sentence after one object.

    Examples
    --------
    >>> one_finished(7, "refined", 0.124, "", 0)
    'Label 7 refined, 12 % changed'
    """
    texts = {
        "refined": f"Label {label} refined, {percent(change)} changed",
        "unchanged": f"Label {label} stays as it is: the model agrees, or nearly",
        "held": f"Label {label} held: the model was too unsure, the coarse mask stays",
        "kept": f"Label {label} kept: it would have vanished",
        "skipped": f"Label {label} skipped: it is smaller than the minimum area",
    }
    sentence = texts.get(status, f"Label {label}: {status}")
    return sentence + passes + kept_by_hand(n_left)


def refining(what: str, number: int, n_planes: int) -> str:
    """The sentence while a run is at work; planes are counted from 1."""
    return f"Refining {what}…" + (
        f" plane {number} of {n_planes}" if n_planes > 1 else ""
    )


def stopped_at(n_done: int, n_planes: int) -> str:
    """The sentence after Stop in a stack of planes."""
    if not n_done:
        return STOPPED
    return f"Stopped; {planes_refined(n_done, n_planes)}"


def planes_refined(n_done: int, n_planes: int) -> str:
    """What has become of a stack whose run has ended early.

    Examples
    --------
    >>> planes_refined(2, 4)
    '2 of 4 planes are refined, the others as before'
    """
    return f"{n_done} of {n_planes} planes are refined, the others as before"


def look_at(
    label: int, place: int, total: int, status: str, change: float, doubt: float
) -> str:
    """The sentence for an object in review."""
    doubt_text = "" if doubt != doubt else f", uncertainty {percent(doubt)}"
    return (
        f"{place:,} of {total:,}: label {label} {status}, {percent(change)} changed"
        f"{doubt_text}"
    )


def accepted(label: int, n_corrected: int, least: int) -> str:
    """The sentence after an object was accepted.

    Examples
    --------
    >>> accepted(7, 3, 5)
    'Label 7 accepted; 3 of the 5 objects that learning needs'
    >>> accepted(7, 8, 5)
    'Label 7 accepted; 8 objects to learn from'
    """
    if n_corrected < least:
        return (
            f"Label {label} accepted; {n_corrected} of the {least} objects that "
            "learning needs"
        )
    return f"Label {label} accepted; {n_corrected:,} objects to learn from"


def not_accepted(label: int, *, is_edited: bool) -> str:
    """The sentence after that was taken back."""
    more = "; it still counts, for it was edited by hand" if is_edited else ""
    return f"Label {label} is not accepted any more{more}"


def not_there(label: int) -> str:
    """The sentence for an object that cannot be accepted."""
    return (
        f"Label {label} is not refined in this plane; select an object of a refined "
        "layer, then press K."
    )


def too_few(n_corrected: int, least: int) -> str:
    """The sentence if there is too little to learn from.

    Examples
    --------
    >>> too_few(3, 5).partition(".")[0]
    'Learning needs 5 corrected objects, 2 more'
    """
    return (
        f"Learning needs {least} corrected objects, {least - n_corrected} more. Paint "
        "what is wrong in refined objects, or select good ones and press K."
    )


def learning(n_objects: int) -> str:
    """The sentence while a model learns."""
    return f"Learning from {n_objects:,} objects… you can go on looking and painting"


def learnt(sentence: str, name: str, n_others: int) -> str:
    """The sentence after a model has learnt; `name` is empty if it was refused."""
    if not name:
        return sentence
    text = f"{sentence} It is now chosen, as '{name}'."
    if n_others:
        text += f" The button below refines the {n_others:,} other objects with it."
    return text


def adding(file: str) -> str:
    """The sentence while a weight file is checked."""
    return f"Checking {file}…"


def added(name: str, notes: Sequence[str]) -> str:
    """The sentence after a model was added.

    Examples
    --------
    >>> added("mine", ())
    "Model 'mine' is added and ready."
    """
    return " ".join([f"Model '{name}' is added and ready.", *notes])


def removed(name: str) -> str:
    """The sentence when a layer of the run was deleted."""
    return f"'{name}' was deleted, so the run was stopped."


def percent(share: float) -> str:
    """A share in whole percent, but never 0 % for something.

    Examples
    --------
    >>> percent(0.001), percent(0.126)
    ('< 1 %', '13 %')
    """
    return "< 1 %" if 0 < share < 0.005 else f"{share:.0%}".replace("%", " %")


def remaining(share: float, elapsed_s: float) -> str:
    """The time left, told as coarsely as it is known.

    Examples
    --------
    >>> remaining(0.5, 8.0)
    '8 s left'
    """
    if share <= 0.02 or elapsed_s < 0.5:
        return ""
    return time_left(elapsed_s * (1 - share) / share)


def time_left(left: float) -> str:
    """Seconds in words."""
    if left < 90:
        return f"{max(round(left), 1)} s left"
    if left < 90 * 60:
        return f"{round(left / 60)} min left"
    return f"{left / 3600:.1f} h left"
