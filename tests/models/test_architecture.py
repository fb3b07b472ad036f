"""Networks read off the shapes of their tensors."""

from __future__ import annotations

import json

import pytest

from napari_segrefiner.errors import ModelError
from napari_segrefiner.models.architecture import infer_config
from napari_segrefiner.models.checkpoint import empty_network
from napari_segrefiner.network_config import NetworkConfig
from tests import golden
from tests.models.official import TINY


@pytest.mark.parametrize(
    "config",
    [
        NetworkConfig(),
        golden.REDUCED,
        TINY,
        NetworkConfig(widths=(16,), blocks_down=1, blocks_up=2, attention_strides=()),
        NetworkConfig(
            widths=(8, 8), blocks_down=3, blocks_up=4, attention_strides=(1,)
        ),
        NetworkConfig(widths=(16, 32), embedding=32, attention_strides=()),
        NetworkConfig(widths=(8, 8), attention_strides=(2,), middle_attention=False),
    ],
)
def test_a_network_is_found_by_its_shapes(config):
    shapes = dict(empty_network(config).named_shapes())
    assert infer_config("x", shapes) == config


def test_the_published_shapes_are_the_published_network():
    facts = json.loads((golden.DATA / "official_state_dict.json").read_text())
    shapes = {name: tuple(shape) for name, shape in facts["tensors"].items()}
    assert infer_config("x", shapes) == NetworkConfig()


@pytest.mark.parametrize("missing", ["input_blocks.0.0.weight", "time_embed.weight"])
def test_what_is_no_such_network_is_told_by_what_it_lacks(missing):
    shapes = dict(empty_network(TINY).named_shapes())
    del shapes[missing]
    with pytest.raises(ModelError, match=f"no weights of this network: {missing}"):
        infer_config("x", shapes)


@pytest.mark.parametrize("width", [(), (0, 4, 3, 3), (10**9, 4, 3, 3)])
def test_shapes_that_no_network_has_are_refused(width):
    shapes = dict(empty_network(TINY).named_shapes())
    shapes["input_blocks.1.0.in_layers.2.weight"] = width
    with pytest.raises(ModelError, match="cannot be built"):
        infer_config("x", shapes)
