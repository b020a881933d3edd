"""The trained policy that a study keeps: of the winner's first test training in each environment, to act by elsewhere, as a guide does.

It is one checkpoint, ``policy.npz`` in the study's folder: arrays and plain data, hashed, no code. "First" is by seed, of those that did
not fail; the best one would carry test scores into studies that it guides, which may be tested on the same seeds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autorl.errors import AutoRLError, UsageError
from autorl.studies import checkpoint
from autorl.studies.folder import ROOT, StudyFolder

if TYPE_CHECKING:
    from autorl.curricula.starts.guide import Policy
    from autorl.environments.protocol import Box, Discrete, Environment
    from autorl.inner.acting import Acting

NAME = "policy"
GREEDY = "greedy_evaluation"
"""The hyperparameter of learners that can act with the likeliest actions or with drawn ones."""
_ARRAYS = ("parameters", "weight", "mean", "variance")
_PINNED = re.compile(r"(.+)#([0-9a-f]{64})", re.DOTALL)


@dataclass(frozen=True)
class Trained:
    """A trained agent to keep.

    Attributes:
        environment: Where it was trained.
        algorithm: Name of its learner.
        values: Hyperparameters that it acts by, plain data.
        seed: Of its training.
        score: Mean return of its last evaluations.
        env_steps: Of its training, and of those of the policies that guided it; None if these are not known.
        acting: What it acts by, host arrays.
    """

    environment: Environment
    algorithm: str
    values: Mapping[str, Any]
    seed: int
    score: float
    env_steps: int | None
    acting: Acting


@dataclass(frozen=True)
class KeptPolicy:
    """A policy for one observation and a random key. Two of equal digest in one environment are equal, and of equal hash.

    Attributes:
        learner: Of the algorithm, in the environment where the policy is to act.
        digest: Of what it acts by.
    """

    learner: Any
    digest: str
    _acting: Acting = field(compare=False, repr=False)
    _hyperparameters: Any = field(compare=False, repr=False)

    def __call__(self, observation: Any, key: Any) -> Any:
        """Return the action at one observation."""
        return self.learner.actor(self._acting, self._hyperparameters)(observation[None], key)[0]

    def drawn(self) -> KeptPolicy:
        """Return it with drawn actions, as it learned, where its learner evaluates with the likeliest ones but can do both."""
        if not hasattr(self._hyperparameters, GREEDY):
            return self
        changed = replace(self._hyperparameters, **{GREEDY: np.zeros((), np.bool_)})
        return replace(self, digest=f"{self.digest} drawn", _hyperparameters=changed)


def keep(folder: StudyFolder, agents: Sequence[Trained]) -> None:
    """Write the policies of ``agents``, one for each environment, over those of before.

    They are a by-product: whoever calls this has the results in the record already.

    Raises:
        CheckpointError: The disk is full, or the folder cannot be written.
    """
    arrays: checkpoint.Arrays = {}
    entries: list[dict[str, Any]] = []
    for i, agent in enumerate(agents):
        values = (agent.acting.parameters, *agent.acting.moments)
        arrays |= {f"{i}/{name}": np.asarray(value) for name, value in zip(_ARRAYS, values, strict=True)}
        entries.append(
            {
                "environment": agent.environment.name,
                "observation_shape": list(agent.environment.observation_shape),
                "action_space": _described(agent.environment.action_space),
                "algorithm": agent.algorithm,
                "hyperparameters": dict(agent.values),
                "seed": agent.seed,
                "score": agent.score,
                "env_steps": None if agent.env_steps is None else int(agent.env_steps),
            }
        )
    checkpoint.save(folder.path, NAME, arrays, {"policies": entries})


def guide_of(reference: str, environment: Environment) -> Policy:
    """Return the guide that ``reference`` names: ``module:attribute``, or ``study:NAME`` for the policy that a study kept.

    NAME is that of a study below ``studies``, or the path of one; ``#`` and a digest behind it hold it to what the study kept then.

    Raises:
        UsageError: There is no such function or study, the study kept no policy, or another than the one that was pinned, it is damaged,
            or cannot act in ``environment``.
    """
    from autorl.curricula.starts.guide import STUDY, guide_policy

    if not reference.startswith(STUDY):
        return guide_policy(reference)
    try:
        study, digest = parts_of(reference.removeprefix(STUDY))
        return kept_policy(study, environment, digest=digest)
    except AutoRLError as error:
        raise UsageError(f"guide: {error}") from error


def kept_policy(
    study: str | Path, environment: Environment, root: Path | str = ROOT, *, digest: str | None = None
) -> KeptPolicy:
    """Return the policy that a study kept, to act in ``environment``: the one trained there, else the first that fits.

    Args:
        study: Its name, or its path.
        environment: Where it is to act.
        root: Where studies are kept.
        digest: Of all that the study keeps, see `pinned_guide`; anything if None.

    Raises:
        UnknownStudyError: There is no such study.
        CheckpointError: Its policy is damaged.
        UsageError: It kept none, none that fits, or another than the one of ``digest``.
    """
    folder = StudyFolder.open(study, root)
    entries, arrays = read(folder)
    if digest is not None and digest_of(entries, arrays) != digest:
        raise UsageError(
            f"study {str(folder.path)!r} keeps another policy than when this study was made. Remedy: restore its {folder.policy.name}, "
            "or run this experiment again as a new study"
        )
    best = _best(folder, entries, environment)
    return _policy(folder, entries[best], {name: arrays.get(f"{best}/{name}") for name in _ARRAYS}, environment)


def guide_env_steps(reference: str, environment: Environment) -> int | None:
    """Return the env steps that trained the policy that a guide of a study is (see `guide_of`); None where they are not known."""
    from autorl.curricula.starts.guide import STUDY

    try:
        study, digest = parts_of(reference.removeprefix(STUDY))
        folder = StudyFolder.open(study)
        entries, arrays = read(folder)
        if digest is not None and digest_of(entries, arrays) != digest:
            return None
        steps = entries[_best(folder, entries, environment)].get("env_steps")
    except AutoRLError:  # it is gone since: no reason to lose what it guided
        return None
    return steps if isinstance(steps, int) else None


def _best(folder: StudyFolder, entries: Sequence[Mapping[str, Any]], environment: Environment) -> int:
    """Return which of the policies is to act in ``environment``."""
    fitting = [i for i, entry in enumerate(entries) if _fits(entry, environment)]
    if not fitting:
        there = "; ".join(f"{e['environment']} ({_shape(e)})" for e in entries)
        own = {
            "observation_shape": list(environment.observation_shape),
            "action_space": _described(environment.action_space),
        }
        raise UsageError(
            f"study {folder.name!r} keeps policies of {there}, and {environment.name!r} has {_shape(own)}. "
            "Remedy: a study of an environment with the same observations and actions"
        )
    return next((i for i in fitting if entries[i]["environment"] == environment.name), fitting[0])


def parts_of(reference: str) -> tuple[str, str | None]:
    """Return the name or path of a study, and the digest behind it if there is one."""
    found = _PINNED.fullmatch(reference)
    return (reference, None) if found is None else (found[1], found[2])


def digest_of(entries: Sequence[Mapping[str, Any]], arrays: checkpoint.Arrays) -> str:
    """Return a hash of all that a study keeps, as `read` returned it."""
    return checkpoint.digest_of([list(entries), *(part for name in sorted(arrays) for part in (name, arrays[name]))])


def read(folder: StudyFolder) -> tuple[list[dict[str, Any]], checkpoint.Arrays]:
    """Return what `keep` wrote: an entry for each policy, and their arrays."""
    if not folder.policy.exists():
        raise UsageError(
            f"study {folder.name!r} keeps no policy: it has not finished, was stopped just as it did, is of an older version, or its "
            "learner has no network. Remedy: resume it, or run its experiment again"
        )
    arrays, meta = checkpoint.load(folder.path, NAME)
    entries = meta.get("policies") if isinstance(meta, Mapping) else None
    if not isinstance(entries, list) or not all(map(_whole, entries)):
        raise checkpoint.CheckpointError(
            f"{str(folder.policy)!r} is no policy of a study. Remove it, and run it again."
        )
    return entries, arrays


def _policy(
    folder: StudyFolder, entry: Mapping[str, Any], arrays: Mapping[str, Any], environment: Environment
) -> KeptPolicy:
    from autorl.declarations import make_hyperparameters
    from autorl.inner.acting import Acting, ActingLearner
    from autorl.inner.algorithms import ALGORITHMS
    from autorl.inner.normalisation import Moments

    learner = ALGORITHMS.load(entry["algorithm"])(environment)
    if not isinstance(learner, ActingLearner):
        raise UsageError(f"study {folder.name!r}: learner {entry['algorithm']!r} has no policy that can be kept")
    hp: Any = make_hyperparameters(learner.Hyperparameters, entry["hyperparameters"])
    size = int(np.prod(environment.observation_shape))
    wanted = dict(zip(_ARRAYS, ((learner.acting_size(hp),), (), (size,), (size,)), strict=True))
    for name, shape in wanted.items():
        array = arrays[name]
        if array is None or array.shape != shape or array.dtype != np.float32:
            raise checkpoint.CheckpointError(
                f"{str(folder.policy)!r}: {name}: expected float32 of shape {list(shape)}. Remove it, and run the study again."
            )
    acting = Acting(arrays["parameters"], Moments(arrays["weight"], arrays["mean"], arrays["variance"]))
    return KeptPolicy(learner, checkpoint.digest_of([entry["hyperparameters"], *arrays.values()]), acting, hp)


def _described(space: Discrete | Box) -> dict[str, Any]:
    from autorl.environments.protocol import Discrete

    if isinstance(space, Discrete):
        return {"actions": int(space.n)}
    return {"low": _bound(space.low), "high": _bound(space.high), "shape": [int(n) for n in space.shape]}


def _bound(value: Any) -> Any:
    """Return a bound, of whatever kind a user's environment has it, as what JSON brings back equal: a number, or ``"inf"``."""
    found = np.asarray(value, np.float64)
    if found.ndim:
        return [_bound(each) for each in found]
    return float(found) if np.isfinite(found) else str(float(found))


_FIELDS: Mapping[str, type] = {
    "environment": str,
    "observation_shape": list,
    "action_space": dict,
    "algorithm": str,
    "hyperparameters": dict,
}


def _whole(entry: Any) -> bool:
    return isinstance(entry, Mapping) and all(isinstance(entry.get(name), kind) for name, kind in _FIELDS.items())


def _fits(entry: Mapping[str, Any], environment: Environment) -> bool:
    same = entry["observation_shape"] == list(environment.observation_shape)
    return bool(same and entry["action_space"] == _described(environment.action_space))


def _shape(entry: Mapping[str, Any]) -> str:
    space = entry["action_space"]
    actions = f"{space['actions']} actions" if "actions" in space else f"actions of shape {space.get('shape')}"
    return f"observations of shape {entry['observation_shape']} and {actions}"
