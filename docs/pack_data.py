"""Copy data sets for a training on another machine, as few bytes as it needs.

    python docs/pack_data.py DATA OUT [--exclude camvid,yeast] [--megabytes 35]

OUT gets the folders of DATA with the images, labels and real coarse masks that a
training reads: of every set but the excluded ones what is learnt from, and of all a few
images to validate with. What is beyond the size is left out evenly, of the set that is
largest at the time. docs/decisions/default_model.md says what to do with it.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

from napari_segrefiner.io.datasets import Item, find_sets

#: Of 10**6 bytes, as the limits of what can be carried are meant.
MEGABYTE = 1_000_000


def pack(
    data: Path, out: Path, exclude: Sequence[str], megabytes: float, validation: int
) -> None:
    """Copy what fits, and print how much of each set that is."""
    if out.exists():
        message = f"{out} exists; name a new folder."
        raise SystemExit(message)
    whole = {one.name: one.items for one in find_sets(data, "train", exclude)}
    judged = {one.name: evenly(one.items, validation) for one in find_sets(data, "val")}
    left = megabytes * MEGABYTE - sum(map(size, judged.values()))
    learnt = {name: list(items) for name, items in whole.items()}
    while sum(map(size, learnt.values())) > left:
        largest = max(learnt, key=lambda name: size(learnt[name]))
        n = len(learnt[largest]) - 1
        if not n:
            message = (
                f"One image of each set is more than {megabytes:g} MB already; allow "
                "more, or leave sets out."
            )
            raise SystemExit(message)
        learnt[largest] = evenly(whole[largest], n)
    for items in (*learnt.values(), *judged.values()):
        for path in files(items):
            target = out / path.relative_to(data)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
    if (data / "groups.json").is_file():
        shutil.copyfile(data / "groups.json", out / "groups.json")
    for name in sorted(learnt.keys() | judged.keys()):
        n, n_judged = len(learnt.get(name, ())), len(judged.get(name, ()))
        of = f"{n} of {len(whole[name])}" if name in whole else "none"
        print(f"{name:22s} {of} to learn from, {n_judged} to validate with")
    total = sum(map(size, (*learnt.values(), *judged.values())))
    print(f"{total / MEGABYTE:.1f} MB in {out}")


def evenly(items: Sequence[Item], n: int) -> list[Item]:
    """At most n of the items, spread over all of them."""
    n = min(n, len(items))
    return [items[k * len(items) // n] for k in range(n)]


def files(items: Sequence[Item]) -> list[Path]:
    """All files of some items."""
    return [p for item in items for p in (item.image, item.labels, *item.coarse)]


def size(items: Sequence[Item]) -> int:
    """Bytes of all files of some items."""
    return sum(path.stat().st_size for path in files(items))


def main() -> None:
    """Read the command line and pack."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--exclude", default="", help="sets not to learn from")
    parser.add_argument("--megabytes", type=float, default=35.0)
    parser.add_argument(
        "--validation", type=int, default=8, help="images of each set to validate with"
    )
    given = parser.parse_args()
    exclude = [name for name in given.exclude.split(",") if name]
    pack(given.data, given.out, exclude, given.megabytes, given.validation)


if __name__ == "__main__":
    main()
