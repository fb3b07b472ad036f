"""The denoising U-Net: logits of the fine mask from an image, a mask and a step.

One configurable class. With the default :class:`NetworkConfig` its tensors carry the
names and shapes of the published network, so that its weights load; with :data:`SMALL`
it is the network that the default model began as.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_segrefiner.errors import ModelError
from napari_segrefiner.likelihood import likelihood_maps
from napari_segrefiner.network_config import SMALL, NetworkConfig

__all__ = ["SMALL", "DenoisingUNet", "NetworkConfig"]

IMAGE_CHANNELS = 3
INPUT_CHANNELS = IMAGE_CHANNELS + 1
HEAD_CHANNELS = 8  # full-size channels of the unfolded head (method 8)
HEAD_WIDTH = 16


class GroupNorm(nn.GroupNorm):
    """Group normalisation in float32 whatever comes in, cast back (as published)."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, ...) floats; same shape and dtype out."""
        return super().forward(x.float()).to(x.dtype)


class ResBlock(nn.Module):
    """Two convolutions with the step's embedding added between them, and a shortcut."""

    def __init__(self, c_in: int, c_out: int, config: NetworkConfig) -> None:
        super().__init__()
        self.in_layers = nn.Sequential(
            _norm(c_in, config), nn.SiLU(), nn.Conv2d(c_in, c_out, 3, padding=1)
        )
        self.emb_layers = nn.Sequential(
            nn.SiLU(), nn.Linear(_embedding_width(config), c_out)
        )
        # The Identity stands where the published block has its unused dropout: the
        # index in the sequence is part of the tensors' names.
        self.out_layers = nn.Sequential(
            _norm(c_out, config),
            nn.SiLU(),
            nn.Identity(),
            nn.Conv2d(c_out, c_out, 3, padding=1),
        )
        self.skip_connection = (
            nn.Identity() if c_in == c_out else nn.Conv2d(c_in, c_out, 1)
        )

    def forward(self, x: Tensor, embedding: Tensor) -> Tensor:
        """(N, c_in, H, W) and (N, E) to (N, c_out, H, W)."""
        h = self.in_layers(x) + self.emb_layers(embedding)[:, :, None, None]
        out: Tensor = self.skip_connection(x) + self.out_layers(h)
        return out


class Attention(nn.Module):
    """Self-attention over all positions; channels are split into heads first."""

    def __init__(self, channels: int, config: NetworkConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm = _norm(channels, config)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj_out = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) in and out."""
        n, c, height, width = x.shape
        flat = x.reshape(n, c, height * width)
        heads = self.qkv(self.norm(flat)).reshape(
            n, self.heads, 3 * c // self.heads, height * width
        )
        # The default scale 1/sqrt(d) of q k is the published d^(-1/4) on each of them.
        q, k, v = (part.transpose(2, 3) for part in heads.chunk(3, dim=2))
        mixed = F.scaled_dot_product_attention(q, k, v)
        out: Tensor = self.proj_out(mixed.transpose(2, 3).reshape(n, c, -1))
        return x + out.reshape(n, c, height, width)


class Downsample(nn.Module):
    """Half the side."""

    def __init__(self, channels: int, config: NetworkConfig) -> None:
        super().__init__()
        light = config.resampling == "light"
        self.op = nn.Conv2d(
            channels, channels, 2 if light else 3, stride=2, padding=0 if light else 1
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, H/2, W/2)."""
        out: Tensor = self.op(x)
        return out


class Upsample(nn.Module):
    """Twice the side by nearest neighbours, with a convolution where it is cheap."""

    def __init__(self, channels: int, config: NetworkConfig) -> None:
        super().__init__()
        self.light = config.resampling == "light"
        self.conv = nn.Conv2d(
            channels, channels, 1 if self.light else 3, padding=0 if self.light else 1
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, 2H, 2W)."""
        if self.light:  # a 1x1 convolution commutes with repeating pixels
            return F.interpolate(self.conv(x), scale_factor=2.0, mode="nearest")
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class Stage(nn.Sequential):
    """Layers in a row; those that want the step's embedding get it."""

    def forward(  # type: ignore[override]  # a second input is its purpose
        self, x: Tensor, embedding: Tensor
    ) -> Tensor:
        """(N, C, H, W) and (N, E) to (N, C', H', W')."""
        for layer in self:
            x = layer(x, embedding) if isinstance(layer, ResBlock) else layer(x)
        return x


