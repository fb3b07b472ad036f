"""Which object needs a look first."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from napari_segrefiner.core.events import ObjectReport
from napari_segrefiner.geometry import Box
from napari_segrefiner.plugin.findings import Finding, Queue, count, finding, merge
from napari_segrefiner.plugin.planes import Plane

YX = Plane((0, 1), (0, 0))
BASE = Finding(1, "refined", 0.1, 0.1, YX, Box(0, 0, 4, 4))


def some(label: int, **changes: object) -> Finding:
    return replace(BASE, label=label, **changes)


def test_doubt_change_and_guards_make_need() -> None:
    queue = Queue()
    queue.update(
        [
            some(1, uncertainty=0.3),
            some(2, change=0.25),
            some(3, status="held", change=0.0),
            some(4, status="skipped", uncertainty=math.nan),
            some(5, status="unchanged", change=0.0, uncertainty=0.0),
        ]
    )
    assert [f.label for f in queue.ranked] == [3, 1, 2, 5]


def test_next_visits_each_once_then_says_so_and_begins_anew() -> None:
    queue = Queue()
    queue.update([some(i) for i in (1, 2)])
    visits = [queue.next() for _ in range(4)]
    assert [v and (v[0].label, v[1], v[2]) for v in visits] == [
        (1, 1, 2),
        (2, 2, 2),
        None,
        (1, 1, 2),
    ]


def test_an_object_refined_again_needs_a_look_again() -> None:
    queue = Queue()
    queue.update([some(1), some(2)])
    queue.next()
    queue.next()
    queue.update([some(2, change=0.9)])
    found = queue.next()
    assert found is not None
    assert found[0].label == 2


def test_an_object_in_many_planes_counts_once_at_its_worst() -> None:
    planes = [Plane((1, 2), (at, 0, 0)) for at in range(3)]
    merged = merge(
        [
            some(1, plane=planes[0], status="unchanged", change=0.0),
            some(1, plane=planes[1], change=0.4, uncertainty=math.nan),
            some(1, plane=planes[2], change=0.1, uncertainty=0.2),
        ]
    )
    assert merged[1] == some(1, plane=planes[1], change=0.4, uncertainty=0.2)
    assert count(merged) == {"refined": 1}


def test_what_was_found_in_other_planes_stays() -> None:
    planes = [Plane((1, 2), (at, 0, 0)) for at in range(2)]
    queue = Queue()
    queue.update([some(1, plane=planes[0], change=0.4)])
    queue.update([some(1, plane=planes[1], status="unchanged", change=0.0)])
    found = queue.next()
    assert found is not None
    assert (found[0].plane, found[0].change) == (planes[0], 0.4)
    queue.update([some(1, plane=planes[0], status="restored", change=0.0)])
    found = queue.next()
    assert found is not None
    assert (found[0].plane, found[0].status) == (planes[1], "unchanged")
    queue.update([some(1, plane=planes[1], status="restored", change=0.0)])
    assert queue.ranked == []
    assert queue.of([1])[1].status == "restored"


@pytest.mark.parametrize("status", ["refined", "skipped"])
def test_finding_of_a_report(status: str) -> None:
    report = ObjectReport(7, status, 10, 12, 0.75, math.nan, 0, Box(0, 0, 1, 1))
    found = finding(YX, report)
    assert found.change == pytest.approx(0.25 if status == "refined" else 0.0)
    assert found.label == 7


def test_what_the_others_said_is_that_of_planes_that_changed() -> None:
    planes = [Plane((1, 2), (at, 0, 0)) for at in range(2)]
    moved = replace(some(1, plane=planes[0], change=0.1), consensus="small")
    stayed = some(1, plane=planes[1], status="unchanged", change=0.0, uncertainty=0.9)
    for order in ([moved, stayed], [stayed, moved]):
        assert merge(order)[1].consensus == "small"
    changed = some(1, plane=planes[0], change=0.1)
    held = replace(some(1, plane=planes[1], status="held"), consensus="small")
    for order in ([changed, held], [held, changed]):
        assert merge(order)[1].consensus == "none"
