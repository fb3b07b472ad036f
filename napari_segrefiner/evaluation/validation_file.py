"""What a validation found, as a file that a later run can go on from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segrefiner.errors import InputError
from napari_segrefiner.evaluation.coarse_sets import DATA, data_files
from napari_segrefiner.evaluation.scores import Total
from napari_segrefiner.evaluation.tables import totals_json
from napari_segrefiner.evaluation.validation import Row, means
from napari_segrefiner.io.atomic import write_text
from napari_segrefiner.wording import json_text

if TYPE_CHECKING:
    from napari_segrefiner.evaluation.baselines import Baseline
    from napari_segrefiner.evaluation.coarse_sets import CoarsePlan
    from napari_segrefiner.evaluation.tuning import Tuned
    from napari_segrefiner.models.checkpoint import Model
    from napari_segrefiner.options import RefineOptions

#: Entries of the file that decide its figures.
SETTINGS = ("model", "plan", "runs", "baselines")


def settings_of(
    model: Model,
    plan: CoarsePlan,
    runs: Mapping[str, RefineOptions],
    baselines: Sequence[Baseline],
    tuned: Tuned,
) -> dict[str, Any]:
    """All that decides the figures, JSON-ready."""
    settings = {
        "model": {"name": model.name, "sha256": model.sha256},
        "plan": asdict(plan),
        DATA: data_files(plan),
        "runs": {name: asdict(options) for name, options in runs.items()},
        "baselines": {
            one.name: [
                {"set": choice.set_name, "settings": choice.settings}
                for choice in tuned.choices
                if choice.baseline == one.name
            ]
            or [{"set": "", "settings": dict(one.default)}]
            for one in baselines
        },
    }
    plain: dict[str, Any] = json.loads(json.dumps(settings))
    return plain


def write_rows(
    path: Path,
    settings: Mapping[str, Any],
    rows: Sequence[Row],
    left_out: Sequence[str] = (),
) -> None:
    """Write settings, means, and every set of every kind."""
    content = {
        "model": settings["model"],
        "means": {
            name: totals_json(total)
            for name, (_, total) in means(rows, left_out).items()
        },
        **settings,
        "sets": [
            {
                "kind": row.kind,
                "set": row.name,
                "totals": totals_json(row.totals),
                "seconds": dict(row.seconds),
                "failed": dict(row.failed),
            }
            for row in rows
        ],
    }
    write_text(path, json_text(content), overwrite=True)


def read_rows(path: Path, settings: Mapping[str, Any]) -> list[Row]:
    """The rows of a file with the same settings; none if there is no file.

    Raises
    ------
    InputError
        If it is no such file, or was written with other settings, or the data were
        changed since.
    """
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        other = [key for key in SETTINGS if content[key] != settings[key]]
        rows = [_row(entry) for entry in content["sets"]]
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        msg = f"{path} was not written by validate ({error}); name another file."
        raise InputError(msg) from error
    if other:
        msg = (
            f"{path} was written with other settings ({', '.join(other)}); name "
            "another file, or begin anew with --overwrite."
        )
        raise InputError(msg)
    if content.get(DATA) != settings[DATA]:
        msg = (
            f"The data have changed since {path} was written; name another file, or "
            "begin anew with --overwrite."
        )
        raise InputError(msg)
    return rows


def _row(entry: Mapping[str, Any]) -> Row:
    totals = {
        layer: {
            metric: Total(
                math.nan if total["value"] is None else total["value"], total["n"]
            )
            for metric, total in metrics.items()
        }
        for layer, metrics in entry["totals"].items()
    }
    return Row(
        entry["kind"], entry["set"], totals, entry["seconds"], entry.get("failed", {})
    )
