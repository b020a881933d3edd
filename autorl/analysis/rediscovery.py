"""Is a loss the one-step TD loss? An automatic test of its slopes, and what a search saw, kept and chosen of it.

The test asks what a claim of rediscovery needs: on fresh random inputs the slope with respect to Q(s, .) must be
``c (Q(s, a) - (r + g max_a Q'(s', a)))`` at the action taken and 0 elsewhere, with one c > 0, and the slope with respect to Q(s', .) must
be 0; g takes several values and is 0 at terminations, so a loss that ignores it fails. Nothing is judged by eye or by form.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from autorl.keys import generator
from autorl.objectives.graphs.canonical import canonical
from autorl.objectives.graphs.files import graph_from_json
from autorl.objectives.graphs.graph import Graph
from autorl.objectives.graphs.interpreter import InterpretedLoss
from autorl.objectives.graphs.program import Program, Signature, pack
from autorl.outer.protocol import Status
from autorl.studies.trial import Json, Trial

Verdict = Literal["td", "td_scaled_reward", "other"]
"""``td_scaled_reward``: TD with the reward multiplied by a constant above 0: the same policies, other values."""

SAMPLES = 2048
TOLERANCE = 1e-4
"""Largest error of a sample's slopes, relative to what its TD error is a sum of: float32 rounds to some thousandth of that."""
SIZES = (0.01, 1.0, 10.0, 1000.0)
"""Standard deviations of values and rewards: small ones show what is added to TD, large ones what bounds it."""
_ACTIONS = 4
_SEED = 7_301
_BLOCK = 64

Values = NDArray[np.float64]


def verdicts(graphs: Sequence[Graph]) -> list[Verdict]:
    """Return for each graph of the family ``value`` whether it is TD. Graphs run as data, by one compiled program."""
    forms = [canonical(graph) for graph in graphs]
    distinct = list(dict.fromkeys(forms))
    if not distinct:
        return []
    signature = Signature.covering(distinct)
    inputs = _inputs()
    found: dict[Graph, Verdict] = {}
    for start in range(0, len(distinct), _BLOCK):
        block = distinct[start : start + _BLOCK]
        programs = [pack(graph, signature) for graph in block]
        programs += [programs[-1]] * (_BLOCK - len(programs))
        slopes = _slopes(jax.tree.map(lambda *x: np.stack(x), *programs), inputs)
        q, following = (np.asarray(x, np.float64) for x in slopes)
        found |= {graph: _verdict(q[i], following[i], inputs) for i, graph in enumerate(block)}
    return [found[form] for form in forms]


def _inputs() -> dict[str, Any]:
    """Return fresh random inputs: action values of all `SIZES`, discounts of .5 and .99, terminations among them."""
    rng = generator(_SEED)
    size = np.resize(SIZES, SAMPLES)

    def values() -> Values:
        return rng.standard_normal((_ACTIONS, SAMPLES)) * size

    action = np.eye(_ACTIONS)[:, rng.integers(_ACTIONS, size=SAMPLES)]
    q = values()
    made = {
        "q": q,
        "q_action": (q * action).sum(axis=0),
        "q_next": values(),
        "q_target": values(),
        "q_target_next": values(),
        "action": action,
        "reward": rng.standard_normal(SAMPLES) * size,
        "discount": rng.choice([0.5, 0.99], size=SAMPLES) * (rng.random(SAMPLES) < 0.8),
        "progress": rng.random(SAMPLES),
    }
    return {name: np.asarray(value, np.float32) for name, value in made.items()}


@jax.jit
def _slopes(programs: Program, inputs: Mapping[str, Any]) -> tuple[jax.Array, jax.Array]:
    """Return the slopes with respect to Q(s, .) and Q(s', .), both [programs, A, N]."""

    def one(program: Program) -> tuple[jax.Array, jax.Array]:
        loss = InterpretedLoss(program)

        def total(q: jax.Array, following: jax.Array) -> jax.Array:
            chosen = jnp.sum(q * inputs["action"], axis=0)
            return jnp.sum(loss.per_sample({**inputs, "q": q, "q_action": chosen, "q_next": following}))

        return jax.grad(total, argnums=(0, 1))(jnp.asarray(inputs["q"]), jnp.asarray(inputs["q_next"]))

    found: tuple[jax.Array, jax.Array] = lax.map(one, programs)
    return found


