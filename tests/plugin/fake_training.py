"""A training as the dock meets it, without torch: told what to do by its data's name.

``python fake_training.py DATA --output RUN ...``
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

from napari_segrefiner.training.event_lines import Noted, to_line
from napari_segrefiner.training.events import (
    Progress,
    SetScore,
    Stopped,
    TrainDone,
    TrainStarted,
    Validated,
)

BCE, TEXTURE = 0.25, 0.5
LAST = 4


def say(event: object) -> None:
    write(to_line(event))  # type: ignore[arg-type]


def write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def validated(iteration: int) -> None:
    one = SetScore("cells", 8, 0.7, 0.75, 0.7 + iteration / 100, 0.125, 0.5)
    mean = SetScore("mean", *list(vars(one).values())[1:])
    say(Validated(iteration, (one, mean), True))


def main(data: Path, folder: Path, words: list[str]) -> int:
    kind = data.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "words.json").write_text(json.dumps(words))
    if kind == "bad":
        sys.stderr.write("napari-segrefiner: No pairs in bad; use --init.\n")
        return 2
    if kind == "silent":
        return 7
    asked = threading.Event()
    threading.Thread(target=lambda: (os.read(0, 1), asked.set()), daemon=True).start()
    write("a library talks")
    say(TrainStarted(("cells",), 0, LAST, "float32", folder))
    say(Noted("1 pair cannot be used:\n  <a>.png has no labels."))
    validated(0)
    iteration = 0
    while iteration < LAST:
        iteration += 1
        say(Progress(iteration, LAST, BCE, TEXTURE, 0.1, 1e-3, iteration, 99.0))
        if kind == "deaf" and iteration == 2:
            (folder / "alive").touch()
            time.sleep(60)
        while kind == "waits" and iteration == 2 and not asked.wait(0.05):
            (folder / "alive").touch()
        if asked.is_set():
            (folder / "saved").touch()
            say(Stopped(iteration))
            return 130
    validated(LAST)
    say(TrainDone(LAST, folder / "best.safetensors", "cells", LAST, False))
    return 0


if __name__ == "__main__":
    given = sys.argv[1:]
    at = given.index("--output")
    sys.exit(main(Path(given[0]), Path(given[at + 1]), given))
