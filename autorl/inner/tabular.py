"""Q-learning with a table in many random decision processes at once: the cheap judge of loss functions.

One lane trains M tables in lockstep, one for each process drawn from the lane's seed: candidates with the same seed meet the same
processes (common random numbers), fresh seeds give fresh ones. One iteration is a step of the actors of every process and one
update on a batch of each, all M * B transitions in one call of the loss. The score is exact: the value of the greedy policy, 0 for
the random policy and 1 for an optimal one, averaged over the processes.

The agent is deep Q-learning's without the network (Mnih et al., 2015): epsilon-greedy, uniform replay of everything seen, target
table, Adam. Differences that serve judging: the learning rate falls to 0, so that what is scored has converged (with a constant one TD
scores .91 and luck decides among good losses), and several actors in each process, because updates cost more than steps.

The defaults were chosen together with the distribution `autorl.environments.tabular_mdp.Lottery`, whose module says how. They
belong to 600 iterations, 57,600 env steps: the shortest training at which TD reaches .98 and stands .03 above every other policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from autorl.environments.protocol import Discrete, Environment, Task
from autorl.environments.registry import environment_names
from autorl.environments.tabular import (
    TabularEnvironment,
    greedy,
    initial_value,
    normalised_score,
    reference_values,
)
from autorl.errors import IncompatibleError, UsageError
from autorl.inner.optimiser import Adam, adam_step, initial_adam
from autorl.inner.own_code import with_own_code
from autorl.inner.protocol import (
    Evaluation,
    Progress,
    all_finite,
    hyperparameters,
    make_hyperparameters,
    objective_field,
    static,
    traced,
)
from autorl.inner.random_words import below, random_words, uniform
from autorl.inner.registers import mean_loss, part_done
from autorl.inner.rollout import RETURN_DECAY
from autorl.inner.tabular_batch import Lookup, Places, draw, fixed_registers, sum_by_place
from autorl.objectives.handwritten import HandWrittenLoss
from autorl.objectives.protocol import Objective

_TD = HandWrittenLoss("dqn")
_INITIAL = 0.01
"""Tables start within +- this, not at 0: equal values would make the first action greedy everywhere."""
_WORDS_PER_STEP = 4
"""For each actor: explore or not, which action, which outcome, and where the next episode starts."""


@hyperparameters
class TabularHyperparameters:
    """Of the tabular learner. Traced ones are arrays: float32 and int32 scalars."""

    learning_rate: Array = traced(0.15, "Step size of Adam at first.", low=0.0)
    learning_rate_decay: Array = traced(
        1.0, "Part of the learning rate that is gone at the end; it falls linearly.", low=0.0, high=1.0
    )
    adam_eps: Array = traced(1e-8, "Added to Adam's denominator.", low=1e-12)
    initial_epsilon: Array = traced(1.0, "Probability of a random action at first.", low=0.0, high=1.0)
    target_epsilon: Array = traced(0.3, "Probability of a random action at last.", low=0.0, high=1.0)
    exploration_fraction: Array = traced(
        0.5, "Part of the training over which epsilon falls from initial to target.", low=0.0, high=1.0
    )
    target_update_interval: Array = traced(10, "Updates from one copy into the target table to the next.", low=1)
    mdps: int = static(12, "Decision processes, M.", low=1)
    n_envs: int = static(8, "Actors in each process.", low=1)
    batch_size: int = static(32, "Transitions of each process in one update, B.", low=1)
    buffer_steps: int = static(
        512, "Steps of all actors that the replay holds; set from the budget.", low=1, high=2**20
    )
    objective: Objective | None = objective_field(
        ("value",), "What is minimised, of the family 'value'; None is half the squared TD error."
    )


class TabularState(NamedTuple):
    """All that a training needs to go on.

    Attributes:
        progress: What is counted.
        key: uint32 [2]; never changes, draws are numbered by iterations.
        processes: The M processes, stacked (`autorl.environments.tabular.Process`).
        references: Values of the random and of an optimal policy, float32 [M] each.
        adam: The tables, flat [A * M * S], and their optimiser.
        target: float32 [A, M, S]; the target tables.
        replay: int32 [M, buffer_steps * n_envs]; transitions as numbers (`autorl.inner.tabular_batch`).
        place: int32 [M, n_envs]; states of the actors.
        time: int32 [M, n_envs]; steps of their episodes.
        episode_return: float32 [M, n_envs]; undiscounted, of the running episodes.
    """

    progress: Progress
    key: Array
    processes: Any
    references: tuple[Array, Array]
    adam: Adam
    target: Array
    replay: Array
    place: Array
    time: Array
    episode_return: Array


@dataclass(frozen=True)
class TabularQ:
    """The tabular learner; see `autorl.inner.protocol.Learner`.

    The processes are drawn by ``environment.sample_task``; the task that the engine passes is not used.

    Raises:
        IncompatibleError: The environment cannot draw processes with exact values.
    """

    environment: Environment
    Hyperparameters: ClassVar[type] = TabularHyperparameters
    draws_tasks: ClassVar[bool] = True
    """So a task that an experiment gives the environment is refused (`autorl.studies.references`)."""

    def __post_init__(self) -> None:
        if not (isinstance(self.environment, TabularEnvironment) and isinstance(self._space, Discrete)):
            fitting = ", ".join(name for name in environment_names() if name.startswith("mdp:"))
            raise IncompatibleError(
                f"learner 'tabular' draws decision processes with exact values, which {self.environment.name!r} does not "
                f"offer (sample_task); use one of {fitting}, or the learner 'dqn' there"
            )

    @classmethod
    def prepare(
        cls, values: Mapping[str, Any], horizon: int, upper_bounds: Mapping[str, float]
    ) -> TabularHyperparameters:
        """Return the hyperparameters of a training of ``horizon`` env steps; missing ones take their default.

        ``buffer_steps``, unless given, is the smallest power of two that holds the whole training.

        Raises:
            IncompatibleError: The objective is not of the family ``value``.
            UsageError: Listing every unknown name and value out of range; or no single iteration fits into ``horizon``.
        """
        del upper_bounds  # nothing traced is bounded by a shape
        hp = make_hyperparameters(TabularHyperparameters, values)
        span = hp.mdps * hp.n_envs
        if span > horizon:
            raise UsageError(
                f"mdps * n_envs: one iteration of {hp.mdps} * {hp.n_envs} env steps does not fit into a training of "
                f"{horizon}; make the budget's env_steps larger, or mdps or n_envs smaller"
            )
        steps = values.get("buffer_steps", 1 << (horizon // span - 1).bit_length())
        return make_hyperparameters(TabularHyperparameters, {**values, "buffer_steps": steps})

    @property
    def _space(self) -> Any:
        return self.environment.action_space

    @property
    def _shape(self) -> tuple[int, int]:
        """States and actions of a process."""
        return self.environment.observation_shape[0], self._space.n

    def init(self, key: Array, hp: TabularHyperparameters, task: Task) -> TabularState:
        """Return fresh tables, in processes drawn with ``key``."""
        del task
        assert isinstance(self.environment, TabularEnvironment)
        process_key, table_key, place_key, words_key = jax.random.split(key, 4)
        processes = jax.vmap(self.environment.sample_task)(jax.random.split(process_key, hp.mdps))
        (states, actions), actors = self._shape, (hp.mdps, hp.n_envs)
        size = actions * hp.mdps * states
        table = jax.random.uniform(table_key, (size,), minval=-_INITIAL, maxval=_INITIAL)
        return TabularState(
            progress=Progress(
                env_steps=jnp.zeros((), jnp.int32),
                updates=jnp.zeros((), jnp.int32),
                diverged=jnp.zeros((), jnp.bool_),
                train_return=jnp.full((), jnp.nan, jnp.float32),
                metrics=dict.fromkeys(("loss", "epsilon"), jnp.zeros((), jnp.float32)),
            ),
            key=jax.random.bits(words_key, (2,), jnp.uint32),
            processes=processes,
            references=jax.vmap(reference_values)(processes),
            adam=initial_adam(table),
            target=table.reshape(actions, hp.mdps, states),
            replay=jnp.zeros((hp.mdps, hp.buffer_steps * hp.n_envs), jnp.int32),
            place=draw(jnp.cumsum(processes["initial"], axis=-1)[:, None], jax.random.uniform(place_key, actors)),
            time=jnp.zeros(actors, jnp.int32),
            episode_return=jnp.zeros(actors, jnp.float32),
        )

    def train(
        self, state: TabularState, hp: TabularHyperparameters, task: Task, until: Array, horizon: Array
    ) -> TabularState:
        """Train while another whole iteration fits into ``until`` env steps (int32) and nothing diverged."""
        del task
        span = hp.mdps * hp.n_envs
        lookup = Lookup.of(state.processes)

        def go_on(now: TabularState) -> Array:
            return (now.progress.env_steps <= until - span) & ~now.progress.diverged

        def iterate(now: TabularState) -> TabularState:
            iteration = now.progress.env_steps // span
            words = random_words(now.key, 0, iteration, (_WORDS_PER_STEP * hp.n_envs + hp.batch_size) * hp.mdps)
            acting, learning = jnp.split(words, [_WORDS_PER_STEP * span])
            part = part_done(now.progress.env_steps, horizon)
            acted = self._act(now, lookup, hp, acting.reshape(_WORDS_PER_STEP, hp.mdps, hp.n_envs), iteration, part)
            return self._learn(acted, lookup, hp, learning, iteration, part)

        return lax.while_loop(go_on, iterate, state)

    def evaluate(
        self, state: TabularState, hp: TabularHyperparameters, task: Task, key: Array, episodes: int
    ) -> Evaluation:
        """Return the mean of `scores` in each of ``episodes`` entries: it is exact, and costs no env steps."""
        del task, key
        score = jnp.mean(self.scores(state, hp))
        return Evaluation(returns=jnp.full(episodes, score), env_steps=jnp.zeros((), jnp.int32))

    def scores(self, state: TabularState, hp: TabularHyperparameters) -> Array:
        """Return the exact score of the greedy policy in each process, float32 [M]: 0 the random policy's, 1 an optimal one's."""
        policy = jax.vmap(greedy)(jnp.moveaxis(self._table(state, hp), 0, -1))
        return normalised_score(jax.vmap(initial_value)(state.processes, policy), state.references)

    def _table(self, state: TabularState, hp: TabularHyperparameters) -> Array:
        states, actions = self._shape
        return state.adam.parameters.reshape(actions, hp.mdps, states)

    def _act(
        self,
        state: TabularState,
        lookup: Lookup,
        hp: TabularHyperparameters,
        words: Array,
        iteration: Array,
        part: Array,
    ) -> TabularState:
        """Take one step with every actor and store the transitions. ``words`` is uint32 [4, M, n_envs]."""
        states, actions = self._shape
        progress = state.progress
        here = state.place + np.arange(hp.mdps, dtype=np.int32)[:, None] * states
        best = jnp.argmax(self._table(state, hp).reshape(actions, -1)[:, here], axis=0).astype(jnp.int32)
        epsilon = exploration(hp, part)
        action = jnp.where(uniform(words[0]) < epsilon, below(words[1], actions), best)
        pair = here * actions + action
        place = draw(lookup.chances[pair], uniform(words[2]))
        transition = pair * states + place
        terminated, time = lookup.terminated[transition], state.time + 1
        done = terminated | (time >= self.environment.max_episode_steps)
        total = state.episode_return + lookup.rewards[transition]
        return state._replace(
            progress=progress._replace(
                env_steps=progress.env_steps + hp.mdps * hp.n_envs,
                train_return=_average_return(progress.train_return, total, done),
                metrics={**progress.metrics, "epsilon": epsilon},
            ),
            replay=lax.dynamic_update_slice(
                state.replay, transition, (jnp.int32(0), lax.rem(iteration, hp.buffer_steps) * hp.n_envs)
            ),
            place=jnp.where(done, draw(lookup.initial[:, None], uniform(words[3])), place),
            time=jnp.where(done, 0, time),
            episode_return=jnp.where(done, 0.0, total),
        )

    def _learn(
        self,
        state: TabularState,
        lookup: Lookup,
        hp: TabularHyperparameters,
        words: Array,
        iteration: Array,
        part: Array,
    ) -> TabularState:
        """Make one update of every table. ``words`` is uint32 [M * B]."""
        states, actions = self._shape
        progress, adam, objective = state.progress, state.adam, hp.objective or _TD
        filled = jnp.minimum(iteration + 1, hp.buffer_steps) * hp.n_envs
        process = np.repeat(np.arange(hp.mdps, dtype=np.int32), hp.batch_size)
        transition = state.replay.reshape(-1)[below(words, filled) + process * state.replay.shape[1]]
        places = Places.of(transition, process, states, actions)
        target = state.target.reshape(actions, -1)
        fixed = fixed_registers(objective.needs, lookup, transition, places, target, part)
        table = self._table(state, hp).reshape(actions, -1)
        wanted = {"q": {"q", "q_action"} & set(objective.needs), "q_next": "q_next" in objective.needs}
        where = {"q": places.here, "q_next": places.there}
        rows = {name: table[:, where[name]] for name, needed in wanted.items() if needed}

        def loss_of(rows: dict[str, Array], objective: Objective) -> Array:
            registers = {**fixed, **rows}
            if "q_action" in objective.needs:
                registers["q_action"] = jnp.sum(rows["q"] * fixed["action"], axis=0)
            return mean_loss(objective, {name: registers[name] for name in objective.needs})

        loss, slopes = with_own_code(objective, partial(jax.value_and_grad(loss_of), rows))
        shares = [sum_by_place(slopes[name], where[name], hp.mdps, states) for name in rows]
        gradient = sum(shares, jnp.zeros((actions, hp.mdps, states))).reshape(-1)
        finite = jnp.isfinite(loss) & jnp.isfinite(jnp.vdot(gradient, gradient))
        # a gradient that is not finite is dropped, so that the frozen tables are finite
        gradient = jnp.where(finite, gradient, 0.0)
        rate = hp.learning_rate * (1.0 - hp.learning_rate_decay * part)
        adam = adam_step(adam, gradient, rate, hp.adam_eps)
        due = lax.rem(adam.updates, hp.target_update_interval) == 0
        state = state._replace(adam=adam)
        return state._replace(
            progress=progress._replace(
                updates=progress.updates + finite.astype(jnp.int32),
                diverged=~(finite & all_finite(adam.parameters)),
                metrics={**progress.metrics, "loss": loss},
            ),
            target=jnp.where(due, self._table(state, hp), state.target),
        )


def exploration(hp: TabularHyperparameters, part: Array) -> Array:
    """Return epsilon (float32 scalar) after ``part`` of the training."""
    span = hp.exploration_fraction
    fallen = jnp.where(span > 0.0, jnp.minimum(part / jnp.maximum(span, 1e-6), 1.0), 1.0)
    return hp.initial_epsilon + fallen * (hp.target_epsilon - hp.initial_epsilon)


def _average_return(before: Array, total: Array, done: Array) -> Array:
    """Return the exponential average of returns after a step in which the episodes ``done`` [M, n_envs] ended with ``total``."""
    count = jnp.sum(done, dtype=jnp.float32)
    mean = jnp.sum(jnp.where(done, total, 0.0)) / jnp.maximum(count, 1.0)
    keep = jnp.power(RETURN_DECAY, count)
    after = jnp.where(jnp.isnan(before), mean, keep * before + (1.0 - keep) * mean)
    return jnp.where(count > 0.0, after, before)
