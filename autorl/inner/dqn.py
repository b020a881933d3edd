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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from autorl.environments.autoreset import batched_step_or_reset
from autorl.environments.protocol import Discrete, Environment, Task
from autorl.errors import IncompatibleError, UsageError
from autorl.inner import replay as buffer
from autorl.inner.branching import update_if
from autorl.inner.evaluation import evaluate_policy
from autorl.inner.networks import QNetwork, flatten_observations
from autorl.inner.normalisation import Moments, initial_moments, merge, normaliser
from autorl.inner.optimiser import Adam, Layout, adam_step, initial_adam
from autorl.inner.protocol import Evaluation, Progress, hyperparameters, make_hyperparameters, static, traced
from autorl.inner.random_words import below, random_words, uniform
from autorl.inner.replay import Prioritisation, Replay, Transitions
from autorl.inner.rollout import RETURN_DECAY, Actors, start_actors

_ACT, _LEARN = 0, 1
"""Streams of random words: one block for each step, one for each update."""
_WORDS_PER_STEP = 4
"""For each environment: explore or not, which action, and the two words of the environment's key."""


@hyperparameters
class DQNHyperparameters:
    """Of DQN, with defaults that learn CartPole and Acrobot. Traced ones are arrays: float32, int32 and bool scalars."""

    learning_rate: Array = traced(1e-3, "Step size of Adam.", low=0.0)
    gamma: Array = traced(0.99, "Discount.", low=0.0, high=1.0)
    max_grad_norm: Array = traced(10.0, "Norm to which gradients are clipped (0: no learning).", low=0.0)
    adam_eps: Array = traced(1e-8, "Added to Adam's denominator.", low=1e-12)
    train_freq: Array = traced(4, "Steps of all environments between updates.", low=1)
    gradient_steps: Array = traced(2, "Updates after these steps.", low=1)
    learning_starts: Array = traced(1000, "Environment steps before the first update.", low=0)
    initial_epsilon: Array = traced(1.0, "Probability of a random action at first.", low=0.0, high=1.0)
    target_epsilon: Array = traced(0.05, "Probability of a random action at last.", low=0.0, high=1.0)
    exploration_fraction: Array = traced(
        0.1, "Part of the training over which epsilon falls from initial to target.", low=0.0, high=1.0
    )
    use_target_network: Array = traced(True, "Bootstrap from the target network, not from the current one.")
    target_update_interval: Array = traced(4, "Environment steps from one target update to the next.", low=1)
    tau: Array = traced(0.02, "Part of the way that a target update goes; 1 copies the network.", low=0.0, high=1.0)
    normalize_observations: Array = traced(False, "Normalise observations by their running mean and variance.")
    buffer_size: Array = traced(100_000, "Transitions kept, in whole steps of all environments.", low=1)
    buffer_prio_sampling: Array = traced(False, "Draw transitions by their TD errors, not uniformly.")
    buffer_alpha: Array = traced(0.6, "Exponent of priorities; 0 is uniform.", low=0.0, high=1.0)
    buffer_beta: Array = traced(0.4, "Exponent of importance weights; 1 corrects the bias in full.", low=0.0, high=1.0)
    buffer_epsilon: Array = traced(1e-6, "Added to absolute TD errors in priorities.", low=1e-9)
    buffer_batch_size: int = static(64, "Transitions of one update.", low=1)
    n_envs: int = static(1, "Environments side by side.", low=1)
    hidden_size: int = static(64, "Width of the hidden layers.", low=1)
    n_layers: int = static(2, "Hidden layers.", low=0)
    activation: str = static("relu", "Of the hidden layers.", choices=("tanh", "relu"))
    buffer_capacity: int = static(
        131_072, "Transitions allocated, a power of two; set from the budget and the search space.", low=1, high=2**24
    )


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

    Raises:
        IncompatibleError: The environment's actions are continuous.
    """

    environment: Environment
    Hyperparameters: ClassVar[type] = DQNHyperparameters

    def __post_init__(self) -> None:
        if not isinstance(self.environment.action_space, Discrete):
            raise IncompatibleError(
                f"learner 'dqn' chooses among discrete actions, but {self.environment.name!r} has "
                f"{self.environment.action_space}; use 'ppo' there"
            )

    @classmethod
    def prepare(cls, values: Mapping[str, Any], horizon: int, upper_bounds: Mapping[str, float]) -> DQNHyperparameters:
        """Return the hyperparameters of a training of ``horizon`` env steps; missing ones take their default.

        The allocation ``buffer_capacity``, unless given, is the smallest power of two that holds every ``buffer_size`` up
        to the larger of its value and its upper bound in ``upper_bounds``, but no more than the training produces: one
        program then serves a whole space.

        Raises:
            UsageError: Listing every unknown name and value out of range; or no single iteration fits into ``horizon``.
        """
        hp = make_hyperparameters(DQNHyperparameters, values)
        if int(hp.train_freq) * hp.n_envs > horizon:
            raise UsageError(
                f"train_freq * n_envs: one iteration of {int(hp.train_freq)} * {hp.n_envs} env steps does not fit into a "
                f"training of {horizon}; make the budget's env_steps larger, or train_freq or n_envs smaller"
            )
        largest = max(int(hp.buffer_size), int(upper_bounds.get("buffer_size", 0)))
        capacity = _power_of_two(max(min(horizon, largest), hp.n_envs))
        capacity = _power_of_two(int(values.get("buffer_capacity", capacity)))
        if capacity < hp.n_envs:
            raise UsageError(f"buffer_capacity: expected at least n_envs = {hp.n_envs}, got {capacity}")
        return make_hyperparameters(DQNHyperparameters, {**values, "buffer_capacity": capacity})

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
        zero = jnp.zeros((), jnp.float32)
        progress = Progress(
            env_steps=jnp.zeros((), jnp.int32),
            updates=jnp.zeros((), jnp.int32),
            diverged=jnp.zeros((), jnp.bool_),
            train_return=jnp.full((), jnp.nan, jnp.float32),
            metrics=dict.fromkeys(("loss", "action_value", "gradient_norm", "epsilon"), zero),
        )
        return DQNState(
            progress=progress,
            key=jax.random.bits(words_key, (2,), jnp.uint32),
            adam=initial_adam(parameters),
            target=parameters,
            moments=initial_moments(self._observation_size),
            replay=buffer.empty(hp.buffer_capacity, self._observation_size),
            actors=start_actors(self.environment, task, actor_key, hp.n_envs),
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
            acted = _repeat(hp.train_freq, lambda x: self._act(x, values, hp, task, size, horizon), now)
            acted = self._take_in(acted, hp, size, now.replay.position)
            return self._learn(self._update_target(acted, hp, now.progress.env_steps), hp, size)

        fitted = state._replace(replay=buffer.begin(state.replay, size, _prioritisation(hp)))
        return lax.while_loop(go_on, iterate, fitted)

    def evaluate(self, state: DQNState, hp: DQNHyperparameters, task: Task, key: Array, episodes: int) -> Evaluation:
        """Run ``episodes`` whole episodes with the greedy actions."""
        values = self._values(hp, self.layout(hp).unpack(state.adam.parameters), state.moments)

        def act(observations: Array, _: Array) -> Array:
            return jnp.argmax(values(self._flat(observations)), axis=-1).astype(jnp.int32)

        return evaluate_policy(self.environment, act, task, key, episodes)

    def _flat(self, observations: Array) -> Array:
        return flatten_observations(observations, self.environment.observation_shape)

    def _values(self, hp: DQNHyperparameters, tree: Any, moments: Moments) -> Callable[[Array], Array]:
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
        values: Callable[[Array], Array],
        hp: DQNHyperparameters,
        task: Task,
        size: Array,
        horizon: Array,
    ) -> DQNState:
        """Take one step in every environment and store the transitions."""
        progress, actors = state.progress, state.actors
        words = random_words(state.key, _ACT, progress.env_steps, _WORDS_PER_STEP * hp.n_envs).reshape(hp.n_envs, -1)
        epsilon = exploration(hp, progress.env_steps, horizon)
        flat = self._flat(actors.observation)
        greedy = jnp.argmax(values(flat), axis=-1).astype(jnp.int32)
        action = jnp.where(uniform(words[:, 0]) < epsilon, below(words[:, 1], self._actions), greedy)
        keys = jax.random.wrap_key_data(words[:, 2:], impl="threefry2x32")
        step, observation, env_state = batched_step_or_reset(self.environment, keys, actors.state, action, task)
        transitions = Transitions(
            observation=flat,
            next_observation=self._flat(step.observation),
            action=action,
            reward=step.reward,
            terminated=step.terminated.astype(jnp.float32),
        )
        done = step.terminated | step.truncated
        total = actors.episode_return + step.reward
        progress = progress._replace(
            env_steps=progress.env_steps + hp.n_envs,
            train_return=_average_return(progress.train_return, total, done),
            diverged=progress.diverged | ~jnp.all(jnp.isfinite(step.reward)),
            metrics={**progress.metrics, "epsilon": epsilon},
        )
        return state._replace(
            progress=progress,
            replay=buffer.store(state.replay, transitions, size),
            actors=Actors(observation, env_state, jnp.where(done, 0.0, total)),
        )

    def _take_in(self, state: DQNState, hp: DQNHyperparameters, size: Array, start: Array) -> DQNState:
        """Give priorities to what the steps since position ``start`` stored, and add it to the moments."""
        replay, count = state.replay, hp.n_envs
        steps = jnp.minimum(hp.train_freq, size // count)  # a ring smaller than the rollout kept only its end

        def add(moments: Moments) -> Moments:
            def one(i: Array, now: Moments) -> Moments:
                first = lax.rem(start + i * count, size)
                rows = lax.dynamic_slice_in_dim(replay.rows, first, count)
                return merge(now, buffer.unpack(rows).observation)

            return lax.fori_loop(0, steps, one, moments)

        return state._replace(
            moments=update_if(hp.normalize_observations, add, state.moments),
            replay=buffer.admit(replay, start, steps, count, size, _prioritisation(hp)),
        )

    def _update_target(self, state: DQNState, hp: DQNHyperparameters, before: Array) -> DQNState:
        """Make the target updates that fell due since env step ``before``."""
        due = target_updates(hp, before, state.progress.env_steps)
        # the parameters stood still meanwhile, so several updates are one that goes further
        share = 1.0 - jnp.power(1.0 - hp.tau, due.astype(jnp.float32))
        parameters = state.adam.parameters
        target = update_if(due > 0, lambda old: old + share * (parameters - old), state.target)
        return state._replace(target=target)

    def _learn(self, state: DQNState, hp: DQNHyperparameters, size: Array) -> DQNState:
        """Make the updates of one iteration, unless it is too early or a number is not finite."""
        enough = state.replay.filled >= jnp.minimum(size, hp.buffer_batch_size)
        ready = (state.progress.env_steps > hp.learning_starts) & enough
        stop = state.progress.updates + jnp.where(ready, hp.gradient_steps, 0)
        return lax.while_loop(
            lambda now: (now.progress.updates < stop) & ~now.progress.diverged,
            lambda now: self._update(now, hp),
            state,
        )

    def _update(self, state: DQNState, hp: DQNHyperparameters) -> DQNState:
        """Make one update of the network and of the priorities; where loss or gradient are not finite, set the flag."""
        progress, adam, priority = state.progress, state.adam, _prioritisation(hp)
        words = random_words(state.key, _LEARN, progress.updates, hp.buffer_batch_size)
        drawn = buffer.sample(state.replay, words, priority)
        layout, batch = self.layout(hp), drawn.transitions
        bootstrap = jnp.where(hp.use_target_network, state.target, adam.parameters)
        next_values = self._values(hp, layout.unpack(bootstrap), state.moments)(batch.next_observation)
        target = td_targets(batch, next_values, hp.gamma)

        def loss_of(tree: Any) -> tuple[Array, tuple[Array, Array]]:
            values = self._values(hp, tree, state.moments)(batch.observation)
            taken = jax.nn.one_hot(batch.action, self._actions, dtype=jnp.float32)
            value = jnp.sum(values * taken, axis=1)
            error = target - value
            return jnp.mean(drawn.weights * 0.5 * jnp.square(error)), (error, value)

        # by the tree, then packed: through ``unpack`` every leaf's gradient would be padded to the whole vector
        (loss, (error, value)), tree = jax.value_and_grad(loss_of, has_aux=True)(layout.unpack(adam.parameters))
        gradient = layout.pack(tree)
        norm = jnp.sqrt(jnp.vdot(gradient, gradient))
        finite = jnp.isfinite(loss) & jnp.isfinite(norm)
        factor = jnp.minimum(1.0, hp.max_grad_norm / (norm + 1e-6))
        # a gradient that is not finite is dropped, so that the frozen parameters are finite
        gradient = jnp.where(finite, gradient * factor, 0.0)
        adam = adam_step(adam, gradient, hp.learning_rate, hp.adam_eps)
        bounded = jnp.isfinite(jnp.vdot(adam.parameters, adam.parameters))  # one fast operation for all of them
        metrics = {"loss": loss, "action_value": jnp.mean(value), "gradient_norm": norm}
        progress = progress._replace(
            updates=progress.updates + finite.astype(jnp.int32),
            diverged=~(finite & bounded),
            metrics={**progress.metrics, **metrics},
        )
        trusted = priority._replace(enabled=priority.enabled & finite)
        replay = buffer.reprioritise(state.replay, drawn.indices, error, trusted)
        return state._replace(progress=progress, adam=adam, replay=replay)


def exploration(hp: DQNHyperparameters, env_steps: Array, horizon: Array) -> Array:
    """Return epsilon (float32 scalar) after ``env_steps`` of a training of ``horizon``."""
    span = hp.exploration_fraction * horizon.astype(jnp.float32)
    progress = jnp.where(span > 0.0, jnp.minimum(env_steps.astype(jnp.float32) / span, 1.0), 1.0)
    return hp.initial_epsilon + progress * (hp.target_epsilon - hp.initial_epsilon)


def target_updates(hp: DQNHyperparameters, before: Array, after: Array) -> Array:
    """Return how many target updates (int32) fall due after ``before`` and up to ``after`` env steps.

    One falls due every ``target_update_interval`` env steps, rounded up to whole steps of all environments.
    """
    interval = -(-hp.target_update_interval // hp.n_envs) * hp.n_envs
    return after // interval - before // interval


def td_targets(batch: Transitions, next_values: Array, gamma: Array) -> Array:
    """Return ``r + gamma (1 - terminated) max_a Q(s', a)`` [N]; ``next_values`` are Q(s', a) [N, actions]."""
    return batch.reward + gamma * (1.0 - batch.terminated) * jnp.max(next_values, axis=-1)


def _repeat(count: Array, step: Callable[[DQNState], DQNState], state: DQNState) -> DQNState:
    """Apply ``step`` ``count`` (int32, traced) times, four in a row where that fits: a turn of a loop costs a quarter of one."""

    def four(turn: Array, now: DQNState) -> DQNState:
        del turn
        for _ in range(4):
            now = step(now)
        return now

    state = lax.fori_loop(0, count // 4, four, state)
    return lax.fori_loop(0, lax.rem(count, 4), lambda _, now: step(now), state)


def _average_return(before: Array, total: Array, done: Array) -> Array:
    """Return the exponential average of returns after a step in which the episodes ``done`` [B] ended with ``total``."""
    count = jnp.sum(done, dtype=jnp.float32)
    mean = jnp.sum(jnp.where(done, total, 0.0)) / count
    keep = jnp.power(RETURN_DECAY, count)
    after = jnp.where(jnp.isnan(before), mean, keep * before + (1.0 - keep) * mean)
    return jnp.where(count > 0.0, after, before)


def _prioritisation(hp: DQNHyperparameters) -> Prioritisation:
    return Prioritisation(hp.buffer_prio_sampling, hp.buffer_alpha, hp.buffer_beta, hp.buffer_epsilon)


def _power_of_two(n: int) -> int:
    """Return the smallest power of two that is at least ``n``."""
    return 1 << max(n - 1, 0).bit_length()
