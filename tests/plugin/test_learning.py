"""Learn from my corrections: what is pressed, what is told, and what comes of it."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from app_model.types import KeyBinding
from qtpy.QtCore import Qt
from scipy.ndimage import binary_erosion

from napari_segrefiner.errors import ModelError
from napari_segrefiner.plugin import messages
from napari_segrefiner.plugin.engine import Learnt, PackagedEngine
from napari_segrefiner.plugin.keys import KEYS
from napari_segrefiner.plugin.settings import Settings
from napari_segrefiner.training.correction_data import Correction
from tests.plugin.fake_engine import STEPS, FakeEngine, expected
from tests.plugin.stage import Stage, SteppedRunner

pytestmark = pytest.mark.gui


def many() -> np.ndarray:
    """Labels 1 to 7, far from each other."""
    labels = np.zeros((60, 150), np.uint16)
    for label in range(1, 8):
        labels[20:32, 20 * label - 12 : 20 * label - 2] = label
    return labels


@pytest.fixture
def stage() -> Stage:
    return Stage((many() > 0) * np.uint8(200), many())


def press(button: Any, qtbot: Any) -> None:
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)


def until_idle(dock: Any, qtbot: Any) -> None:
    qtbot.waitUntil(lambda: not dock.controller.is_running, timeout=10_000)


def message(dock: Any) -> str:
    return str(dock.message_label.text())


@pytest.fixture
def refined(make_dock: Any, qtbot: Any) -> Any:
    """A viewer, its dock and a result with 7 objects."""
    viewer, dock = make_dock()
    viewer.add_image((many() > 0) * np.uint8(200), name="picture")
    viewer.add_labels(many(), name="cells")
    press(dock.refine_button, qtbot)
    until_idle(dock, qtbot)
    return viewer, dock, viewer.layers["cells refined"]


def accept(viewer: Any, result: Any, *labels: int) -> None:
    """Press K on objects."""
    for label in labels:
        result.selected_label = label
        viewer.keymap[KeyBinding.validate(KEYS["accept_object"])](viewer)


# ---- in the dock


def test_the_button_counts_what_is_accepted_and_painted(
    refined: Any, qtbot: Any
) -> None:
    viewer, dock, result = refined
    qtbot.waitUntil(lambda: dock.others_button.text() == "Refine the 7 others")
    assert dock.learn_button.text() == "Learn from my corrections (0)"
    assert dock.others_button.isHidden()
    accept(viewer, result, 2, 3)
    result.data_setitem((np.array([50]), np.array([5])), 1)
    qtbot.waitUntil(lambda: "(3)" in dock.learn_button.text())
    assert dock.others_button.text() == "Refine the 4 others"
    assert not dock.others_button.isHidden()
    result.undo()
    qtbot.waitUntil(lambda: "(2)" in dock.learn_button.text())
    press(dock.accept_button, qtbot)  # 3 is selected
    qtbot.waitUntil(lambda: "(1)" in dock.learn_button.text())
    viewer.layers.remove("picture")
    qtbot.waitUntil(lambda: "(0)" in dock.learn_button.text())


def test_too_few_objects_are_told_with_what_to_do(
    refined: Any, engine: FakeEngine, qtbot: Any
) -> None:
    viewer, dock, result = refined
    accept(viewer, result, 2, 3)
    press(dock.learn_button, qtbot)
    assert message(dock) == "⚠ " + messages.too_few(2, 5)
    assert "3 more" in message(dock)
    assert not engine.lessons
    assert dock.refine_button.isEnabled()


def test_the_new_model_is_chosen_and_refines_the_others(
    refined: Any, engine: FakeEngine, qtbot: Any, monkeypatch: Any
) -> None:
    viewer, dock, result = refined
    offered: list[str] = []

    def select(name: str) -> None:
        offered.append(name)
        dock.form.model_box._model = name
        dock.form.model_box.chosen.emit()

    monkeypatch.setattr(dock.form.model_box, "select", select)
    accept(viewer, result, 1, 2, 3, 4, 5)
    before = result.data.copy()
    engine.gate = threading.Semaphore(1)
    press(dock.learn_button, qtbot)
    qtbot.waitUntil(lambda: "60 s left" in dock.progress_bar.format())
    assert dock.progress_bar.value() == round(1000 / STEPS)
    assert message(dock) == messages.learning(5)
    assert dock.stop_button.isEnabled()
    for button in (dock.refine_button, dock.learn_button, dock.others_button):
        assert not button.isEnabled()
    engine.gate.release(100)
    until_idle(dock, qtbot)
    ((model, _, lessons),) = engine.lessons
    assert model == "default"
    assert lessons[0].ids == (1, 2, 3, 4, 5)
    assert offered == ["taught"]
    wanted = messages.learnt(engine.learnt.sentence, "taught", 2)
    qtbot.waitUntil(lambda: message(dock) == "✓ " + wanted)
    assert dock.learn_button.isEnabled()
    engine.by = 1
    press(dock.others_button, qtbot)
    until_idle(dock, qtbot)
    assert engine.calls[-1][0] == "taught"
    assert engine.calls[-1][1].ids == (6, 7)
    corrected = np.isin(before, (1, 2, 3, 4, 5))
    np.testing.assert_array_equal(result.data[corrected], before[corrected])
    for label in (6, 7):
        assert (result.data == label).sum() < (before == label).sum()


def test_stop_ends_the_learning_within_a_step_and_loses_nothing(
    refined: Any, engine: FakeEngine, qtbot: Any
) -> None:
    viewer, dock, result = refined
    accept(viewer, result, 1, 2, 3, 4, 5)
    before = result.data.copy()
    engine.gate = threading.Semaphore(1)
    press(dock.learn_button, qtbot)
    qtbot.waitUntil(lambda: "left" in dock.progress_bar.format())
    press(dock.stop_button, qtbot)
    engine.gate.release(1)
    until_idle(dock, qtbot)
    assert engine.n_closed == 1
    assert message(dock) == "⚠ " + messages.NOT_LEARNT
    assert dock.form.model_box.model == "default"
    np.testing.assert_array_equal(result.data, before)
    engine.gate.release(100)
    press(dock.learn_button, qtbot)
    until_idle(dock, qtbot)
    assert [one.ids for _, _, (one,) in engine.lessons] == [(1, 2, 3, 4, 5)] * 2


def test_removing_the_dock_ends_the_learning(
    refined: Any, engine: FakeEngine, qtbot: Any
) -> None:
    viewer, dock, result = refined
    accept(viewer, result, 1, 2, 3, 4, 5)
    engine.gate = threading.Semaphore(1)
    press(dock.learn_button, qtbot)
    qtbot.waitUntil(lambda: "left" in dock.progress_bar.format())
    viewer.window.remove_dock_widget(dock)
    engine.gate.release(100)
    until_idle(dock, qtbot)
    assert engine.n_closed == 1
    assert not dock.count_timer.isActive()


# ---- without a window


def test_a_model_that_is_no_better_is_refused_in_one_sentence(stage: Stage) -> None:
    teach(stage)
    stage.engine.learnt = Learnt("", "It is worse. The model stays as it was.")
    stage.controller.learn()
    stage.work.finish()
    assert (stage.message, stage.tone) == (
        "It is worse. The model stays as it was.",
        "notice",
    )
    stage.view.show_model.assert_not_called()
    stage.view.show_job.assert_called_with(None)


@pytest.mark.parametrize("error", [ModelError("No memory."), RuntimeError("cuda")])
def test_a_failure_is_one_sentence_and_the_next_one_works(
    stage: Stage, error: Exception
) -> None:
    teach(stage)
    stage.engine.error = error
    stage.controller.learn()
    stage.work.finish()
    assert str(error) in stage.message
    assert stage.tone == "notice"
    assert not stage.controller.is_running
    stage.engine.error = None
    stage.controller.learn()
    stage.work.finish()
    stage.view.show_model.assert_called_once_with("taught")


@pytest.mark.parametrize("n_events", range(0, 2 * STEPS + 3, 2))
def test_stop_at_any_moment(stage: Stage, n_events: int) -> None:
    teach(stage)
    stage.controller.learn()
    stage.work.step(n_events)
    stage.controller.stop()
    stage.work.finish()
    assert not stage.controller.is_running
    has_learnt = stage.view.show_model.called
    assert has_learnt == (stage.message != messages.NOT_LEARNT)
    assert has_learnt == (n_events == 2 * STEPS + 2)


def test_meanwhile_nothing_is_refined_but_all_else_goes_on(stage: Stage) -> None:
    teach(stage)
    stage.controller.learn()
    stage.work.step(2)
    n_works = len(stage.runner.works)
    for start in (
        stage.controller.refine,
        stage.controller.learn,
        stage.controller.refine_others,
        lambda: stage.controller.refine_object(stage.result, 6),
    ):
        start()
        assert stage.message == messages.busy("learning")
    assert len(stage.runner.works) == n_works
    stage.result.selected_label = 6
    stage.controller.accept_object()
    stage.point_at(25, 15)
    stage.controller.restore_object()
    assert "coarse again" in stage.message
    (lesson,) = stage.engine.lessons[0][2]
    np.testing.assert_array_equal(lesson.fine, expected(many()))
    stage.work.finish()
    assert "taught" in stage.message
    stage.controller.refine_object(stage.result, 7)
    assert stage.controller.is_running
    stage.work.finish()


def test_during_a_run_nothing_is_learnt(stage: Stage) -> None:
    teach(stage)
    stage.controller.refine_object(stage.result, 7)
    stage.controller.learn()
    assert stage.message == messages.busy("object")
    stage.work.finish()
    assert not stage.engine.lessons


def test_the_choices_of_the_dock_are_those_of_the_test(stage: Stage) -> None:
    teach(stage)
    options = dataclasses.replace(stage.choices.options, steps=3)
    stage.choose(model="mine", options=options)
    stage.controller.learn()
    stage.work.finish()
    assert stage.engine.lessons[0][:2] == ("mine", options)


def test_after_closing_a_learning_says_nothing(stage: Stage) -> None:
    teach(stage)
    stage.controller.learn()
    stage.work.step(2)
    stage.controller.close(is_viewer_alive=True)
    assert not stage.controller.is_running
    stage.view.reset_mock()
    stage.work.finish()
    assert not stage.view.mock_calls
    assert stage.engine.n_closed == 1


def teach(stage: Stage) -> None:
    """Refine and accept five objects."""
    stage.run()
    for label in range(1, 6):
        stage.result.selected_label = label
        stage.controller.accept_object()


# ---- the package's own learning


def lesson(n: int, name: str) -> Correction:
    from tests.training.test_correction_data import grid_of_discs

    return grid_of_discs(n)._replace(name=name)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: Any) -> Path:
    """The user's own folder of models."""
    folder = tmp_path / "models"
    monkeypatch.setenv("NAPARI_SEGREFINER_MODELS", str(folder))
    return folder


