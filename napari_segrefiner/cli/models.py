"""``napari-segrefiner models``: what there is, and how to get more."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_segrefiner.errors import ModelError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from napari_segrefiner.models.card import ModelCard
    from napari_segrefiner.models.import_model import Imported
    from napari_segrefiner.models.published import Published
    from napari_segrefiner.network_config import NetworkConfig

    #: The name of something that is known, and a text or lines about it.
    Fact = tuple[str, str | list[str]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the command."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="names, state, size and licence")
    info = actions.add_parser("info", help="all that is known of a model")
    info.add_argument(
        "model", metavar="MODEL", help="a name of the list, a file or a folder"
    )
    info.add_argument("--json", action="store_true", help="print it for programs")
    add = actions.add_parser(
        "import",
        help="take in a weight file",
        description="Take in a checkpoint of the published code or a .safetensors "
        "file. It is checked and converted; nothing in it is executed.",
    )
    add.add_argument("file", metavar="FILE", type=Path, help="the weight file")
    add.add_argument("--name", help="what to call it; by default the file decides")
    fetch = actions.add_parser("fetch", help="download a published model")
    fetch.add_argument("name", metavar="NAME", help="a name of the list")
    fetch.add_argument("--url", help="download from here, such as a mirror, instead")
    export = actions.add_parser(
        "export",
        help="write a model and its card as files to hand on",
        description="Write a model in half precision, with its card beside it.",
    )
    export.add_argument("model", metavar="MODEL", help="a name, a file or a folder")
    export.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE.safetensors"
    )
    export.add_argument(
        "--facts", type=Path, metavar="JSON", help="entries of the card to say instead"
    )
    export.add_argument(
        "--average-with",
        action="append",
        default=[],
        metavar="MODEL",
        help="write the mean of the weights of both; may be given again",
    )
    export.add_argument(
        "--stage-depth",
        type=int,
        metavar="N",
        help="write a deeper network that begins as MODEL, to train it further: N "
        "residual blocks in a row, of which the new ones add nothing yet",
    )
    export.add_argument("--overwrite", action="store_true", help="replace the files")
    remove = actions.add_parser("remove", help="delete a model of your own")
    remove.add_argument("name", metavar="NAME", help="a name of the list")


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; returns the exit code."""
    actions: dict[str, Callable[[argparse.Namespace], None]] = {
        "list": _list,
        "info": _info,
        "import": _import,
        "fetch": _fetch,
        "export": _export,
        "remove": _remove,
    }
    actions[arguments.action](arguments)
    return 0


def _list(arguments: argparse.Namespace) -> None:
    from napari_segrefiner.cli.model_facts import one_line
    from napari_segrefiner.models.catalogue import entries, user_folder
    from napari_segrefiner.models.published import published

    rows = [("NAME", "STATE", "SIZE", "LICENCE", "DESCRIPTION")]
    installed = entries()
    for entry in installed:
        state = "own" if entry.is_own else "in package"
        try:
            card, size = entry.card, _size_text(entry.weights.stat().st_size)
        except (ModelError, OSError) as error:  # does not hide the others
            rows.append((entry.name, "damaged", "-", "", str(error)))
            continue
        licence = card.licence.split(" (")[0]
        rows.append((entry.name, state, size, licence, card.description))
    known = {entry.name for entry in installed}
    for model in published().values():
        if model.name not in known:
            size, licence = _size_text(model.size), model.licence.split(" (")[0]
            rows.append((model.name, "to fetch", size, licence, model.description))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print(one_line("  ".join([*cells, row[-1]])))
    print(f"\nYour models are in {user_folder()}.")


def _info(arguments: argparse.Namespace) -> None:
    from napari_segrefiner.models.catalogue import entries, find_model
    from napari_segrefiner.models.files import file_sha256, find_weights, read_card
    from napari_segrefiner.models.published import published

    model, known = arguments.model, {entry.name for entry in entries()}
    if model in published() and model not in known:
        model_facts = _facts_of_published(published()[model])
        _print_facts(dataclasses.asdict(published()[model]), model_facts, arguments)
        return
    weights = find_weights(find_model(model))
    card = read_card(weights)
    name = model if model in known else card.name
    size, sha256 = weights.stat().st_size, file_sha256(weights)
    known_of = {"file": str(weights), "size": size, "sha256": sha256}
    entries_of = {**dataclasses.asdict(card), "name": name, **known_of}
    _print_facts(entries_of, _facts_of_card(name, card, known_of), arguments)


