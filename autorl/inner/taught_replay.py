"""Learning from a replay under a teacher: only transitions of episodes that are to be learned from enter it.

So a step of B environments stores 0 to B rows, and a ring is no longer filled in whole steps. All else is as in
`autorl.inner.off_policy`. The teacher hears of an episode in the step that ends it.
"""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array, lax

from autorl.inner import sum_tree
from autorl.inner.branching import update_if
from autorl.inner.normalisation import Moments, merge
from autorl.inner.off_policy import OffPolicyHyperparameters, prioritisation, take_in
from autorl.inner.replay import Replay, Transitions, store
from autorl.inner.rollout import Actors
from autorl.inner.sum_tree import SumTree
from autorl.inner.teaching import Played, told_at_once

TELLS = frozenset({"returns", "successes", "values", "mean_values"})
"""What a teacher hears of an episode from a learner with a replay. Value losses are not among it: they are of advantages
along the episode, which such a learner never estimates."""


def store_learned(replay: Replay, new: Transitions, size: Array, played: Played | None) -> Replay:
    """Add those of B transitions that are to be learned from, over the oldest ones once the ring of ``size`` is full.

    Without a teacher (``played`` is None) that is all of them: `autorl.inner.replay.store`.
    """
    if played is None:
        return store(replay, new, size)
    train = played.train
    rows = jnp.concatenate(
        [
            new.observation,
            new.next_observation,
            new.action.astype(jnp.float32).reshape(len(train), -1),
            new.reward[:, None],
            new.terminated[:, None],
        ],
        axis=1,
    )
    kept = jnp.cumsum(train, dtype=jnp.int32)
    # a place beyond the allocation is not written
    place = jnp.where(train, lax.rem(replay.position + kept - 1, size), replay.rows.shape[0])
    stop = replay.position + kept[-1]
    return replay._replace(
        rows=replay.rows.at[place].set(rows, mode="drop"),
        position=lax.rem(stop, size),
        filled=jnp.minimum(jnp.maximum(replay.filled, stop), size),
    )


def take_in_learned(
    replay: Replay, moments: Moments, hp: OffPolicyHyperparameters, size: Array, start: Array, stored: Array | None
) -> tuple[Replay, Moments]:
    """Give priorities to the ``stored`` (int32) transitions since position ``start``, and add them to the moments.

    Without a teacher (``stored`` is None) all were stored: `autorl.inner.off_policy.take_in`.
    """
    if stored is None:
        return take_in(replay, moments, hp, size, start)
    count, width, priority = hp.n_envs, moments.mean.shape[0], prioritisation(hp)
    first = start + jnp.maximum(stored - size, 0)  # a ring smaller than what was stored kept only its end
    stored = jnp.minimum(stored, size)
    blocks = (stored + count - 1) // count

    def block(i: Array) -> tuple[Array, Array]:
        """Return rows int32 [count] and whether each was stored."""
        number = i * count + jnp.arange(count, dtype=jnp.int32)
        return lax.rem(first + number, size), number < stored

    def add(moments: Moments) -> Moments:
        def one(i: Array, now: Moments) -> Moments:
            rows, here = block(i)
            return merge(now, replay.rows[rows, :width], here.astype(jnp.float32))

        return lax.fori_loop(0, blocks, one, moments)

    def give(tree: SumTree) -> SumTree:
        fresh = jnp.power(replay.max_priority, priority.alpha)

        def one(i: Array, now: SumTree) -> SumTree:
            rows, here = block(i)
            return sum_tree.update(now, rows, jnp.where(here, fresh, now[0][rows]))

        return lax.fori_loop(0, blocks, one, tree)

    moments = update_if(hp.normalize_observations, add, moments)
    return replay._replace(tree=update_if(priority.enabled, give, replay.tree)), moments


def stored_since(before: Actors, after: Actors, env_steps: Array) -> Array | None:
    """Return how many transitions (int32) of ``env_steps`` entered the replay between two moments; None without a teacher."""
    if before.lessons is None or after.lessons is None:
        return None
    return env_steps - jnp.sum(after.lessons.diary.unlearned - before.lessons.diary.unlearned)


def told_of_step(
    hp: OffPolicyHyperparameters,
    actors: Actors,
    played: Played | None,
    done: Array,
    total: Array,
    values: Array | None,
    part: Array,
) -> Actors:
    """Return ``actors`` after a step of B environments, of which the teacher, if there is one, has heard.

    Args:
        hp: Hyperparameters.
        actors: After the step.
        played: [B]; None without a teacher.
        done: bool [B]; whether an episode ended.
        total: float32 [B]; return of the episode up to and with this step.
        values: float32 [B]; the agent's, of the observations acted on, or at least of those that began an episode.
        part: float32 scalar; the part of the training done.
    """
    if hp.teacher is None:
        return actors
    assert actors.lessons is not None
    assert played is not None
    assert values is not None
    return actors._replace(lessons=told_at_once(hp.teacher, actors.lessons, played, done, total, values, part))
