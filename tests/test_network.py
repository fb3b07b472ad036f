"""The network: names, golden outputs, and what it must not depend on."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch

from napari_segrefiner.errors import ModelError
from napari_segrefiner.network import SMALL, DenoisingUNet, NetworkConfig
from tests import golden

MAX_ABS, MEAN_ABS = 1e-3, 1e-4


def shapes_of(config: NetworkConfig) -> dict[str, list[int]]:
    with torch.device("meta"):
        network = DenoisingUNet(config)
    return {name: list(shape) for name, shape in network.named_shapes()}


def check(what: str, result: torch.Tensor, expected: np.ndarray) -> None:
    golden.check(f"unet_forward: {what}", result, expected, MAX_ABS)
    mean = np.abs(result.numpy() - expected).mean()
    golden.check(f"unet_forward: {what}, mean", mean, 0, MEAN_ABS)


@pytest.fixture(scope="module")
def stored() -> dict[str, np.ndarray]:
    return golden.load("unet_forward")


@pytest.fixture(scope="module")
def reduced() -> DenoisingUNet:
    return golden.formula_network(golden.REDUCED)


@pytest.fixture(scope="module")
def small() -> DenoisingUNet:
    torch.manual_seed(0)
    return DenoisingUNet(SMALL).eval()


def test_published_configuration_has_exactly_the_published_tensors():
    facts = json.loads((golden.DATA / "official_state_dict.json").read_text())
    assert shapes_of(NetworkConfig()) == facts["tensors"]


def test_reduced_configuration_has_exactly_the_published_tensors():
    facts = json.loads((golden.DATA / "official_state_dict.json").read_text())
    assert shapes_of(golden.REDUCED) == facts["small_config"]["tensors"]


def test_formula_weights_are_the_stored_ones(stored):
    facts = json.loads((golden.DATA / "official_state_dict.json").read_text())
    tensors = facts["tensors"]
    for name, expected in zip(
        stored["formula_names"], stored["formula_first8"], strict=True
    ):
        first = golden.formula_weight(str(name), tuple(tensors[str(name)])).ravel()[:8]
        golden.check("unet_forward: weights", first, expected[: len(first)])


@torch.inference_mode()
def test_reduced_network_gives_the_golden_logits(stored, reduced):
    x = torch.from_numpy(stored["input_small"])
    for index, expected in zip(stored["small_t"], stored["small_out"], strict=True):
        check("reduced", reduced(x, torch.full((2,), int(index))), expected)


@torch.inference_mode()
def test_one_batch_may_hold_different_steps(stored, reduced):
    x = torch.from_numpy(stored["input_small"])
    index = torch.from_numpy(stored["small_mixed_t"])
    check("reduced", reduced(x, index), stored["small_mixed_out"])


@torch.inference_mode()
def test_sides_may_differ(stored, reduced):
    x = torch.from_numpy(stored["input_small_rect"])
    index = torch.from_numpy(stored["small_rect_t"])
    check("reduced", reduced(x, index), stored["small_rect_out"])


@pytest.fixture(scope="module")
def published() -> DenoisingUNet:
    return golden.formula_network(NetworkConfig())


@pytest.mark.slow
@torch.inference_mode()
def test_published_network_gives_the_golden_logits(stored, published):
    x = torch.from_numpy(stored["input_64"])
    for index, expected in zip(stored["full_64_t"], stored["full_64_out"], strict=True):
        check("128 channels", published(x, torch.tensor([int(index)]))[0], expected)


@pytest.mark.slow
@torch.inference_mode()
def test_published_network_gives_the_golden_logits_on_its_own_grid(stored, published):
    x = golden.unet_input(256)
    index = torch.from_numpy(stored["full_256_t"])
    logits = published(x, index)
    check("128 channels, 256", logits[..., ::8, ::8], stored["full_256_out_sub8"])
    found = [logits.mean(), logits.std(), logits.min(), logits.max()]
    expected = stored["full_256_mean_std_min_max"]
    golden.check("unet_forward: 128 channels, 256, moments", found, expected, MAX_ABS)


@pytest.mark.slow
@torch.inference_mode()
def test_blocks_of_the_published_network_give_the_golden_moments(stored, published):
    found: dict[str, list[float]] = {}

    def keep(name: str, values: torch.Tensor) -> None:
        found[name] = [
            float(v) for v in (values.mean(), values.std(), values.abs().max())
        ]

    names = [str(name) for name in stored["full_64_t3_block_names"]]
    hooks = [
        published.get_submodule(name).register_forward_hook(
            lambda module, given, values, name=name: keep(name, values)
        )
        for name in names
    ]
    published(torch.from_numpy(stored["input_64"]), torch.tensor([3]))
    for hook in hooks:
        hook.remove()
    expected = stored["full_64_t3_block_mean_std_absmax"]
    golden.check(
        "unet_forward: 128 channels, blocks", [found[n] for n in names], expected, 1e-3
    )


def test_sides_that_do_not_fit_are_refused(small):
    with pytest.raises(ModelError, match="multiples of 16"):
        small(torch.zeros(1, 4, 64, 72), torch.tensor([5]))


@pytest.mark.parametrize(
    "wrong",
    [
        {"blocks_down": 1, "blocks_up": 3},
        {"widths": ()},
        {"widths": (10**9,)},
        {"widths": (32,) * 40},
        {"heads": 0},
        {"stem": "surprise"},
        {"steps": "many"},
        {"attention_strides": 16},
        {"widths": (128, 126), "attention_strides": (2,)},
        {"widths": (126,), "attention_strides": ()},
        {"groups": 3},
    ],
)
def test_networks_that_cannot_be_built_are_refused(wrong):
    with pytest.raises(ModelError, match="cannot be built"):
        NetworkConfig(**wrong)


@torch.inference_mode()
def test_a_sample_does_not_depend_on_its_neighbours_in_the_batch(small):
    x = torch.rand(3, 4, 48, 48)
    x[:, 3] = (x[:, 3] > 0.5).float()
    index = torch.tensor([5, 2, 0])
    together = small(x, index)
    alone = small(x[1:2], index[1:2])
    torch.testing.assert_close(together[1:2], alone, atol=2e-5, rtol=0)


@pytest.mark.parametrize("stem", ["colour_likelihood", "local_likelihood"])
@torch.inference_mode()
def test_likelihood_maps_can_be_hidden_from_single_samples(stem):
    torch.manual_seed(0)
    network = DenoisingUNet(dataclasses.replace(SMALL, stem=stem)).eval()
    x = torch.rand(1, 4, 48, 48)
    x[:, 3] = 0
    x[:, 3, 12:36, 12:36] = 1
    x[:, 0] += x[:, 3]
    x, index = x.repeat(2, 1, 1, 1), torch.tensor([5, 5])
    shown = network(x, index)
    half = network(x, index, map_scale=torch.tensor([1.0, 0.0]))
    torch.testing.assert_close(half[0], shown[0], atol=1e-5, rtol=0)
    assert (half[1] - shown[1]).abs().max() > 1e-4
