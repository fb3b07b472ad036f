"""Changes of colour, light and sharpness that leave the truth as it is."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from napari_segrefiner.training.fields import blur, ramp, random_field

#: (3, S, S) in [0, 1], channels first.
Colour = npt.NDArray[np.float32]

#: Sides of random filters, px; 1 mixes the colours alone.
FILTER_SIDES = (1, 3, 5, 7)

#: A change is dropped if less than this share of the contrast is left: saturated
#: pictures show nothing to learn from.
KEPT_SPREAD = 0.3


@dataclass(frozen=True)
class AugmentOptions:
    """Probability of every change (method 11; filters: decisions/default_model.md)."""

    grey: float = 0.35
    permutation: float = 0.35
    random_filter: float = 0.20
    inversion: float = 0.30
    gamma: float = 0.40
    gain: float = 0.40
    single_hue: float = 0.05
    uneven_light: float = 0.20
    blur: float = 0.25
    compression: float = 0.06
    noise: float = 0.40


def augment(
    rng: np.random.Generator, image: Colour, options: AugmentOptions | None = None
) -> Colour:
    """Draw which changes happen and apply them in a fixed order.

    Returns
    -------
    (3, S, S) float32 array in [0, 1]
    """
    options = options or AugmentOptions()
    chances: tuple[
        tuple[float, Callable[[np.random.Generator, Colour], Colour]], ...
    ] = (
        (options.random_filter, filter_at_random),
        (options.gamma, change_gamma),
        (options.gain, change_gain),
        (options.inversion, invert),
        (options.single_hue, show_in_one_hue),
        (options.uneven_light, light_unevenly),
        (options.blur, soften),
        (options.compression, compress),
        (options.noise, add_noise),
    )
    if rng.random() < options.grey:
        image = to_grey(rng, image)
    elif rng.random() < options.permutation:
        image = image[rng.permutation(3)]
    for chance, change in chances:
        if rng.random() < chance:
            changed = np.clip(change(rng, image), 0, 1)
            if _spread(changed) > KEPT_SPREAD * _spread(image):
                image = changed
    return np.ascontiguousarray(image, dtype=np.float32)


def _spread(image: Colour) -> float:
    """Standard deviation, of every fourth row and column: it need not be exact."""
    return float(image[:, ::4, ::4].std())


def _is_grey(image: Colour) -> bool:
    """Whether all channels are alike; two of them are in a picture of one colour."""
    return np.array_equal(image[0], image[1]) and np.array_equal(image[1], image[2])


def to_grey(rng: np.random.Generator, image: Colour) -> Colour:
    """A random mixture of the channels in all three."""
    weights = rng.dirichlet((1.0, 1.0, 1.0)).astype(np.float32)
    grey = np.tensordot(weights, image, axes=1)
    return np.repeat(grey[None], 3, axis=0)


def filter_at_random(rng: np.random.Generator, image: Colour) -> Colour:
    """The picture as a random small filter shows it, mixed with the picture itself.

    Textures and edges of no known kind, which keep the network from relying on those
    of the training pictures (random convolutions: Xu et al., ICLR 2021). The filter is
    even, so that edges stay where they are, or odd, so that they show as relief.
    """
    source = image[:1] if _is_grey(image) else image
    kernels = _random_kernels(rng, len(source))
    filtered = np.stack(
        [
            sum(
                ndimage.convolve(channel, kernel, mode="nearest")
                for channel, kernel in zip(source, row, strict=True)
                if kernel.any()
            )
            for row in kernels
        ]
    )
    # The mean of every channel stays, and so does the contrast of the whole.
    filtered -= filtered.mean(axis=(1, 2), keepdims=True)
    filtered *= image.std() / (filtered.std() + np.float32(1e-6))
    filtered += source.mean(axis=(1, 2), keepdims=True)
    share = np.float32(rng.uniform(0.2, 1.0))
    result: Colour = image + share * (filtered - image)
    return result


def _random_kernels(
    rng: np.random.Generator, n_channels: int
) -> npt.NDArray[np.float32]:
    """(to, from, side, side) kernels, all even or all odd; half keep channels apart."""
    side = int(rng.choice(FILTER_SIDES))
    shape = (n_channels, n_channels, side, side)
    kernels = rng.standard_normal(shape).astype(np.float32)
    if side > 1:
        turned = kernels[..., ::-1, ::-1]
        kernels = kernels - turned if rng.random() < 0.25 else kernels + turned
        if rng.random() < 0.5:
            kernels = kernels * np.eye(n_channels, dtype=np.float32)[:, :, None, None]
    return kernels


def invert(rng: np.random.Generator, image: Colour) -> Colour:
    """The negative."""
    return 1 - image


def change_gamma(rng: np.random.Generator, image: Colour) -> Colour:
    """A power of exp N(0, .4), the same for all channels."""
    result: Colour = np.clip(image, 0, 1) ** np.float32(np.exp(rng.normal(0, 0.4)))
    return result


def change_gain(rng: np.random.Generator, image: Colour) -> Colour:
    """Gain and offset, together and with a smaller part of each channel's own."""
    gain = np.exp(rng.normal(0, 0.25) + rng.normal(0, 0.12, (3, 1, 1)))
    offset = rng.normal(0, 0.07) + rng.normal(0, 0.04, (3, 1, 1))
    if _is_grey(image):  # grey stays grey
        gain, offset = gain[:1], offset[:1]
    return image * gain.astype(np.float32) + offset.astype(np.float32)


def show_in_one_hue(rng: np.random.Generator, image: Colour) -> Colour:
    """Brightness in one colour on black, as fluorescence is often shown."""
    hue = rng.dirichlet((0.4, 0.4, 0.4)).astype(np.float32)
    grey: Colour = image.mean(axis=0)[None] * (hue / hue.max())[:, None, None]
    return grey


def light_unevenly(rng: np.random.Generator, image: Colour) -> Colour:
    """A slope or a large smooth spot of light."""
    side = image.shape[-1]
    light = (
        ramp(rng, side) if rng.random() < 0.5 else random_field(rng, side, (3, 5)) / 2
    )
    return image * np.exp(np.float32(rng.normal(0, 0.25)) * light)


def soften(rng: np.random.Generator, image: Colour) -> Colour:
    """Blur of .4 to 1.4 px."""
    return blur(image, rng.uniform(0.4, 1.4))


def add_noise(rng: np.random.Generator, image: Colour) -> Colour:
    """Normal noise; in part stronger where it is bright, in part without colour."""
    sigma = np.float32(np.exp(rng.uniform(np.log(0.006), np.log(0.08))))
    shape = (
        (1, *image.shape[1:]) if _is_grey(image) or rng.random() < 0.3 else image.shape
    )
    noise = rng.standard_normal(shape, dtype=np.float32)
    if rng.random() < 0.3:
        noise = blur(noise, 0.6) * 2
    if rng.random() < 0.4:
        noise = noise * np.sqrt(np.clip(image, 0, 1)) * np.float32(1.5)
    return image + sigma * noise


def compress(rng: np.random.Generator, image: Colour) -> Colour:
    """JPEG of quality 20 to 80."""
    values = (np.clip(image, 0, 1).transpose(1, 2, 0) * 255 + 0.5).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "JPEG", quality=int(rng.integers(20, 80)))
    shown = np.asarray(Image.open(file), dtype=np.float32) / 255
    return np.ascontiguousarray(shown.transpose(2, 0, 1))