def fake_learn(monkeypatch: Any, is_better: bool) -> list[Any]:
    """Training that hands the old model over, or refuses; gives what it was given."""
    from napari_segrefiner.training import corrections
    from napari_segrefiner.training.events import LearningDone, LearningStarted

    given: list[Any] = []

    def learn(corrected: Any, model: Any, **options: Any) -> Any:
        given.append((corrected, model, options))
        yield LearningStarted(5, 5, 2)
        yield LearningDone(model if is_better else None, (), 0.8, 0.8, "So it is.")

    monkeypatch.setattr(corrections, "learn", learn)
    return given


def test_what_was_learnt_joins_the_models_under_a_new_name(
    models: Path, monkeypatch: Any
) -> None:
    from napari_segrefiner.models.catalogue import entries
    from napari_segrefiner.options import RefineOptions

    given = fake_learn(monkeypatch, is_better=True)
    engine = PackagedEngine()
    options = RefineOptions(device="cpu", steps=3)
    lessons = [lesson(5, "a"), lesson(6, "b"), lesson(5, "a")]
    names = []
    for model in ("default", "default", "default-corrected"):
        *_, last = engine.learn(model, options, lessons)
        assert isinstance(last, Learnt)
        assert last.sentence == "So it is."
        names.append(last.name)
    assert names == ["default-corrected", "default-corrected-2", "default-corrected-3"]
    assert given[0][2]["device"] == "cpu"
    assert given[0][2]["options"] == options
    np.testing.assert_array_equal(given[0][0][1].fine, lessons[1].fine)
    cards = {entry.name: entry.card for entry in entries()}
    assert cards["default-corrected-3"].description == (
        "default-corrected, taught by 16 corrected objects of a, b."
    )
    assert cards["default-corrected"].data == {"objects": 16, "images": ["a", "b"]}
    assert engine.warm("default-corrected", options).name == "default-corrected"


