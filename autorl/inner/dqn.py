"""Deep Q-networks (Mnih et al., 2015) with prioritised replay (Schaul et al., 2016), for one member of a population.

One iteration: ``train_freq`` steps of ``n_envs`` environments, then ``gradient_steps`` updates, as in ARLBench (Becktepe et
al., 2024) and Stable-Baselines3. Every loop bound is data, so nothing but shapes (batch, environments, network, buffer
allocation) compiles a program of its own.

What the papers leave open: the loss is half the squared TD error, weighted (ARLBench; no Huber loss, no double
estimator). Target updates are counted in environment steps (ARLBench, Stable-Baselines3), at most one for each step of
all environments, and happen between acting and learning. Epsilon falls linearly from the first step on, also before
``learning_starts``. The learning rate is constant.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from autorl.environments.protocol import Discrete, Environment, Task
from autorl.errors import IncompatibleError
from autorl.inner import replay as buffer
from autorl.inner.acting import Act, Acting
from autorl.inner.dqn_hyperparameters import DQNHyperparameters, exploration
from autorl.inner.dqn_loss import Slope, objective_slope, td_slope
from autorl.inner.evaluation import evaluate_policy
from autorl.inner.network_registers import network_slope
from autorl.inner.networks import QNetwork, flatten_observations
from autorl.inner.normalisation import Moments, initial_moments, normaliser
from autorl.inner.off_policy import (
    ACT,
    LEARN,
    average_return,
    initial_progress,
    prepared,
    prioritisation,
    repeat,
    updated_target,
    updates_until,
)
from autorl.inner.optimiser import Adam, Layout, adam_step, initial_adam
from autorl.inner.own_code import with_own_code
from autorl.inner.protocol import Evaluation, Progress
from autorl.inner.random_words import below, random_words, uniform
from autorl.inner.registers import Values, part_done
from autorl.inner.replay import Replay, Transitions
from autorl.inner.rollout import Actors, start_actors, stepped
from autorl.inner.taught_replay import TELLS, store_learned, stored_since, take_in_learned, told_of_step
from autorl.objectives.protocol import Objective

_WORDS_PER_STEP = 4
"""For each environment: explore or not, which action, and the two words of the environment's key."""


class DQNState(NamedTuple):
    """All that a training needs to go on.

    Attributes:
        progress: What is counted.
        key: uint32 [2]; never changes, draws are numbered by env steps and updates.
        adam: Parameters (flat, `DQN.layout`) and their optimiser.
        target: float32 [P]; the target network's parameters.
        moments: Of the observations, while they are normalised. The replay holds raw ones.
        replay: Transitions.
        actors: The environments under way.
    """

    progress: Progress
    key: Array
    adam: Adam
    target: Array
    moments: Moments
    replay: Replay
    actors: Actors


