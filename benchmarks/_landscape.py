"""A landscape: what many trainings of one task scored, on record, so that a search can be tried without training anything.

Source of the records and of the protocol: Becktepe et al. (2024), ARLBench. Letters for shapes: C configurations, S seeds,
K checkpoints of a training (equally spaced, the last at its end), D coordinates of the unit cube.

A search sees the tuning seeds only. Its outcome is the mean return of the chosen configuration on the test seeds, scaled so
that 0 is the average configuration and 1 the best one (both by their mean over all seeds: a scale, nothing chooses by it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from autorl.keys import derive
from autorl.spaces import Candidate, HyperparameterSpace

TUNING_SEEDS = (0, 1, 2, 3, 4)
TEST_SEEDS = (5, 6, 7, 8, 9)


@dataclass(frozen=True, eq=False)
class Landscape:
    """One task.

    Attributes:
        name: Its name.
        space: What is searched; the configurations are points of it.
        configurations: C candidates.
        units: Their points of the unit cube, float64 [C, D].
        returns: Mean return of each evaluation, float64 [C, S, K], all finite; a failed one has the task's worst return.
        env_steps: Environment steps of a whole training.
        tuning: Seeds that a search may train on.
        test: Seeds that judge it.
    """

    name: str
    space: HyperparameterSpace
    configurations: tuple[Candidate, ...]
    units: NDArray[np.float64]
    returns: NDArray[np.float64]
    env_steps: int
    tuning: tuple[int, ...] = TUNING_SEEDS
    test: tuple[int, ...] = TEST_SEEDS

    @property
    def checkpoints(self) -> int:
        """Evaluations of a training: K."""
        return self.returns.shape[2]

    def test_score(self, configuration: int) -> float:
        """Return the score on the test seeds: 0 as the average configuration, 1 as the best. It may be outside."""
        final = self.returns[:, :, -1]
        means = final.mean(axis=1)
        reached = final[configuration, list(self.test)].mean()
        return float((reached - means.mean()) / (means.max() - means.mean()))


def judged_by_tuning(landscape: Landscape, held: int) -> Landscape:
    """Return the landscape of the tuning seeds alone, number ``held`` of them the judge: for choosing how to search."""
    seeds = [s for s in TUNING_SEEDS if s != TUNING_SEEDS[held]]
    returns = landscape.returns[:, [*seeds, TUNING_SEEDS[held]]]
    most = len(seeds)
    return replace(landscape, returns=returns, tuning=tuple(range(most)), test=(most,))


@dataclass(frozen=True)
class Recorded(HyperparameterSpace):
    """A space whose draws are configurations on record: what is drawn is trained as it is, and not its nearest neighbour.

    Attributes:
        drawn: The configurations.
    """

    drawn: tuple[Candidate, ...] = ()

    def sample(self, key: int) -> Candidate:
        """Return one of them, each as likely."""
        return self.drawn[derive(key, "recorded") % len(self.drawn)]

    @cached_property
    def _names(self) -> dict[int, str]:
        return {id(candidate): super(Recorded, self).fingerprint(candidate) for candidate in self.drawn}

    def fingerprint(self, candidate: Candidate) -> str:
        """Return its name; those of the drawn ones are looked up, which takes most of the time of a search otherwise."""
        return self._names.get(id(candidate)) or super().fingerprint(candidate)


@dataclass
class Work:
    """The trainings of one search on a landscape, and the ledger of what they cost.

    Attributes:
        landscape: Where it trains.
        trainings: Whole trainings granted.
        trained: (configuration, seed) to the checkpoints that it has reached.
    """

    landscape: Landscape
    trainings: int
    trained: dict[tuple[int, int], int] = field(default_factory=dict)

    @property
    def spent(self) -> float:
        """Whole trainings spent; a part of one counts by its share of the steps."""
        return sum(self.trained.values()) / self.landscape.checkpoints

    def affords(self, fraction: float) -> bool:
        """Return whether ``fraction`` of a training can still be paid for."""
        left = self.trainings * self.landscape.checkpoints - sum(self.trained.values())
        return self._checkpoint(fraction) <= left

    def train(self, configuration: int, seed: int, from_fraction: float, to_fraction: float) -> float:
        """Train a configuration on a tuning seed from one checkpoint to another, and return the mean return there.

        Args:
            configuration: Position among the landscape's configurations.
            seed: One of the landscape's tuning seeds.
            from_fraction: Share of a whole training that it has had; 0 starts one.
            to_fraction: Share that it will have had.

        Raises:
            ValueError: A test seed, a share between two checkpoints, a training that is continued from where it is not, or
                more work than was granted.
        """
        tuning = self.landscape.tuning
        if seed not in tuning:
            raise ValueError(f"seed {seed}: a search trains on tuning seeds {tuning}; test seeds measure its outcome")
        start, end = self._checkpoint(from_fraction), self._checkpoint(to_fraction)
        reached = self.trained.get((configuration, seed), 0)
        if start != reached or end <= start:
            have = reached / self.landscape.checkpoints
            raise ValueError(
                f"configuration {configuration}, seed {seed}: cannot train from {from_fraction} to {to_fraction} of the "
                f"steps, it has had {have}"
            )
        if not self.affords(to_fraction - from_fraction):
            raise ValueError(f"{self.spent} of {self.trainings} trainings are spent: no work left for this one")
        self.trained[configuration, seed] = end
        return float(self.landscape.returns[configuration, seed, end - 1])

    def curve(self, configuration: int, seed: int) -> NDArray[np.float64]:
        """Return the mean returns at the checkpoints trained so far, float64 [up to K]."""
        return self.landscape.returns[configuration, seed, : self.trained.get((configuration, seed), 0)]

    def _checkpoint(self, fraction: float) -> int:
        place = fraction * self.landscape.checkpoints
        if not 0 <= place <= self.landscape.checkpoints or abs(place - round(place)) > 1e-6:
            raise ValueError(f"{fraction}: expected a whole number of checkpoints, each 1/{self.landscape.checkpoints}")
        return round(place)

    def nearest(self, point: NDArray[np.float64], taken: Sequence[int] = ()) -> int:
        """Return the configuration nearest to ``point``, float [D] of the unit cube, of those not trained and not ``taken``.

        Raises:
            ValueError: Every configuration is taken.
        """
        distances = np.linalg.norm(self.landscape.units - point, axis=1)
        distances[[*{c for c, _ in self.trained}, *taken]] = np.inf
        chosen = int(distances.argmin())
        if not np.isfinite(distances[chosen]):
            raise ValueError(f"landscape {self.landscape.name!r}: all {len(distances)} configurations are taken")
        return chosen
