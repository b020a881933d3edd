"""Priors from landscapes: for each task what the other tasks of its algorithm teach, and the shipped priors, which all of them teach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from _landscape import TUNING_SEEDS, Landscape

from autorl.errors import UsageError
from autorl.keys import derive, generator
from autorl.outer.prior_files import prior_file
from autorl.outer.prior_fit import Tried, fit_prior
from autorl.outer.priors import Prior
from autorl.spaces import Candidate, HyperparameterSpace

FOLDS = 8
"""Parts of the configurations, each judged by a prior learned from the others."""
SOURCE = (
    "fitted by `python benchmarks/landscapes.py --data FOLDER --fit-prior search_spaces/priors` to the ranks of the configurations in "
    "ARLBench's published landscapes (Becktepe et al., 2024; BSD-3-Clause), seeds 0 to 4, later half of the checkpoints"
)


def _contextual(name: str) -> tuple[str, ...]:
    """Return the ids of an environment of ours whose contexts vary."""
    return f"contextual:{name}", f"contextual:{name}-visible"


def _with_contexts(name: str) -> tuple[str, ...]:
    """Return the ids of a gymnax environment and of ours with its dynamics."""
    return f"gymnax:{name}", *_contextual(name)


ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "cc_acrobot": _with_contexts("Acrobot-v1"),
    "cc_cartpole": (*_with_contexts("CartPole-v1"), *_contextual("CartPole-wide")),
    "cc_continuous_mountain_car": ("gymnax:MountainCarContinuous-v0",),
    "cc_mountain_car": _with_contexts("MountainCar-v0"),
    "cc_pendulum": _with_contexts("Pendulum-v1"),
    "minigrid_door_key": ("xminigrid:DoorKey-5x5", "minigrid:DoorKey-5x5"),
    "minigrid_empty_random": ("xminigrid:EmptyRandom-5x5", "minigrid:Empty-Random-5x5"),
    "minigrid_four_rooms": ("xminigrid:FourRooms", "minigrid:FourRooms"),
}
"""Tasks to what an experiment calls them, where AutoRL has them: a study there is given a prior without them."""


def algorithm(landscape: Landscape) -> str:
    """Return the algorithm of a landscape: its name ends with it."""
    return landscape.name.rpartition("_")[2]


def tried(landscape: Landscape, configurations: Sequence[int] | None = None) -> Tried:
    """Return what a prior learns from: ``configurations`` (by default all), ranked by the later half of the tuning seeds' curves."""
    chosen = list(range(len(landscape.configurations)) if configurations is None else configurations)
    merits = landscape.returns[chosen][:, list(TUNING_SEEDS), landscape.checkpoints // 2 :].mean(axis=(1, 2))
    where = ENVIRONMENTS.get(landscape.name.rpartition("_")[0], ())
    candidates = [landscape.configurations[c] for c in chosen]
    return Tried(landscape.name, where, landscape.space, candidates, merits.tolist())


@dataclass(frozen=True)
class Unseen(Prior):
    """A prior that judges each configuration by what was learned without it, in other tasks.

    Attributes:
        judges: Fingerprint of a configuration to the prior that never saw it.
    """

    judges: Mapping[str, Prior] = field(default_factory=dict)

    def utility(self, space: HyperparameterSpace, candidate: Candidate) -> float:
        """Return the expected utility."""
        return self.judges[space.fingerprint(candidate)].utility(space, candidate)


def learned_elsewhere(landscapes: Sequence[Landscape], name: str, unseen: bool = False) -> Prior:
    """Return the prior that all ``landscapes`` of its algorithm but ``name`` itself teach.

    Args:
        landscapes: All tasks.
        name: The one to be searched.
        unseen: Judge no configuration by a prior that saw it, in whatever task: the tasks of an algorithm share theirs.

    Raises:
        UsageError: There is no other task of the algorithm.
    """
    own = next(x for x in landscapes if x.name == name)
    others = [x for x in landscapes if algorithm(x) == algorithm(own) and x is not own]
    if not others:
        raise UsageError(
            f"--data: no other task of {algorithm(own)} than {name} to learn a prior from. Remedy: --no-prior."
        )
    whole = fit_prior(name, algorithm(own), SOURCE, [tried(x) for x in others])
    if not unseen:
        return whole
    count = len(own.configurations)
    if any(len(x.configurations) != count for x in others):
        raise UsageError("--unseen: the tasks of an algorithm have different configurations on record.")
    order = generator(derive(0, "folds")).permutation(count)
    judges: dict[str, Prior] = {}
    for fold in range(FOLDS):
        left = sorted(int(c) for c in order[fold::FOLDS])
        rest = [c for c in range(count) if c not in set(left)]
        judge = fit_prior(name, algorithm(own), SOURCE, [tried(x, rest) for x in others])
        judges |= {own.space.fingerprint(own.configurations[c]): judge for c in left}
    return Unseen(**{f.name: getattr(whole, f.name) for f in fields(Prior)}, judges=judges)


def write_priors(landscapes: Sequence[Landscape], folder: Path) -> list[Path]:
    """Write the priors that ship, one an algorithm, learned from all of its tasks; a study leaves its own environments out."""
    made = []
    for name in sorted({algorithm(x) for x in landscapes}):
        prior = fit_prior(name, name, SOURCE, [tried(x) for x in landscapes if algorithm(x) == name])
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.yaml"
        path.write_text(prior_file(prior), encoding="utf-8")
        made.append(path)
    return made
