"""Whether what was learnt from corrections is kept, and the words for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_segrefiner.training.events import HeldBack, LearningDone

#: An object is harmed if its IoU falls by more than this, as in validations.
HARM = 0.05
#: What an object that was accepted as it came may lose (IoU).
TOLERANCE = 0.05
#: What made-up objects may lose (IoU).
FORGETTABLE = 0.01
#: Below so many objects a figure is a hint.
FEW = 10


def is_worth_keeping(done: LearningDone) -> bool:
    """Whether what was learnt is no worse than before.

    The mean of the held-back objects is not lower, no more of them are harmed than
    helped, and the made-up objects have not suffered.
    """
    changes = [_change(one) for one in done.held_back]
    harmed = sum(change < -HARM for change in changes)
    helped = sum(change > HARM for change in changes)
    return (
        sum(changes) >= 0
        and harmed <= helped
        and done.general_after >= done.general_before - FORGETTABLE
    )


def _change(one: HeldBack) -> float:
    """What an object gained, in IoU.

    Whoever accepted an object as it came would have accepted one that is nearly the
    same, so of these only the loss beyond TOLERANCE counts.
    """
    if one.was_right:
        return min(one.after - one.before + TOLERANCE, 0.0)
    return one.after - one.before


def describe(done: LearningDone, *, is_better: bool, is_folded: bool) -> str:
    """The result in words, with how much it rests on."""
    n_wrong, n_right = len(done.wrong), len(done.right)
    what = f"{n_wrong} corrected object{'s' if n_wrong > 1 else ''}"
    how = "each held back once" if is_folded else "held back"
    figures = f"{what}, {how}: IoU {done.before:.3f} before, {done.after:.3f} after"
    if n_right:
        after = sum(one.after for one in done.right) / n_right
        figures += f"; those it had right ({n_right}) are at {after:.3f} now"
    few = " Few objects: take it as a hint." if n_wrong < FEW else ""
    if is_better:
        return f"{figures}. The new model is kept.{few}"
    if done.general_after < done.general_before - FORGETTABLE:
        return (
            f"{figures}, but it has forgotten other objects (IoU "
            f"{done.general_before:.3f} to {done.general_after:.3f}). The model stays "
            "as it was."
        )
    return f"{figures}. The model stays as it was; correct more objects.{few}"