def _verdict(q: Values, following: Values, inputs: Mapping[str, Any]) -> Verdict:
    if not np.isfinite(q).all() or not np.isfinite(following).all() or not np.any(q):
        return "other"
    action, reward = inputs["action"].astype(np.float64), inputs["reward"].astype(np.float64)
    backed_up = inputs["discount"].astype(np.float64) * inputs["q_target_next"].astype(np.float64).max(axis=0)
    rest = inputs["q_action"].astype(np.float64) - backed_up
    taken = (q * action).sum(axis=0)
    columns = np.stack([rest, -reward], axis=1)
    terms = np.abs(inputs["q_action"]) + np.abs(backed_up) + np.abs(reward)
    (scale, reward_scale), *_ = np.linalg.lstsq(columns / terms[:, None], taken / terms, rcond=None)
    elsewhere = np.maximum(np.abs(q * (1.0 - action)).max(axis=0), np.abs(following).max(axis=0))
    error = np.maximum(np.abs(columns @ [scale, reward_scale] - taken), elsewhere)
    if scale <= 0.0 or reward_scale <= 0.0 or (error > TOLERANCE * scale * terms).any():
        return "other"
    return "td" if abs(reward_scale / scale - 1.0) <= TOLERANCE else "td_scaled_reward"


@dataclass(frozen=True)
class Rediscovery:
    """What one search made of the TD loss. Numbers count trained candidates, from 1; None is never.

    Attributes:
        seen, seen_scaled: The first that was TD; or TD up to the reward's scale.
        finalist, finalist_scaled: Whether one was among the finalists.
        selected, selected_scaled: Whether the winner was.
        trained: Candidates trained, those stopped at a hurdle included.
    """

    seen: int | None
    seen_scaled: int | None
    finalist: bool
    finalist_scaled: bool
    selected: bool
    selected_scaled: bool
    trained: int

    def to_json(self) -> Json:
        """Return the fields as plain data."""
        return dict(vars(self))


def rediscovery(trials: Sequence[Trial], winner: Trial | None) -> Rediscovery:
    """Return what the search in ``trials`` made of TD; ``winner`` is its test trial, or None if the search found nothing."""
    searched = sorted(
        (t for t in trials if (t.arm, t.phase) == ("method", "search") and t.status is not Status.RUNNING),
        key=lambda t: t.number,
    )
    finalists = [t for t in trials if (t.arm, t.phase) == ("method", "finalists")]
    asked = [*searched, *finalists, *([winner] if winner is not None else [])]
    found = verdicts([graph_of(t) for t in asked])
    first = found[: len(searched)]
    kept = found[len(searched) : len(searched) + len(finalists)]
    chosen = found[len(searched) + len(finalists) :]
    either = ("td", "td_scaled_reward")
    return Rediscovery(
        seen=_position(first, ("td",)),
        seen_scaled=_position(first, either),
        finalist="td" in kept or "td" in chosen,
        finalist_scaled=any(v in either for v in [*kept, *chosen]),
        selected="td" in chosen,
        selected_scaled=any(v in either for v in chosen),
        trained=len(searched),
    )


def graph_of(trial: Trial) -> Graph:
    """Return the loss graph of a trial, whether it was searched alone or with hyperparameters."""
    candidate = trial.candidate
    data = candidate.get("graph") or candidate.get("objective", {}).get("graph")
    return graph_from_json(data, f"trial {trial.number}")


def _position(found: Sequence[Verdict], wanted: Sequence[str]) -> int | None:
    return next((i for i, verdict in enumerate(found, start=1) if verdict in wanted), None)
