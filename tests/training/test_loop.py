"""A training ends with a model, and one that was stopped goes on as if it had not."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from napari_segrefiner.errors import CollapseError, InputError, OptionError
from napari_segrefiner.io.datasets import find_sets
from napari_segrefiner.models.card import ModelCard
from napari_segrefiner.models.catalogue import load_model
from napari_segrefiner.models.checkpoint import save_model
from napari_segrefiner.network import DenoisingUNet
from napari_segrefiner.options import Precision
from napari_segrefiner.train_options import TrainOptions
from napari_segrefiner.training import loop, start
from napari_segrefiner.training.batches import Batch
from napari_segrefiner.training.events import (
    Event,
    Progress,
    Saved,
    Stopped,
    TrainDone,
    TrainStarted,
    Validated,
)
from napari_segrefiner.training.examples import EXAMPLES, read_examples
from napari_segrefiner.training.learner import Learner, StepResult
from napari_segrefiner.training.progress import COLLAPSE_AFTER, Clock, Recorder
from napari_segrefiner.training.run_state import (
    BEST,
    STATE,
    VALIDATION,
    Counters,
    RunFolder,
)
from tests.training.test_learner import CONFIG


@pytest.fixture(autouse=True)
def _small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "SMALL", CONFIG)


def test_a_run_yields_its_events_and_ends_with_a_model(
    tmp_path: Path, set_folder: Path, tiny_options: TrainOptions
) -> None:
    options = dataclasses.replace(
        tiny_options, iterations=3, validation_windows=4, validate_every=2
    )
    events = list(loop.train(set_folder, tmp_path / "run", options))
    assert [type(event) for event in events] == [
        TrainStarted,
        Progress,
        Progress,
        Validated,
        Saved,
        Progress,
        Validated,
        Saved,
        TrainDone,
    ]
    assert [e.iteration for e in events if isinstance(e, Progress)] == [1, 2, 3]
    done = events[-1]
    assert isinstance(done, TrainDone)
    model = load_model(done.model)
    assert model.card.recipe["iteration"] == done.best_iteration
    assert model.card.normalisation == "window"


def test_a_finished_run_leaves_curves_pictures_and_a_model_of_its_name(
    tmp_path: Path, set_folder: Path, tiny_options: TrainOptions
) -> None:
    options = dataclasses.replace(
        tiny_options, iterations=2, validation_windows=4, validate_every=1
    )
    run = RunFolder(tmp_path / "my cells")
    *_, done = loop.train(set_folder, run.path, options)
    assert isinstance(done, TrainDone)
    assert done.name == "my-cells"
    card = load_model("my-cells").card
    assert card.name == "my-cells"
    assert card.data["sets"] == {set_folder.name: {"images": 3, "objects": 6}}
    assert card.recipe["learning_rate"] == 1e-3
    assert set(card.metrics["sets"]) == {set_folder.name, "mean"}
    assert [path.name for path in sorted((run.path / "pictures").iterdir())] == [
        "000001.png",
        "000002.png",
    ]
    examples = read_examples(run.path / EXAMPLES)
    assert {name for name, _ in examples} == {set_folder.name}
    assert all(one.fine.any() for _, one in examples)
    with Image.open(run.path / "curves.png") as curves:
        assert curves.width > 1000
    rows = run.rows("validation.csv")
    assert [(row["iteration"], row["name"]) for row in rows][2:] == [
        ("2", set_folder.name),
        ("2", "mean"),
    ]
    # A run that is made longer replaces its own model in the catalogue.
    longer = TrainOptions(iterations=3)
    *_, again = loop.train(set_folder, run.path, longer, resume=True)
    assert isinstance(again, TrainDone)
    assert again.name == "my-cells"
    assert load_model("my-cells").card == dataclasses.replace(
        load_model(run.best).card, sha256=load_model("my-cells").sha256
    )
    other = dataclasses.replace(options, iterations=1, name="none")
    *_, third = loop.train(set_folder, tmp_path / "third", other)
    assert isinstance(third, TrainDone)
    assert third.name == ""


def test_a_run_that_does_not_improve_on_its_start_keeps_that_and_ends_early(
    tmp_path: Path, set_folder: Path, tiny_options: TrainOptions
) -> None:
    torch.manual_seed(0)
    start_file = tmp_path / "good.safetensors"
    network = DenoisingUNet(CONFIG)
    save_model(start_file, network.state_dict(), ModelCard("good", "", "", CONFIG))
    options = dataclasses.replace(
        tiny_options,
        preset="custom",
        init=str(start_file),
        iterations=9,
        learning_rate=0.0,
        validation_windows=4,
        validate_every=1,
        early_stop=2,
    )
    events = list(loop.train(set_folder, tmp_path / "run", options))
    validated = [e for e in events if isinstance(e, Validated)]
    assert [e.iteration for e in validated] == [0, 1, 2]
    assert validated[0].scores == validated[2].scores
    done = events[-1]
    assert isinstance(done, TrainDone)
    assert done.is_early
    assert done.iterations == 2
    *_, again = loop.train(set_folder, tmp_path / "run", TrainOptions(), resume=True)
    assert isinstance(again, TrainDone)


def test_a_run_stops_when_asked_and_says_so(
    tmp_path: Path, set_folder: Path, tiny_options: TrainOptions
) -> None:
    asked = iter([False, True])
    events = list(
        loop.train(set_folder, tmp_path, tiny_options, should_stop=lambda: next(asked))
    )
    assert events[-1] == Stopped(2)
    assert RunFolder(tmp_path).read_counters().iteration == 2
    assert load_model(tmp_path / BEST).card.recipe["iteration"] == 2


def test_kept_models_are_of_the_iterations_asked_for(
    tmp_path: Path, set_folder: Path, tiny_options: TrainOptions
) -> None:
    options = dataclasses.replace(tiny_options, iterations=3, keep=(1, 3), name="none")
    list(loop.train(set_folder, tmp_path, options))
    kept = RunFolder(tmp_path).kept()
    assert [path.stem for path in kept] == ["1", "3"]
    assert [load_model(p).card.recipe["iteration"] for p in kept] == [1, 3]


def test_the_published_training_goes_from_lr_to_hr(
    tmp_path: Path, set_folder: Path
) -> None:
    shared = {
        "network": "reduced",
        "window": 32,
        "at_once": 2,
        "validation_windows": 2,
        "validate_every": 2,
        "workers": 0,
        "name": "none",
    }
    lr = TrainOptions(
        preset="paper-lr",
        iterations=3,
        batch_size=4,
        milestones=(1,),
        keep=(2,),
        **shared,  # type: ignore[arg-type]
    )
    sets = tmp_path / "masks"
    for kind in ("im", "gt"):
        (sets / kind).mkdir(parents=True)
    for k in range(3):
        y, x = np.mgrid[:70, :90]
        mask = np.hypot(y - 35, x - 40 - k) < 22
        for kind, values in (("im", mask * 90 + 60), ("gt", mask * 255)):
            path = sets / kind / f"{k}.png"
            Image.fromarray(values.astype(np.uint8)).save(path)
    events = list(loop.train(sets, tmp_path / "lr", lr))
    rates = [e.learning_rate for e in events if isinstance(e, Progress)]
    assert rates == [4e-4, 2e-4, 2e-4]
    card = load_model(tmp_path / "lr" / BEST).card
    assert (card.normalisation, card.defaults.steps) == ("imagenet", 6)
    assert card.data["sets"] == {"masks": {"images": 2}}

    hr = TrainOptions(
        preset="paper-hr",
        init=str(tmp_path / "lr"),
        iterations=1,
        batch_size=4,
        keep=(1,),
        **shared,  # type: ignore[arg-type]
    )
    *_, done = loop.train(sets, tmp_path / "hr", hr)
    assert isinstance(done, TrainDone)
    kept = load_model(RunFolder(tmp_path / "lr").kept()[0])
    assert kept.card.recipe["iteration"] == 2
    (path,) = RunFolder(tmp_path / "hr").kept()
    started = load_model(path)
    assert started.card.normalisation == "imagenet"
    # one step at 4e-4 away from the kept checkpoint, not from the last one
    ours = torch.cat([p.flatten() for p in started.network.parameters()])
    theirs = torch.cat([p.flatten() for p in kept.network.parameters()])
    assert (ours - theirs).abs().max() < 4.1e-4


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_a_stopped_run_resumes_as_if_it_had_not_stopped(
    tmp_path: Path,
    set_folder: Path,
    tiny_options: TrainOptions,
    monkeypatch: pytest.MonkeyPatch,
    precision: Precision,
) -> None:
    # In float16 the first two steps overflow; the third has to know the scale by then.
    scaler = functools.partial(torch.amp.GradScaler, init_scale=2.0**18)
    monkeypatch.setattr(torch.amp, "GradScaler", scaler)
    options = dataclasses.replace(tiny_options, precision=precision, batch_size=4)
    whole = list(loop.train(set_folder, tmp_path / "whole", options))
    stopped = loop.train(set_folder, tmp_path / "stopped", options)
    for event in stopped:
        if isinstance(event, Progress) and event.iteration == 2:
            break
    stopped.close()
    assert RunFolder(tmp_path / "stopped").read_counters().iteration == 2
    assert (tmp_path / "stopped" / BEST).exists()
    rest = list(
        loop.train(set_folder, tmp_path / "stopped", TrainOptions(), resume=True)
    )
    ours = [(e.iteration, e.bce) for e in rest if isinstance(e, Progress)]
    theirs = [(e.iteration, e.bce) for e in whole if isinstance(e, Progress)]
    assert ours == theirs[2:]
    weights = [
        load_model(tmp_path / name / BEST).network.state_dict()
        for name in ("whole", "stopped")
    ]
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name])


def _closed_at(iteration: int, events: Generator[Event, None, None]) -> None:
    for event in events:
        if isinstance(event, Progress) and event.iteration == iteration:
            break
    events.close()


def _interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def _are_alike(first: RunFolder, second: RunFolder) -> bool:
    """Whether two runs have the same weights, scores and best models."""
    ours, theirs = (
        (load_file(run.path / STATE), load_model(run.best).network.state_dict())
        for run in (first, second)
    )
    counters = [
        dataclasses.replace(run.read_counters(), seconds=0) for run in (first, second)
    ]
    return (
        counters[0] == counters[1]
        and first.rows(VALIDATION) == second.rows(VALIDATION)
        and all(
            torch.equal(mine[name], yours[name])
            for mine, yours in zip(ours, theirs, strict=True)
            for name in mine
        )
    )


@pytest.fixture
def judged_options(
    tiny_options: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> TrainOptions:
    """Four iterations with two validations; no pictures, which take the longest."""
    monkeypatch.setattr(loop.Judge, "_draw", lambda *_: None)
    monkeypatch.setattr(loop.Judge, "draw", lambda *_: None)
    return dataclasses.replace(
        tiny_options, validation_windows=4, validate_every=2, checkpoint_minutes=0
    )


@pytest.mark.parametrize("iteration", [2, 4])
def test_a_validation_that_was_cut_off_is_made_up_for(
    tmp_path: Path, set_folder: Path, judged_options: TrainOptions, iteration: int
) -> None:
    options = dataclasses.replace(judged_options, keep=(2, 4))
    whole, run = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "run")
    list(loop.train(set_folder, whole.path, options))
    _closed_at(iteration, loop.train(set_folder, run.path, options))
    early = load_model(run.best).card
    assert ("not validated" in early.limits) == (early.metrics is None)
    assert (early.metrics is None) == (iteration == 2)
    rest = list(loop.train(set_folder, run.path, TrainOptions(), resume=True))
    assert isinstance(rest[1], Validated)
    assert rest[1].iteration == iteration
    done = rest[-1]
    assert isinstance(done, TrainDone)
    assert done.name == "run"
    assert load_model("run").card.limits == ""
    assert _are_alike(run, whole)
    assert [path.stem for path in run.kept()] == ["2", "4"]


def test_a_complete_run_installs_its_model_if_that_is_missing(
    tmp_path: Path,
    set_folder: Path,
    judged_options: TrainOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(loop, "install_best", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            list(loop.train(set_folder, tmp_path / "run", judged_options))
    names = []
    for _ in range(2):
        (done,) = loop.train(set_folder, tmp_path / "run", TrainOptions(), resume=True)
        assert isinstance(done, TrainDone)
        names.append(done.name)
    assert names == ["run", ""]
    assert load_model("run").card.name == "run"
    config = tmp_path / "run" / "config.json"
    content = json.loads(config.read_text(encoding="utf-8"))
    del content["run_id"]  # none of its models can be told from others
    config.write_text(json.dumps(content), encoding="utf-8")
    (done,) = loop.train(set_folder, tmp_path / "run", TrainOptions(), resume=True)
    assert isinstance(done, TrainDone)
    assert done.name == ""


@pytest.mark.parametrize(
    ("place", "name", "reached"),
    [
        (Learner, "_update_mean", 2),  # within a step
        (loop.Recorder, "is_sound", 2),  # between a step and its number
        (RunFolder, "save_best", 3),  # between a score and its model
        (loop.Judge, "_draw", 3),  # behind the rows of the scores
    ],
)
def test_a_run_that_was_cut_off_at_any_place_goes_on_as_if_it_had_not(
    tmp_path: Path,
    set_folder: Path,
    judged_options: TrainOptions,
    monkeypatch: pytest.MonkeyPatch,
    place: type,
    name: str,
    reached: int,
) -> None:
    options = dataclasses.replace(judged_options, validate_every=3, iterations=5)
    whole, run = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "run")
    list(loop.train(set_folder, whole.path, options))
    kept = getattr(place, name)

    learners: list[Learner] = []
    interrupts = [KeyboardInterrupt]

    def fails_at_three(*args: Any) -> Any:
        if interrupts and learners[0].reached in (None, 3):
            raise interrupts.pop()
        return kept(*args)

    made = loop._Training._learner

    def noted(*args: Any) -> Learner:
        learners.append(made(*args))
        return learners[0]

    with monkeypatch.context() as patched:
        patched.setattr(loop._Training, "_learner", noted)
        events = loop.train(set_folder, run.path, options)
        for event in events:
            if isinstance(event, Saved) and event.iteration == 2:
                break
        patched.setattr(place, name, fails_at_three)
        with pytest.raises(KeyboardInterrupt):
            list(events)
    assert run.read_counters().iteration == reached
    list(loop.train(set_folder, run.path, TrainOptions(), resume=True))
    assert _are_alike(run, whole)


def test_a_longer_run_forgets_that_it_has_ended_early(
    tmp_path: Path, set_folder: Path, judged_options: TrainOptions
) -> None:
    options = dataclasses.replace(
        judged_options,
        iterations=9,
        validate_every=1,
        learning_rate=0.0,
        early_stop=2,
    )
    ends = []
    for given in (options, TrainOptions(iterations=9), TrainOptions(iterations=9)):
        *_, done = loop.train(set_folder, tmp_path, given, resume=bool(ends))
        assert isinstance(done, TrainDone)
        ends.append((done.iterations, done.is_early))
    assert ends == [(3, True), (5, True), (7, True)]


def test_the_curves_of_a_validation_reach_it(
    tmp_path: Path, set_folder: Path, judged_options: TrainOptions
) -> None:
    run = RunFolder(tmp_path)
    for event in loop.train(set_folder, run.path, judged_options):
        if isinstance(event, Validated):
            assert run.rows("log.csv")[-1]["iteration"] == str(event.iteration)


def test_a_run_that_ended_before_its_first_checkpoint_begins_anew(
    tmp_path: Path,
    set_folder: Path,
    tiny_options: TrainOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = dataclasses.replace(
        tiny_options, iterations=2, validate_every=1, validation_windows=4, seed=7
    )
    run = RunFolder(tmp_path / "run")

    def full(*_: object) -> None:
        message = "no room"
        raise InputError(message)

    with monkeypatch.context() as patched:
        patched.setattr(RunFolder, "save", full)
        with pytest.raises(InputError, match="no room"):
            list(loop.train(set_folder, run.path, options))
    begun = run.read_config().options
    assert begun.seed == 7
    assert run.rows("log.csv")
    list(loop.train(set_folder, run.path, TrainOptions(), resume=True))
    assert run.read_config().options == begun
    for name in ("log.csv", "validation.csv"):
        told = [(row["iteration"], row.get("name")) for row in run.rows(name)]
        assert [i for i, _ in told][-1] == "2"
        assert len(set(told)) == len(told)


def test_a_used_folder_needs_resume_and_a_finished_run_says_so(
    tmp_path: Path, set_folder: Path, tiny_options: TrainOptions
) -> None:
    options = dataclasses.replace(tiny_options, iterations=1)
    # an empty one starts
    list(loop.train(set_folder, tmp_path / "run", options, resume=True))
    with pytest.raises(OptionError, match="--resume"):
        next(loop.train(set_folder, tmp_path / "run", options))
    again = list(loop.train(set_folder, tmp_path / "run", TrainOptions(), resume=True))
    assert [type(event) for event in again] == [TrainDone]
    longer = TrainOptions(iterations=2)
    events = list(loop.train(set_folder, tmp_path / "run", longer, resume=True))
    assert [e.iteration for e in events if isinstance(e, Progress)] == [2]


def test_a_run_that_goes_on_with_changed_files_says_so_once(
    tmp_path: Path,
    set_folder: Path,
    tiny_options: TrainOptions,
    caplog: pytest.LogCaptureFixture,
) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(set_folder, data)
    list(loop.train(data, run, dataclasses.replace(tiny_options, iterations=1)))
    shown = []
    for iterations in (2, 3, 4):
        if iterations == 3:  # a corrected file, of another size
            labels = find_sets(data, "train")[0].items[0].labels
            labels.write_bytes(labels.read_bytes() + b" ")
        caplog.clear()
        list(loop.train(data, run, TrainOptions(iterations=iterations), resume=True))
        shown.append("since the last checkpoint" in caplog.text)
    assert shown == [False, True, False]


def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(
    tmp_path: Path,
    set_folder: Path,
    tiny_options: TrainOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = dataclasses.replace(tiny_options, checkpoint_minutes=0)
    learn = Learner.learn

    def fails_at_two(
        self: Learner, batch: object, iteration: int, rate: float
    ) -> object:
        result = learn(self, batch, iteration, rate)  # type: ignore[arg-type]
        return dataclasses.replace(result, bce=math.nan) if iteration == 2 else result

    monkeypatch.setattr(Learner, "learn", fails_at_two)
    with pytest.raises(CollapseError, match="lower --learning-rate"):
        list(loop.train(set_folder, tmp_path / "run", options))
    assert RunFolder(tmp_path / "run").read_counters().iteration == 2


def test_float16_without_a_scale_that_helps_stops_and_says_so(
    tmp_path: Path,
    set_folder: Path,
    tiny_options: TrainOptions,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = dataclasses.replace(
        tiny_options, precision="float16", iterations=99, checkpoint_minutes=0
    )
    scaler = functools.partial(torch.amp.GradScaler, init_scale=4.0)
    monkeypatch.setattr(torch.amp, "GradScaler", scaler)
    learn = Learner.learn

    def overflows_from_two_on(
        self: Learner, batch: Batch, iteration: int, rate: float
    ) -> StepResult:
        if iteration >= 2:
            batch = batch._replace(fine=torch.full_like(batch.fine, torch.nan))
        return learn(self, batch, iteration, rate)

    monkeypatch.setattr(Learner, "learn", overflows_from_two_on)
    events = loop.train(set_folder, tmp_path / "run", options)
    done = []
    sentence = "float16.*keeps its last checkpoint.*--precision bfloat16"
    with pytest.raises(CollapseError, match=sentence):
        done.extend(event for event in events if isinstance(event, Progress))
    # two that were taken, and two that were left out for a scale of 2 and of 1
    assert len(done) == 4
    assert RunFolder(tmp_path / "run").read_counters().iteration == 4


def test_the_log_of_a_killed_run_reaches_its_checkpoint(
    tmp_path: Path, set_folder: Path, tiny_options: TrainOptions
) -> None:
    options = dataclasses.replace(tiny_options, checkpoint_minutes=0)
    run = RunFolder(tmp_path / "run")
    events = loop.train(set_folder, run.path, options)
    reached = [
        (event.iteration, [int(row["iteration"]) for row in run.rows("log.csv")])
        for event in events
        if isinstance(event, Saved)  # killed now, it would go on from here
    ]
    assert reached == [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (4, [1, 2, 3, 4])]


def test_a_step_that_is_left_out_has_no_part_in_the_log(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    recorder, counters = Recorder(run), Counters(iterations=40)
    clock = Clock(counters, 1)
    lost = StepResult(math.nan, math.nan, math.inf, math.nan, 0.8, scale=2.0**15)
    taken = StepResult(0.2, 0.1, 1.0, 0.9, 0.8, scale=2.0**15)
    for result in (taken, lost, taken):
        counters.iteration += 1
        assert recorder.is_sound(result)
        recorder.progress(result, counters, 1e-3, clock)
    assert not recorder.is_sound(dataclasses.replace(lost, scale=0.5))
    recorder.write_row()
    (row,) = run.rows("log.csv")
    assert (row["iteration"], row["bce"], row["gain"]) == ("3", "0.20000", "0.10000")


def test_dead_predictions_are_noticed_after_a_while(tmp_path: Path) -> None:
    recorder = Recorder(RunFolder(tmp_path))
    dead = StepResult(0.1, 0.1, 1.0, iou=0.01, coarse_iou=0.8)
    verdicts = [recorder.is_sound(dead) for _ in range(COLLAPSE_AFTER)]
    assert verdicts == [True] * (COLLAPSE_AFTER - 1) + [False]
    assert "collapsed" in recorder.complaint(tmp_path)
    alive = dataclasses.replace(dead, iou=0.7)
    for _ in range(COLLAPSE_AFTER):
        sound = recorder.is_sound(alive)
    assert sound


def test_minutes_become_as_many_iterations_as_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    counters = Counters()
    clock = Clock(counters, checkpoint_minutes=3)
    now = 10.0  # to read the data
    clock.begin()
    for iteration in range(1, 51):
        now += 0.5
        counters.iteration = iteration
        clock.tick()
    assert counters.seconds == 35
    # 50 and what fits into the rest of 2 minutes less what validations take
    assert clock.iterations_in(2, 1000) == 50 + int((120 * 0.93 - 35) / 0.5)
    assert clock.iterations_in(2, 100) == 100
    assert clock.iterations_in(0.1, 100) == 50


def test_the_first_checkpoint_comes_within_a_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    clock = Clock(Counters(), checkpoint_minutes=3)
    due = []
    for _ in range(600):
        now += 1
        if clock.is_checkpoint_due():
            due.append(now)
    assert due == [30, 210, 390, 570]


def test_fresh_weights_follow_the_seed_and_leave_torch_alone(
    tiny_options: TrainOptions,
) -> None:
    state = torch.get_rng_state()
    first, second, other = (
        start._first(
            RunFolder(Path("run")),
            Path("data"),
            dataclasses.replace(tiny_options, seed=seed),
        )[1]
        for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first.time_embed.weight, second.time_embed.weight)
    assert not torch.equal(first.time_embed.weight, other.time_embed.weight)
