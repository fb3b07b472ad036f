"""What a worker yields, and how it ends."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from napari.layers import Image, Labels

from napari_segrefiner.errors import InputError
from napari_segrefiner.options import RefineOptions
from napari_segrefiner.plugin.frames import Frame
from napari_segrefiner.plugin.images import plane_reader
from napari_segrefiner.plugin.planes import Plane
from napari_segrefiner.plugin.worker import (
    Failed,
    PlaneDone,
    Progress,
    RunRequest,
    guarded,
    refine_planes,
)
from tests.plugin.fake_engine import FakeEngine, expected, grown
from tests.plugin.stage import squares


def request(label: int | None = None, n_planes: int = 1) -> RunRequest:
    labels = np.stack([squares()] * n_planes)
    planes = tuple(Plane((1, 2), (at, 0, 0)) for at in range(n_planes))
    image = Image((labels > 0) * np.uint8(9))
    reader = plane_reader(image, Labels(labels), planes[0], None)
    return RunRequest(
        reader, labels, None, planes, label, RefineOptions(seed=4), "default"
    )


def test_frames_and_the_edit_carry_what_the_engine_made() -> None:
    asked = request()
    events = list(refine_planes(FakeEngine(), asked, threading.Event()))
    frames = [e for e in events if isinstance(e, Frame)]
    assert [f.step for f in frames] == [0, 1, 2] * 2
    coarse = asked.labels[0]
    mask = frames[1].masks[0]
    np.testing.assert_array_equal(mask.unpack(), grown(coarse == 2, 2)[mask.box.slices])
    (done,) = [e for e in events if isinstance(e, PlaneDone)]
    out = asked.labels.copy()
    out[done.plane.pixels(done.edit.ys, done.edit.xs)] = done.edit.after
    np.testing.assert_array_equal(out[0], expected(coarse))
    assert done.record == {"seed": 4}
    shares = [e.share for e in events if isinstance(e, Progress)]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_one_object_is_reported_alone() -> None:
    engine = FakeEngine()
    events = list(refine_planes(engine, request(label=5), threading.Event()))
    (done,) = [e for e in events if isinstance(e, PlaneDone)]
    assert [r.id for r in done.report] == [5]
    assert set(done.edit.after) == {5}
    assert engine.calls[0][1].ids == (5,)


def test_cancelling_closes_the_engine_within_a_step() -> None:
    engine, cancelled = FakeEngine(), threading.Event()
    events = refine_planes(engine, request(), cancelled)
    assert isinstance(next(events), Progress)
    assert isinstance(next(events), Frame)
    cancelled.set()
    left = list(events)
    assert not any(isinstance(e, Frame | PlaneDone) for e in left)
    assert engine.n_closed == 1


def test_planes_without_labels_are_passed_over() -> None:
    asked = request(n_planes=3)
    asked.labels[1] = 0
    events = list(refine_planes(FakeEngine(), asked, threading.Event()))
    done = [e.plane.position[0] for e in events if isinstance(e, PlaneDone)]
    assert done == [0, 2]


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RuntimeError("sizes\n  differ"), "RuntimeError: sizes differ"),
        (MemoryError(), "MemoryError: no details"),
        (KeyError("x"), "KeyError: 'x'"),
    ],
)
def test_any_exception_ends_as_one_sentence(error: Exception, text: str) -> None:
    engine = FakeEngine()
    engine.error = error
    events = list(
        guarded(lambda c: refine_planes(engine, request(), c), threading.Event())
    )
    assert events[-1] == Failed(f"The run failed: {text}")


@pytest.mark.parametrize(
    ("n_planes", "text"),
    [(1, "There are no values."), (3, "Plane 2 of 3: There are no values.")],
)
def test_what_is_wrong_with_an_image_is_told_with_its_plane(
    n_planes: int, text: str
) -> None:
    engine, asked = FakeEngine(), request(n_planes=n_planes)
    events = guarded(lambda c: refine_planes(engine, asked, c), threading.Event())
    for _ in range(n_planes // 2):
        while not isinstance(next(events), PlaneDone):
            pass
    engine.error = InputError("There are no values.")
    assert list(events)[-1] == Failed(text)


@pytest.mark.parametrize(
    ("label", "text"),
    [(None, "There is no label in this plane"), (5, "Label 5 is not in this plane")],
)
def test_nothing_to_refine_is_said(label: int | None, text: str) -> None:
    asked = request(label)
    asked.labels[:] = 0
    events = list(
        guarded(lambda c: refine_planes(FakeEngine(), asked, c), threading.Event())
    )
    assert isinstance(events[-1], Failed)
    assert text in events[-1].text
