"""What a run found out about each object, in the order in which it needs a look."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from napari_segrefiner.core.events import ObjectReport
from napari_segrefiner.geometry import Box
from napari_segrefiner.plugin.planes import Plane

#: Which status stands for an object that had several, in several planes.
ORDER = ("refined", "held", "kept", "unchanged", "skipped")
RESTORED = "restored"
#: Added to the need of objects whose coarse mask a guard has kept: the network had
#: something to say that was not trusted, so a person should look.
HELD_BONUS = 0.5


@dataclass(frozen=True)
class Finding:
    """One object of a result.

    ``change`` is 1 - IoU of coarse and refined mask, ``uncertainty`` the network's mean
    doubt, both in [0, 1] (NaN when skipped); of several planes the largest.
    ``plane`` and ``box`` tell where to look; ``mode`` is how it was refined, as an
    ObjectReport has it, in ``n_windows`` windows, and ``consensus`` what its others
    said. ``status`` is an ObjectReport's, or ``restored``.
    """

    label: int
    status: str
    change: float
    uncertainty: float
    plane: Plane
    box: Box
    mode: str = "objects"
    n_windows: int = 0
    consensus: str = "none"

    @property
    def need(self) -> float:
        """How much it needs a look; more is earlier."""
        doubt = 0.0 if math.isnan(self.uncertainty) else self.uncertainty
        return self.change + doubt + HELD_BONUS * (self.status in ("held", "kept"))


def finding(plane: Plane, report: ObjectReport) -> Finding:
    """The finding of one object's report."""
    skipped = report.status == "skipped"
    return Finding(
        label=report.id,
        status=report.status,
        change=0.0 if skipped else 1.0 - report.iou,
        uncertainty=math.nan if skipped else report.uncertainty,
        plane=plane,
        box=report.box,
        mode=report.mode,
        n_windows=report.n_windows,
        consensus=report.consensus,
    )


def merge(findings: Iterable[Finding]) -> dict[int, Finding]:
    """One finding per label: an object of many planes counts once, at its worst.

    It is restored where it is so in all of them.
    """
    merged: dict[int, Finding] = {}
    for new in findings:
        old = merged.get(new.label)
        if old is None or old.status == RESTORED:
            merged[new.label] = new
            continue
        if new.status == RESTORED:
            continue
        worst = max(old, new, key=lambda f: f.need)
        uncertainties = [
            f.uncertainty for f in (old, new) if not math.isnan(f.uncertainty)
        ]
        merged[new.label] = replace(
            worst,
            status=min(old.status, new.status, key=ORDER.index),
            change=max(old.change, new.change),
            uncertainty=max(uncertainties, default=math.nan),
            n_windows=old.n_windows + new.n_windows,
            consensus=_told_of_change(new) or _told_of_change(old) or "none",
        )
    return merged


def _told_of_change(one: Finding) -> str:
    """What the others said of an object that changed; empty if it stayed."""
    has_changed = one.status == "refined" and one.consensus != "none"
    return one.consensus if has_changed else ""


def count(findings: Mapping[int, Finding]) -> Counter[str]:
    """How many objects have each status."""
    return Counter(f.status for f in findings.values())


def count_modes(findings: Mapping[int, Finding]) -> Counter[str]:
    """How many objects that were worked on were refined in which way."""
    return Counter(f.mode for f in findings.values() if f.status != "skipped")


def count_consensus(findings: Mapping[int, Finding]) -> Counter[str]:
    """Of how many objects that changed all others said what."""
    return Counter(f.consensus for f in findings.values() if f.status == "refined")


@dataclass
class Queue:
    """The objects of one result layer, to be looked at one after the other.

    Attributes
    ----------
    planes : dict
        Of each label what was found in each plane.
    seen : set of int
        Labels that were looked at.
    """

    planes: dict[int, dict[Plane, Finding]] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)

    def update(self, new: Iterable[Finding], *, look_again: bool = True) -> None:
        """Take over newer findings; as a rule those objects need a look again."""
        for one in new:
            self.planes.setdefault(one.label, {})[one.plane] = one
            if look_again:
                self.seen.discard(one.label)

    def of(self, labels: Iterable[int]) -> dict[int, Finding]:
        """One finding for each of these labels that has any."""
        planes = (self.planes.get(label, {}) for label in labels)
        return merge(found for one in planes for found in one.values())

    @property
    def ranked(self) -> list[Finding]:
        """All objects that were worked on, the neediest first, then by label."""
        worked_on = [
            f
            for f in self.of(self.planes).values()
            if f.status not in ("skipped", RESTORED)
        ]
        return sorted(worked_on, key=lambda f: (-f.need, f.label))

    def next(
        self,
        is_there: Callable[[Finding], bool] = lambda _: True,
        is_accepted: Callable[[int], bool] = lambda _: False,
    ) -> tuple[Finding, int, int] | None:
        """The next object not seen yet, its place and their number; None at the end.

        Those that are not there any more are left out, and accepted ones passed by.
        After the end it begins anew.
        """
        ranked = [item for item in self.ranked if is_there(item)]
        for place, item in enumerate(ranked):
            if item.label not in self.seen and not is_accepted(item.label):
                self.seen.add(item.label)
                return item, place + 1, len(ranked)
        self.seen.clear()
        return None