def test_what_is_refused_leaves_the_models_as_they_are(
    models: Path, monkeypatch: Any
) -> None:
    from napari_segrefiner.options import RefineOptions

    fake_learn(monkeypatch, is_better=False)
    *_, last = PackagedEngine().learn("default", RefineOptions(), [lesson(5, "a")])
    assert last == Learnt("", "So it is.")
    assert not models.exists()


@pytest.mark.slow
def test_the_dock_teaches_the_default_model(
    make_dock: Any, models: Path, qtbot: Any, monkeypatch: Any
) -> None:
    from napari_segrefiner.training import corrections
    from tests.training.test_correction_data import grid_of_discs

    monkeypatch.setattr(corrections._Lesson, "_affordable", lambda *_: 8)
    one = grid_of_discs(12)
    viewer, dock = make_dock(engine=PackagedEngine(), settings=Settings(None))
    viewer.add_image(one.image, name="discs")
    viewer.add_labels(one.coarse, name="coarse")
    press(dock.refine_button, qtbot)
    qtbot.waitUntil(lambda: not dock.controller.is_running, timeout=60_000)
    result = viewer.layers["coarse refined"]
    # Somebody wants them smaller than they look: no model has that right.
    wanted = {k: binary_erosion(one.fine == k, iterations=2) for k in range(1000, 1006)}
    for label, mask in wanted.items():
        at = np.nonzero((result.data == label) != mask)
        result.data_setitem(at, mask[at] * label)
        result.selected_label = label
        press(dock.accept_button, qtbot)
    press(dock.learn_button, qtbot)
    qtbot.waitUntil(lambda: not dock.controller.is_running, timeout=200_000)
    qtbot.waitUntil(lambda: "Loading" not in message(dock), timeout=60_000)
    assert "each held back once: IoU" in message(dock)
    is_kept = "is kept" in message(dock)
    assert is_kept != ("stays as it was" in message(dock))
    assert dock.form.model_box.model == ("default-corrected" if is_kept else "default")
    press(dock.others_button, qtbot)
    qtbot.waitUntil(lambda: not dock.controller.is_running, timeout=60_000)
    for label, mask in wanted.items():
        np.testing.assert_array_equal(result.data == label, mask)