class FullResolutionHead(nn.Module):
    """Unfold features to the input's pixels and decide there, beside the input."""

    def __init__(self, input_channels: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.join = nn.Conv2d(HEAD_CHANNELS + input_channels, HEAD_WIDTH, 3, padding=1)
        self.decide = nn.Conv2d(HEAD_WIDTH, 1, 3, padding=1)

    def forward(self, features: Tensor, inputs: Tensor) -> Tensor:
        """(N, 8 u^2, H/u, W/u) and (N, C, H, W) to logits (N, 1, H, W)."""
        full = F.silu(F.pixel_shuffle(features, self.factor))
        joined = torch.cat([full, inputs.to(full.dtype)], dim=1)
        out: Tensor = self.decide(F.silu(self.join(joined)))
        return out


class DenoisingUNet(nn.Module):
    """Predicts the fine mask from what is known at a step of the diffusion.

    Parameters
    ----------
    config : NetworkConfig
        Its shape. The defaults give the published network: 118.6 million parameters in
        453 tensors.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        inputs = INPUT_CHANNELS + config.n_maps
        folded = inputs * config.unshuffle**2
        self.time_embed = nn.Embedding(config.steps, _embedding_width(config))
        self.input_blocks = nn.ModuleList()
        self.middle_block: Stage
        self.output_blocks = nn.ModuleList()
        #: Which outputs of `input_blocks` are joined on the way up.
        self._is_joined: list[bool] = []
        joined = self._build_down(folded)
        self._build_middle()
        self._build_up(joined)
        width = config.widths[0]
        if config.head == "plain":
            last = nn.Conv2d(width, 1, 3, padding=1)
        else:
            last = nn.Conv2d(width, HEAD_CHANNELS * config.unshuffle**2, 3, padding=1)
            self.head = FullResolutionHead(inputs, config.unshuffle)
        self.out = nn.Sequential(_norm(width, config), nn.SiLU(), last)

    def _build_down(self, folded: int) -> list[int]:
        """Fill `input_blocks`; returns the channels of the joined outputs, in order."""
        config, joined = self.config, []
        width = config.widths[0]
        self.input_blocks.append(Stage(nn.Conv2d(folded, width, 3, padding=1)))
        for level, level_width in enumerate(config.widths):
            outputs = [width]
            if level:
                self.input_blocks.append(Stage(Downsample(width, config)))
            for _ in range(config.blocks_down):
                self.input_blocks.append(self._stage(width, level_width, level))
                width = level_width
                outputs.append(width)
            n_dropped = len(outputs) - config.blocks_up
            self._is_joined += [i >= n_dropped for i in range(len(outputs))]
            joined += outputs[n_dropped:]
        return joined

    def _build_middle(self) -> None:
        width = self.config.widths[-1]
        layers: list[nn.Module] = [*self._blocks(width, width)]
        if self.config.middle_attention:
            layers.append(Attention(width, self.config))
        layers += self._blocks(width, width)
        self.middle_block = Stage(*layers)

    def _build_up(self, joined: list[int]) -> None:
        config = self.config
        width = config.widths[-1]
        for level in reversed(range(len(config.widths))):
            for i in range(config.blocks_up):
                stage = self._stage(width + joined.pop(), config.widths[level], level)
                width = config.widths[level]
                if level and i == config.blocks_up - 1:
                    stage.append(Upsample(width, config))
                self.output_blocks.append(stage)

    def _stage(self, c_in: int, c_out: int, level: int) -> Stage:
        """Residual blocks, followed by attention on the levels that have it."""
        layers: list[nn.Module] = [*self._blocks(c_in, c_out)]
        if self.config.has_attention(level):
            layers.append(Attention(c_out, self.config))
        return Stage(*layers)

    def _blocks(self, c_in: int, c_out: int) -> list[ResBlock]:
        """As many residual blocks in a row as the configuration says."""
        inputs = [c_in] + [c_out] * (self.config.stage_depth - 1)
        return [ResBlock(c, c_out, self.config) for c in inputs]

    def forward(
        self, x: Tensor, index: Tensor, map_scale: Tensor | None = None
    ) -> Tensor:
        """Logits of the fine mask.

        Parameters
        ----------
        x : (N, 4, H, W) float tensor
            Normalised red, green, blue and the mask at this step (0 or 1).
        index : (N,) int64 tensor
            Step index i of each sample, 0 (nearly fine) to 5 (all coarse).
        map_scale : (N,) float tensor, optional
            Factor on the likelihood maps of each sample; training hides them at times.

        Returns
        -------
        (N, 1, H, W) float tensor

        Raises
        ------
        ModelError
            If a side is no multiple of ``config.multiple``.
        """
        multiple = self.config.multiple
        if x.shape[2] % multiple or x.shape[3] % multiple:
            message = (
                f"The network was given {x.shape[2]} x {x.shape[3]} px; sides that are "
                f"multiples of {multiple} px are expected."
            )
            raise ModelError(message)
        if self.config.n_maps:
            maps = likelihood_maps(
                x[:, :IMAGE_CHANNELS],
                x[:, IMAGE_CHANNELS:],
                is_local=self.config.stem == "local_likelihood",
            )
            if map_scale is not None:
                maps = maps * map_scale[:, None, None, None]
            x = torch.cat([x, maps.to(x.dtype)], dim=1)
        embedding = self.time_embed(index)
        h = F.pixel_unshuffle(x, self.config.unshuffle)
        joined: list[Tensor] = []
        for stage, is_joined in zip(self.input_blocks, self._is_joined, strict=True):
            h = stage(h, embedding)
            if is_joined:
                joined.append(h)
        h = self.middle_block(h, embedding)
        for stage in self.output_blocks:
            h = stage(torch.cat([h, joined.pop()], dim=1), embedding)
        logits: Tensor = self.out(h)
        if self.config.head == "full_resolution":
            logits = self.head(logits, x)
        return logits

    def named_shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Name and shape of every tensor of the state dict."""
        for name, tensor in self.state_dict().items():
            yield name, tuple(tensor.shape)


def _norm(channels: int, config: NetworkConfig) -> GroupNorm:
    return GroupNorm(config.groups or math.gcd(32, channels), channels)


def _embedding_width(config: NetworkConfig) -> int:
    return config.embedding or 4 * config.widths[0]