def _import(arguments: argparse.Namespace) -> None:
    from napari_segrefiner.models.import_model import import_model  # brings torch

    _tell(import_model(arguments.file, arguments.name))


def _fetch(arguments: argparse.Namespace) -> None:
    from tqdm import tqdm

    from napari_segrefiner.models.catalogue import entries
    from napari_segrefiner.models.fetch import fetch_model

    for entry in entries():
        if entry.name == arguments.name:
            print(f"{entry.name} is installed already: {entry.weights}")
            return
    bar = tqdm(
        desc=arguments.name, unit="B", unit_scale=True, dynamic_ncols=True, disable=None
    )

    def show(done: int, total: int) -> None:
        bar.total = total or None
        bar.update(done - bar.n)

    with bar:
        imported = fetch_model(arguments.name, url=arguments.url, progress=show)
    _tell(imported)


def _remove(arguments: argparse.Namespace) -> None:
    from napari_segrefiner.models.install import remove_model

    print(f"Removed {arguments.name}: {remove_model(arguments.name)}")


def _export(arguments: argparse.Namespace) -> None:
    from napari_segrefiner.io.atomic import check_destinations
    from napari_segrefiner.models.average import average_models
    from napari_segrefiner.models.catalogue import load_model
    from napari_segrefiner.models.deepen import deepen
    from napari_segrefiner.models.export import export_model, read_facts

    facts = read_facts(arguments.facts) if arguments.facts else {}
    check_destinations(
        arguments.output,
        arguments.output.with_suffix(".json"),
        overwrite=arguments.overwrite,
        inputs=[arguments.facts],
    )
    model = load_model(arguments.model)
    if arguments.average_with:
        model = average_models([model, *map(load_model, arguments.average_with)])
    if arguments.stage_depth is not None:
        model = deepen(model, arguments.stage_depth)
    card = export_model(
        model,
        arguments.output,
        facts,
        overwrite=arguments.overwrite,
    )
    print(f"Wrote {arguments.output} (sha256 {card.sha256}) and its card.")


def _tell(imported: Imported) -> None:
    """Print what was imported, then what should be known of it."""
    print(f"Imported {imported.name}: {imported.weights}")
    for note in imported.notes:
        print(note)


def _facts_of_card(
    name: str, card: ModelCard, weights: dict[str, Any]
) -> Iterator[Fact]:
    from napari_segrefiner.cli.model_facts import data_lines, metric_lines, pairs

    yield "name", name
    yield "description", card.description
    yield "licence", card.licence
    yield "size", f"{weights['size']:,} bytes"
    yield "file", weights["file"]
    yield "sha256", weights["sha256"]
    yield "limits", card.limits
    yield "defaults", pairs(dataclasses.asdict(card.defaults))
    yield "data", data_lines(card.data)
    yield "metrics", metric_lines(card.metrics)
    yield "citation", card.citation
    yield "source", card.source
    yield "architecture", _network_text(card.network)
    yield "recipe", ", ".join(pairs(card.recipe))


def _facts_of_published(model: Published) -> Iterator[Fact]:
    yield "name", model.name
    yield "description", model.description
    yield "source", model.source
    yield "licence", model.licence
    yield "citation", model.citation
    yield "architecture", _network_text(model.network)
    yield "size", f"{model.size:,} bytes" if model.size else "unknown"
    yield "sha256", f"{model.sha256} (third party)" if model.sha256 else "unknown"
    yield "state", f"to fetch: napari-segrefiner models fetch {model.name}"
    yield "by hand", model.by_hand


def _print_facts(
    entries: dict[str, Any], facts: Iterator[Fact], arguments: argparse.Namespace
) -> None:
    """Print all entries as JSON, or the facts for people."""
    from napari_segrefiner.cli.model_facts import page

    if arguments.json:
        print(json.dumps(entries, indent=1))
        return
    for line in page(facts, shutil.get_terminal_size().columns):
        print(line)


def _network_text(network: NetworkConfig) -> str:
    """A network in a line."""
    text = (
        f"U-Net of widths {'-'.join(map(str, network.widths))}, blocks per level "
        f"{network.blocks_down} down and {network.blocks_up} up"
    )
    if network.stage_depth > 1:
        text += f", each {network.stage_depth} in a row"
    if network.attention_strides:
        strides = ", ".join(map(str, network.attention_strides))
        text += f", attention at strides {strides} with {network.heads} heads"
    return text


def _size_text(n_bytes: int) -> str:
    """Megabytes, or a dash where the size is unknown."""
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes else "-"