def test_buttons_that_have_to_wait_say_why(make_dock: Any) -> None:
    runner = SteppedRunner()
    viewer, dock = make_dock(runner=runner)
    labels = many()
    viewer.add_image((labels > 0) * np.uint8(200), name="picture")
    viewer.add_labels(labels, name="cells")
    starters = (dock.refine_button, dock.selected_button, dock.learn_button)

    def waiting() -> list[bool]:
        """Which of them wait; those that do say the same, the others nothing of it."""
        reason = messages.busy(dock.controller.job)
        for one in starters:
            assert (reason in one.toolTip()) != one.isEnabled()
        return [not one.isEnabled() for one in starters]

    dock.refine_button.click()
    assert waiting() == [True, True, True]
    runner.works[-1].finish()
    assert waiting() == [False, False, False]
    result = viewer.layers["cells refined"]
    for label in range(1, 6):
        result.selected_label = label
        dock.accept_button.click()
    result.selected_label = 7
    dock.selected_button.click()
    assert waiting() == [True, False, True]  # another object waits for its turn
    runner.works[-1].finish()
    dock.learn_button.click()
    assert dock.controller.job == "learning"
    assert waiting() == [True, True, True]
    assert "A model is learning" in dock.selected_button.toolTip()
    runner.works[-1].finish()
    assert waiting() == [False, False, False]
