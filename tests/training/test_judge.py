"""The kept model is the best of the validations; ties go to the less harmful one."""

from __future__ import annotations

from pathlib import Path

import pytest

from napari_segrefiner.models.card import Defaults, ModelCard
from napari_segrefiner.train_options import TrainOptions
from napari_segrefiner.training.events import SetScore
from napari_segrefiner.training.judge import Judge, keeps
from napari_segrefiner.training.run_state import Counters, RunConfig, RunFolder
from napari_segrefiner.training.sources import Held
from napari_segrefiner.training.validate import draw_windows
from tests.training.conftest import Discs
from tests.training.test_learner import CONFIG, make_learner


def _judged(*scores: tuple[float, float]) -> tuple[list[int], Counters]:
    """Which of the validations, (IoU, share made worse), were kept in turn."""
    counters, kept = Counters(), []
    for iteration, (iou, worse) in enumerate(scores):
        counters.iteration = iteration
        score = SetScore("mean", 1, 0.5, iou, iou, worse, 0.5)
        if keeps(counters, (score,)):
            kept.append(iteration)
    return kept, counters


@pytest.mark.parametrize(
    ("scores", "kept"),
    [
        ([(0.8, 0.1), (0.82, 0.2)], [0, 1]),  # clearly better, whatever the harm
        ([(0.8, 0.1), (0.79, 0.0)], [0]),  # clearly worse, whatever the harm
        ([(0.8, 0.1), (0.803, 0.2)], [0]),  # a tie with more harm
        ([(0.8, 0.1), (0.797, 0.1)], [0, 1]),  # a tie: the newer one
        ([(0.8, 0.1), (0.797, 0.05)], [0, 1]),  # a tie with less harm
        # ties do not lead downhill
        ([(0.8, 0.1), (0.796, 0.1), (0.792, 0.1)], [0, 1]),
        # nor do they hide that it goes uphill
        ([(0.8, 0.1), (0.804, 0.2), (0.808, 0.2)], [0, 2]),
    ],
)
def test_which_model_is_kept(scores, kept) -> None:
    found, counters = _judged(*scores)
    assert found == kept
    assert counters.best_iteration == kept[-1]
    assert counters.best_score == scores[kept[-1]][0]


def test_validations_without_a_new_high_are_counted() -> None:
    assert _judged((0.8, 0), (0.79, 0), (0.7, 0))[1].stale == 2
    assert _judged((0.8, 0), (0.79, 0), (0.801, 1))[1].stale == 0


def test_without_scores_the_newest_is_kept() -> None:
    counters = Counters(iteration=3)
    assert keeps(counters, ())
    counters.iteration = 7
    assert keeps(counters, ())
    assert counters.best_iteration == 7


def test_validations_cut_where_the_card_does(tmp_path: Path, discs: Discs) -> None:
    windows = draw_windows("discs", discs, 4, seed=1, shown=0)

    def score(threshold: float) -> float:
        defaults = Defaults(threshold=threshold)
        card = ModelCard("cells", "", "", CONFIG, defaults=defaults)
        config = RunConfig("data", TrainOptions().resolved(), card)
        held = Held([windows], "")
        judge = Judge(RunFolder(tmp_path), config, held, {"sets": {}})
        return judge.judge(make_learner(), Counters()).mean.refined

    # Without any training nothing is as likely as that, and all is more likely.
    assert score(0.95) == 0
    assert score(0.05) > 0
