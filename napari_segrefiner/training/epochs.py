"""The order in which a published training goes through its images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

#: Images of neighbouring numbers that are of one aspect: samples of one process.
TOGETHER = 8


class EpochOrder:
    """Image of every sample: epochs in random order, wide and tall images apart.

    Parameters
    ----------
    is_wide : sequence of bool
        Of every image, whether its width exceeds its height.
    seed : int

    Notes
    -----
    As in the published code's framework, each kind is shuffled, filled up to a multiple
    of TOGETHER with random repetitions, and the groups are shuffled.
    """

    def __init__(self, is_wide: Sequence[bool], seed: int) -> None:
        wide = np.asarray(is_wide, bool)
        self.kinds = [
            found
            for found in (np.flatnonzero(~wide), np.flatnonzero(wide))
            if len(found)
        ]
        self.is_wide = wide
        self.seed = seed
        self._epoch = -1
        self._order: npt.NDArray[np.int64] = np.empty(0, np.int64)

    @property
    def length(self) -> int:
        """Samples of an epoch."""
        return sum(-(-len(kind) // TOGETHER) * TOGETHER for kind in self.kinds)

    def image(self, number: int) -> int:
        """The image of the sample with this number in the whole training."""
        epoch, place = divmod(number, self.length)
        if epoch != self._epoch:
            self._order, self._epoch = self._shuffled(epoch), epoch
        return int(self._order[place])

    def another(self, rng: np.random.Generator, image: int) -> int:
        """A random image of the same kind."""
        kind = next(k for k in self.kinds if self.is_wide[k[0]] == self.is_wide[image])
        return int(rng.choice(kind))

    def _shuffled(self, epoch: int) -> npt.NDArray[np.int64]:
        # The samples draw from the same key with another counter.
        bits = np.random.Philox(key=[self.seed, epoch], counter=[0, 0, 1, 0])
        rng = np.random.Generator(bits)
        groups = []
        for kind in self.kinds:
            more = -len(kind) % TOGETHER
            filled = np.concatenate([rng.permutation(kind), rng.choice(kind, more)])
            groups.append(filled.reshape(-1, TOGETHER))
        return np.concatenate(rng.permutation(np.concatenate(groups)))