@dataclass(frozen=True)
class DQN:
    """DQN in one environment of discrete actions; see `autorl.inner.protocol.Learner`.

    It minimises ``hp.objective``, where there is one: the mean over the batch of (importance weights x losses), slopes flowing
    through Q(s, .), Q(s, a) and Q(s', .), or wherever an objective of the family ``network`` applies the network. Priorities are
    TD errors all the same.

    Raises:
        IncompatibleError: The environment's actions are continuous.
    """

    environment: Environment
    Hyperparameters: ClassVar[type] = DQNHyperparameters
    tells: ClassVar[frozenset[str]] = TELLS
    """What a teacher hears of an episode; the value of an observation is its greatest action value."""
    acts_by: ClassVar[tuple[str, ...]] = ("hidden_size", "n_layers", "activation", "normalize_observations")

    def __post_init__(self) -> None:
        if not isinstance(self.environment.action_space, Discrete):
            raise IncompatibleError(
                f"learner 'dqn' chooses among discrete actions, but {self.environment.name!r} has "
                f"{self.environment.action_space}; use 'ppo' or 'sac' there"
            )

    @classmethod
    def prepare(cls, values: Mapping[str, Any], horizon: int, upper_bounds: Mapping[str, float]) -> DQNHyperparameters:
        """Return the hyperparameters of a training of ``horizon`` env steps; see `autorl.inner.off_policy.prepared`.

        Raises:
            IncompatibleError: The objective is neither of the family ``value`` nor ``network``.
            UsageError: Listing every unknown name and value out of range; or no single iteration fits into ``horizon``.
        """
        return prepared(DQNHyperparameters, values, horizon, upper_bounds)

    def network(self, hp: DQNHyperparameters) -> QNetwork:
        """Return the network of ``hp``: flat observations [..., D] -> action values [..., actions]."""
        return QNetwork(
            actions=self._actions,
            observation_shape=(self._observation_size,),
            hidden_size=hp.hidden_size,
            n_layers=hp.n_layers,
            activation=hp.activation,
        )

    def layout(self, hp: DQNHyperparameters) -> Layout:
        """Return how the network's parameters lie in ``state.adam.parameters`` and ``state.target``."""
        observation = jnp.zeros((1, self._observation_size))
        return Layout.of(jax.eval_shape(self.network(hp).init, jax.random.key(0), observation))

    @property
    def _actions(self) -> int:
        space = self.environment.action_space
        assert isinstance(space, Discrete)
        return space.n

    @property
    def _observation_size(self) -> int:
        return math.prod(self.environment.observation_shape)

    def init(self, key: Array, hp: DQNHyperparameters, task: Task) -> DQNState:
        """Return a fresh agent with its environments reset to ``task``."""
        network_key, actor_key, words_key = jax.random.split(key, 3)
        parameters = self.layout(hp).pack(self.network(hp).init(network_key, jnp.zeros((1, self._observation_size))))
        return DQNState(
            progress=initial_progress(("loss", "action_value", "gradient_norm", "epsilon")),
            key=jax.random.bits(words_key, (2,), jnp.uint32),
            adam=initial_adam(parameters),
            target=parameters,
            moments=initial_moments(self._observation_size),
            replay=buffer.empty(hp.buffer_capacity, self._observation_size),
            actors=start_actors(self.environment, task, actor_key, hp.n_envs, hp.teacher),
        )

    def train(self, state: DQNState, hp: DQNHyperparameters, task: Task, until: Array, horizon: Array) -> DQNState:
        """Train while another whole iteration fits into ``until`` env steps (int32) and nothing diverged."""
        size = buffer.ring_size(state.replay, hp.buffer_size, hp.n_envs)
        span = hp.train_freq * hp.n_envs

        def go_on(now: DQNState) -> Array:
            return (now.progress.env_steps <= until - span) & ~now.progress.diverged

        def iterate(now: DQNState) -> DQNState:
            # unpacked here, once: within the loop every step would copy the weights out of their vector
            tree = lax.optimization_barrier(self.layout(hp).unpack(now.adam.parameters))
            values = self._values(hp, tree, now.moments)
            acted = repeat(hp.train_freq, lambda x: self._act(x, values, hp, task, size, horizon), now)
            stored = stored_since(now.actors, acted.actors, span)
            replay, moments = take_in_learned(acted.replay, acted.moments, hp, size, now.replay.position, stored)
            before, after = now.progress.env_steps, acted.progress.env_steps
            target = updated_target(acted.target, acted.adam.parameters, hp, before, after)
            ready = acted._replace(replay=replay, moments=moments, target=target)
            return self._learn(ready, hp, size, horizon)

        fitted = state._replace(replay=buffer.begin(state.replay, size, prioritisation(hp)))
        return lax.while_loop(go_on, iterate, fitted)

    def evaluate(self, state: DQNState, hp: DQNHyperparameters, task: Task, key: Array, episodes: int) -> Evaluation:
        """Run ``episodes`` whole episodes with the greedy actions."""
        return evaluate_policy(self.environment, self.actor(self.acting(state), hp), task, key, episodes)

    def acting(self, state: Any) -> Acting:
        """Return what the agent acts by."""
        return Acting(state.adam.parameters, state.moments)

    def acting_size(self, hp: DQNHyperparameters) -> int:
        """Return the number of parameters."""
        return self.layout(hp).size

    def actor(self, kept: Acting, hp: DQNHyperparameters) -> Act:
        """Return the greedy policy."""
        values = self._values(hp, self.layout(hp).unpack(kept.parameters), kept.moments)

        def act(observations: Array, _: Array) -> Array:
            return jnp.argmax(values(self._flat(observations)), axis=-1).astype(jnp.int32)

        return act

    def _flat(self, observations: Array) -> Array:
        return flatten_observations(observations, self.environment.observation_shape)

    def _values(self, hp: DQNHyperparameters, tree: Any, moments: Moments) -> Values:
        """Return the function from flat raw observations [N, D] to action values [N, actions]."""
        network = self.network(hp)
        normalise = normaliser(moments, hp.normalize_observations)

        def values(flat: Array) -> Array:
            found: Array = network.apply(tree, normalise(flat))
            return found

        return values

    def _act(
        self,
        state: DQNState,
        values: Values,
        hp: DQNHyperparameters,
        task: Task,
        size: Array,
        horizon: Array,
    ) -> DQNState:
        """Take one step in every environment and store the transitions."""
        progress, actors = state.progress, state.actors
        words = random_words(state.key, ACT, progress.env_steps, _WORDS_PER_STEP * hp.n_envs).reshape(hp.n_envs, -1)
        epsilon = exploration(hp, progress.env_steps, horizon)
        flat = self._flat(actors.observation)
        found = values(flat)
        greedy = jnp.argmax(found, axis=-1).astype(jnp.int32)
        action = jnp.where(uniform(words[:, 0]) < epsilon, below(words[:, 1], self._actions), greedy)
        keys = jax.random.wrap_key_data(words[:, 2:], impl="threefry2x32")
        step, observation, env_state, lessons, played = stepped(
            self.environment, keys, actors, action, task, hp.teacher
        )
        transitions = Transitions(
            observation=flat,
            next_observation=self._flat(step.observation),
            action=action,
            reward=step.reward,
            terminated=(step.terminated | (step.truncated & ~hp.bootstrap_time_limits)).astype(jnp.float32),
        )
        done = step.terminated | step.truncated
        total = actors.episode_return + step.reward
        actors = told_of_step(
            hp,
            Actors(observation, env_state, jnp.where(done, 0.0, total), lessons),
            played,
            done,
            total,
            None if hp.teacher is None else jnp.max(found, axis=-1),
            part_done(progress.env_steps, horizon),
        )
        progress = progress._replace(
            env_steps=progress.env_steps + hp.n_envs,
            train_return=average_return(progress.train_return, total, done),
            diverged=progress.diverged | ~jnp.all(jnp.isfinite(step.reward)),
            metrics={**progress.metrics, "epsilon": epsilon},
        )
        return state._replace(
            progress=progress,
            replay=store_learned(state.replay, transitions, size, played),
            actors=actors,
        )

    def _learn(self, state: DQNState, hp: DQNHyperparameters, size: Array, horizon: Array) -> DQNState:
        """Make the updates of one iteration, unless it is too early or a number is not finite."""
        stop = updates_until(hp, state.progress, state.replay, size)
        return lax.while_loop(
            lambda now: (now.progress.updates < stop) & ~now.progress.diverged,
            lambda now: self._update(now, hp, horizon),
            state,
        )

    def _update(self, state: DQNState, hp: DQNHyperparameters, horizon: Array) -> DQNState:
        """Make one update of the network and of the priorities; where loss or gradient are not finite, set the flag."""
        progress, adam, priority = state.progress, state.adam, prioritisation(hp)
        words = random_words(state.key, LEARN, progress.updates, hp.buffer_batch_size)
        drawn = buffer.sample(state.replay, words, priority)
        layout = self.layout(hp)
        target = layout.unpack(jnp.where(hp.use_target_network, state.target, adam.parameters))
        bootstrap = self._values(hp, target, state.moments)
        # by the tree, then packed: through ``unpack`` every leaf's gradient would be padded to the whole vector
        tree = layout.unpack(adam.parameters)

        def network(tree: Any) -> Values:
            return self._values(hp, tree, state.moments)

        if hp.objective is None:
            found = td_slope(network, tree, bootstrap, drawn, self._actions, hp.gamma)
        elif hp.objective.family == "network":
            normalise = normaliser(state.moments, hp.normalize_observations)
            # two words more than the batch took: for the random constants of the loss
            more = random_words(state.key, LEARN, progress.updates, hp.buffer_batch_size + 2)[-2:]
            apply, enabled = self.network(hp).apply, priority.enabled

            def slope(objective: Objective) -> Slope:
                return network_slope(
                    objective, apply, normalise, tree, target, drawn, self._actions, hp.gamma, more, enabled
                )

            found = with_own_code(hp.objective, slope)
        else:
            done = part_done(progress.env_steps, horizon)

            def slope(objective: Objective) -> Slope:
                return objective_slope(
                    objective, network, tree, bootstrap, drawn, self._actions, hp.gamma, done, priority.enabled
                )

            found = with_own_code(hp.objective, slope)
        loss = found.loss
        gradient = layout.pack(found.gradient)
        norm = jnp.sqrt(jnp.vdot(gradient, gradient))
        finite = jnp.isfinite(loss) & jnp.isfinite(norm)
        factor = jnp.minimum(1.0, hp.max_grad_norm / (norm + 1e-6))
        # a gradient that is not finite is dropped, so that the frozen parameters are finite
        gradient = jnp.where(finite, gradient * factor, 0.0)
        adam = adam_step(adam, gradient, hp.learning_rate, hp.adam_eps)
        bounded = jnp.isfinite(jnp.vdot(adam.parameters, adam.parameters))  # one fast operation for all of them
        metrics = {"loss": loss, "action_value": jnp.mean(found.value), "gradient_norm": norm}
        progress = progress._replace(
            updates=progress.updates + finite.astype(jnp.int32),
            diverged=~(finite & bounded),
            metrics={**progress.metrics, **metrics},
        )
        trusted = priority._replace(enabled=priority.enabled & finite)
        replay = buffer.reprioritise(state.replay, drawn.indices, found.error, trusted)
        return state._replace(progress=progress, adam=adam, replay=replay)
