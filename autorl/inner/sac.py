"""Soft actor-critic (Haarnoja et al., 2018) with prioritised replay (Schaul et al., 2016), for one member of a population.

Two critics, their target networks, and a squashed Gaussian policy whose temperature alpha is given or tuned. One iteration
is as DQN's: ``train_freq`` steps of ``n_envs`` environments, then ``gradient_steps`` updates. Every loop bound is data, so
nothing but shapes (batch, environments, network, buffer allocation) compiles a program of its own.

What the papers leave open follows ARLBench (Becktepe et al., 2024): one Adam for actor, critics and alpha; in an update the
critics learn first, then the actor from the new critics, then alpha from the actor's entropy; the policy acts from the first
step on, also before ``learning_starts``; target updates are counted in environment steps, at most one for each step of all
environments, between acting and learning; importance weights weigh the actor's loss too, and a priority is the mean of both
critics' absolute TD errors. ARLBench is not followed where it errs: there ``alpha_auto`` and (but for ``tau``)
``use_target_network`` have no effect, critics learn actions on the environment's scale but judge the policy's on [-1, 1], and
time limits count as ends.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from autorl.environments.protocol import Box, Environment, Task
from autorl.errors import IncompatibleError
from autorl.inner import replay as buffer
from autorl.inner.acting import Act, Acting
from autorl.inner.evaluation import evaluate_policy
from autorl.inner.networks import MLP, TwinCritic, flatten_observations
from autorl.inner.normalisation import Moments, Normaliser, initial_moments, normaliser
from autorl.inner.off_policy import (
    ACT,
    LEARN,
    average_return,
    initial_progress,
    prepared,
    prioritisation,
    updated_target,
    updates_until,
)
from autorl.inner.optimiser import Adam, Layout, adam_step, initial_adam
from autorl.inner.protocol import Evaluation, Progress
from autorl.inner.random_words import normal, random_words
from autorl.inner.registers import part_done
from autorl.inner.replay import Replay, Sample, Transitions
from autorl.inner.rollout import Actors, start_actors, stepped
from autorl.inner.sac_hyperparameters import LEAST_ALPHA, SACHyperparameters
from autorl.inner.sac_loss import actor_loss, critic_loss, soft_targets, temperature_slope
from autorl.inner.squashed_gaussian import SquashedGaussian
from autorl.inner.taught_replay import TELLS, store_learned, stored_since, take_in_learned, told_of_step

METRICS = ("critic_loss", "actor_loss", "action_value", "entropy", "alpha", "gradient_norm")
"""Of the last update; ``gradient_norm`` is of the critics, ``entropy`` in nats on the scale of [-1, 1]."""


class SACState(NamedTuple):
    """All that a training needs to go on.

    Attributes:
        progress: What is counted.
        key: uint32 [2]; never changes, draws are numbered by env steps and updates.
        actor: Parameters of the policy and log_alpha (flat, `SAC.actor_layout`), and their optimiser.
        critics: Parameters of both critics (flat, `SAC.critic_layout`), and their optimiser.
        target: float32 [P]; the parameters of both target critics.
        moments: Of the observations, while they are normalised. The replay holds raw ones.
        replay: Transitions, with actions on the scale of [-1, 1].
        actors: The environments under way.
    """

    progress: Progress
    key: Array
    actor: Adam
    critics: Adam
    target: Array
    moments: Moments
    replay: Replay
    actors: Actors


class _Learned(NamedTuple):
    """One optimiser after its update.

    Attributes:
        adam: Updated, as by a gradient of 0 where that is not finite.
        finite: bool scalar; loss, gradient and new parameters are.
        norm: float32 scalar; of the gradient.
    """

    adam: Adam
    finite: Array
    norm: Array


@dataclass(frozen=True)
class SAC:
    """SAC in one environment of continuous actions; see `autorl.inner.protocol.Learner`.

    Raises:
        IncompatibleError: The environment's actions are discrete.
    """

    environment: Environment
    Hyperparameters: ClassVar[type] = SACHyperparameters
    tells: ClassVar[frozenset[str]] = TELLS
    """What a teacher hears of an episode; its value is the lesser critic's, of the policy's mode, in the environment's rewards."""
    acts_by: ClassVar[tuple[str, ...]] = ("hidden_size", "n_layers", "activation", "normalize_observations")

    def __post_init__(self) -> None:
        if not isinstance(self.environment.action_space, Box):
            raise IncompatibleError(
                f"learner 'sac' acts with real numbers, but {self.environment.name!r} has "
                f"{self.environment.action_space}; use 'dqn' or 'ppo' there"
            )

    @classmethod
    def prepare(cls, values: Mapping[str, Any], horizon: int, upper_bounds: Mapping[str, float]) -> SACHyperparameters:
        """Return the hyperparameters of a training of ``horizon`` env steps; see `autorl.inner.off_policy.prepared`.

        Raises:
            UsageError: Listing every unknown name and value out of range; or no single iteration fits into ``horizon``.
        """
        return prepared(SACHyperparameters, values, horizon, upper_bounds)

    @property
    def policy(self) -> SquashedGaussian:
        """How the actor's outputs become actions."""
        space = self.environment.action_space
        assert isinstance(space, Box)
        return SquashedGaussian(space.low, space.high, space.shape)

    def actor_network(self, hp: SACHyperparameters) -> MLP:
        """Return the policy's network: flat observations [..., D] -> [..., 2 A]; it starts near mean 0, deviation 1."""
        return MLP(2 * self.policy.size, hp.hidden_size, hp.n_layers, hp.activation, 0.01)

    def critic_network(self, hp: SACHyperparameters) -> TwinCritic:
        """Return the critics: flat observations [N, D] and actions [N, A] -> values [2, N]."""
        return TwinCritic(hp.hidden_size, hp.n_layers, hp.activation)

    def actor_layout(self, hp: SACHyperparameters) -> Layout:
        """Return how ``{"log_alpha": [], "policy": parameters}`` lies in ``state.actor.parameters``."""
        return Layout.of(jax.eval_shape(lambda key: self._first_actor(key, hp), jax.random.key(0)))

    def critic_layout(self, hp: SACHyperparameters) -> Layout:
        """Return how both critics' parameters lie in ``state.critics.parameters`` and ``state.target``."""
        return Layout.of(jax.eval_shape(lambda key: self._first_critics(key, hp), jax.random.key(0)))

    @property
    def _observation_size(self) -> int:
        return math.prod(self.environment.observation_shape)

    def _first_actor(self, key: Array, hp: SACHyperparameters) -> dict[str, Any]:
        policy = self.actor_network(hp).init(key, jnp.zeros((1, self._observation_size)))
        return {"log_alpha": jnp.log(jnp.maximum(hp.alpha, LEAST_ALPHA)), "policy": policy}

    def _first_critics(self, key: Array, hp: SACHyperparameters) -> Any:
        observation, action = jnp.zeros((1, self._observation_size)), jnp.zeros((1, self.policy.size))
        return self.critic_network(hp).init(key, observation, action)

    def init(self, key: Array, hp: SACHyperparameters, task: Task) -> SACState:
        """Return a fresh agent with its environments reset to ``task``."""
        policy_key, critic_key, actor_key, words_key = jax.random.split(key, 4)
        critics = self.critic_layout(hp).pack(self._first_critics(critic_key, hp))
        return SACState(
            progress=initial_progress(METRICS),
            key=jax.random.bits(words_key, (2,), jnp.uint32),
            actor=initial_adam(self.actor_layout(hp).pack(self._first_actor(policy_key, hp))),
            critics=initial_adam(critics),
            target=critics,
            moments=initial_moments(self._observation_size),
            replay=buffer.empty(hp.buffer_capacity, self._observation_size, self.policy.size),
            actors=start_actors(self.environment, task, actor_key, hp.n_envs, hp.teacher),
        )

    def train(self, state: SACState, hp: SACHyperparameters, task: Task, until: Array, horizon: Array) -> SACState:
        """Train while another whole iteration fits into ``until`` env steps (int32) and nothing diverged."""
        size = buffer.ring_size(state.replay, hp.buffer_size, hp.n_envs)
        span = hp.train_freq * hp.n_envs

        def go_on(now: SACState) -> Array:
            return (now.progress.env_steps <= until - span) & ~now.progress.diverged

        def iterate(now: SACState) -> SACState:
            # unpacked here, once: within the loop every step would copy the weights out of their vector
            tree = lax.optimization_barrier(self.actor_layout(hp).unpack(now.actor.parameters)["policy"])
            outputs = self._outputs(hp, tree, now.moments)
            acted = lax.fori_loop(0, hp.train_freq, lambda _, x: self._act(x, outputs, hp, task, size, horizon), now)
            stored = stored_since(now.actors, acted.actors, span)
            replay, moments = take_in_learned(acted.replay, acted.moments, hp, size, now.replay.position, stored)
            before, after = now.progress.env_steps, acted.progress.env_steps
            target = updated_target(acted.target, acted.critics.parameters, hp, before, after)
            return self._learn(acted._replace(replay=replay, moments=moments, target=target), hp, size)

        fitted = state._replace(replay=buffer.begin(state.replay, size, prioritisation(hp)))
        return lax.while_loop(go_on, iterate, fitted)

    def evaluate(self, state: SACState, hp: SACHyperparameters, task: Task, key: Array, episodes: int) -> Evaluation:
        """Run ``episodes`` whole episodes with the squashed means."""
        return evaluate_policy(self.environment, self.actor(self.acting(state), hp), task, key, episodes)

    def acting(self, state: Any) -> Acting:
        """Return what the agent acts by."""
        return Acting(state.actor.parameters, state.moments)

    def acting_size(self, hp: SACHyperparameters) -> int:
        """Return the number of parameters."""
        return self.actor_layout(hp).size

    def actor(self, kept: Acting, hp: SACHyperparameters) -> Act:
        """Return the policy of squashed means."""
        tree = self.actor_layout(hp).unpack(kept.parameters)["policy"]
        outputs, policy = self._outputs(hp, tree, kept.moments), self.policy

        def act(observations: Array, _: Array) -> Array:
            return policy.to_environment(policy.mode(outputs(self._flat(observations))))

        return act

    def _flat(self, observations: Array) -> Array:
        return flatten_observations(observations, self.environment.observation_shape)

    def _outputs(self, hp: SACHyperparameters, tree: Any, moments: Moments) -> Callable[[Array], Array]:
        """Return the function from flat raw observations [N, D] to the policy's outputs [N, 2 A]."""
        network = self.actor_network(hp)
        normalise = normaliser(moments, hp.normalize_observations)

        def outputs(flat: Array) -> Array:
            found: Array = network.apply(tree, normalise(flat))
            return found

        return outputs

    def _values_told(
        self, state: SACState, hp: SACHyperparameters, outputs: Callable[[Array], Array], flat: Array
    ) -> Array | None:
        """Return the values [B] of observations, if a teacher is to hear of them: of those that begin an episode, or of all."""
        lessons = state.actors.lessons
        if lessons is None:
            return None
        network = self.critic_network(hp)

        def values() -> Array:
            tree = self.critic_layout(hp).unpack(state.critics.parameters)
            normal = normaliser(state.moments, hp.normalize_observations)(flat)
            found: Any = network.apply(tree, normal, self.policy.mode(outputs(flat)))
            return jnp.min(found, axis=0) / jnp.where(hp.reward_scale > 0.0, hp.reward_scale, 1.0)

        if "mean_values" in getattr(hp.teacher, "hears", ()):
            return values()
        first = jnp.any(lessons.desk.steps == 0)
        return lax.cond(first, values, lambda: jnp.zeros(flat.shape[0], jnp.float32))

    def _act(
        self,
        state: SACState,
        outputs: Callable[[Array], Array],
        hp: SACHyperparameters,
        task: Task,
        size: Array,
        horizon: Array,
    ) -> SACState:
        """Take one step in every environment and store the transitions."""
        progress, actors, policy = state.progress, state.actors, self.policy
        # for each environment: the two words of its key, then the noise of its action
        words = random_words(state.key, ACT, progress.env_steps, (2 + policy.size) * hp.n_envs).reshape(hp.n_envs, -1)
        flat = self._flat(actors.observation)
        action, _ = policy.sample(outputs(flat), normal(words[:, 2:]))
        keys = jax.random.wrap_key_data(words[:, :2], impl="threefry2x32")
        step, observation, env_state, lessons, played = stepped(
            self.environment, keys, actors, policy.to_environment(action), task, hp.teacher
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
            self._values_told(state, hp, outputs, flat),
            part_done(progress.env_steps, horizon),
        )
        progress = progress._replace(
            env_steps=progress.env_steps + hp.n_envs,
            train_return=average_return(progress.train_return, total, done),
            diverged=progress.diverged | ~jnp.all(jnp.isfinite(step.reward)),
        )
        return state._replace(
            progress=progress,
            replay=store_learned(state.replay, transitions, size, played),
            actors=actors,
        )

    def _learn(self, state: SACState, hp: SACHyperparameters, size: Array) -> SACState:
        """Make the updates of one iteration, unless it is too early or a number is not finite."""
        stop = updates_until(hp, state.progress, state.replay, size)
        return lax.while_loop(
            lambda now: (now.progress.updates < stop) & ~now.progress.diverged, lambda now: self._update(now, hp), state
        )

    def _update(self, state: SACState, hp: SACHyperparameters) -> SACState:
        """Make one update of critics, actor, alpha and priorities; where a number is not finite, set the flag."""
        progress, priority, size = state.progress, prioritisation(hp), self.policy.size
        count = hp.buffer_batch_size
        words = random_words(state.key, LEARN, progress.updates, count * (1 + 2 * size))
        noise = normal(words[count:]).reshape(2, count, size)
        drawn = buffer.sample(state.replay, words[:count], priority, size)
        normalise = normaliser(state.moments, hp.normalize_observations)
        agent = self.actor_layout(hp).unpack(state.actor.parameters)
        alpha = jnp.where(hp.alpha_auto, jnp.exp(agent["log_alpha"]), hp.alpha)

        critics, errors, loss, value = self._learn_critics(state, hp, drawn, normalise, agent, alpha, noise[0])
        actor, actor_loss, entropy = self._learn_actor(state, hp, drawn, normalise, critics, agent, alpha, noise[1])
        finite = critics.finite & actor.finite
        metrics = dict(zip(METRICS, (loss, actor_loss, value, entropy, alpha, critics.norm), strict=True))
        progress = progress._replace(
            updates=progress.updates + finite.astype(jnp.int32), diverged=~finite, metrics=metrics
        )
        trusted = priority._replace(enabled=priority.enabled & finite)
        replay = buffer.reprioritise(state.replay, drawn.indices, jnp.mean(jnp.abs(errors), axis=0), trusted)
        return state._replace(progress=progress, actor=actor.adam, critics=critics.adam, replay=replay)

    def _learn_critics(
        self,
        state: SACState,
        hp: SACHyperparameters,
        drawn: Sample,
        normalise: Normaliser,
        agent: Any,
        alpha: Array,
        noise: Array,
    ) -> tuple[_Learned, Array, Array, Array]:
        """Return the updated critics, TD errors [2, N], the loss and the mean value."""
        batch, layout, network = drawn.transitions, self.critic_layout(hp), self.critic_network(hp)
        following = normalise(batch.next_observation)
        outputs: Any = self.actor_network(hp).apply(agent["policy"], following)
        action, log_prob = self.policy.sample(outputs, noise)
        bootstrap = layout.unpack(jnp.where(hp.use_target_network, state.target, state.critics.parameters))
        next_values: Any = network.apply(bootstrap, following, action)
        reward = batch.reward * hp.reward_scale
        targets = soft_targets(reward, batch.terminated, next_values, log_prob, alpha, hp.gamma)

        def loss_of(tree: Any) -> tuple[Array, tuple[Array, Array]]:
            values: Any = network.apply(tree, normalise(batch.observation), batch.action)
            loss, errors = critic_loss(values, targets, drawn.weights)
            return loss, (errors, jnp.mean(values))

        # by the tree, then packed: through ``unpack`` every leaf's gradient would be padded to the whole vector
        tree = layout.unpack(state.critics.parameters)
        (loss, (errors, value)), gradient = jax.value_and_grad(loss_of, has_aux=True)(tree)
        return _step(state.critics, layout.pack(gradient), loss, hp), errors, loss, value

    def _learn_actor(
        self,
        state: SACState,
        hp: SACHyperparameters,
        drawn: Sample,
        normalise: Normaliser,
        critics: _Learned,
        agent: Any,
        alpha: Array,
        noise: Array,
    ) -> tuple[_Learned, Array, Array]:
        """Return the updated actor and alpha, the actor's loss and the policy's entropy, from the ``critics`` updated."""
        observation = normalise(drawn.transitions.observation)
        tree = self.critic_layout(hp).unpack(critics.adam.parameters)

        def loss_of(policy: Any) -> tuple[Array, Array]:
            outputs: Any = self.actor_network(hp).apply(policy, observation)
            action, log_prob = self.policy.sample(outputs, noise)
            values: Any = self.critic_network(hp).apply(tree, observation, action)
            return actor_loss(log_prob, values, alpha, drawn.weights), -jnp.mean(log_prob)

        (loss, entropy), gradient = jax.value_and_grad(loss_of, has_aux=True)(agent["policy"])
        slope = temperature_slope(agent["log_alpha"], entropy, hp.target_entropy * self.policy.size)
        packed = self.actor_layout(hp).pack({"log_alpha": jnp.where(hp.alpha_auto, slope, 0.0), "policy": gradient})
        return _step(state.actor, packed, loss, hp), loss, entropy


def _step(adam: Adam, gradient: Array, loss: Array, hp: SACHyperparameters) -> _Learned:
    """Make one step of Adam, but none with a gradient that is not finite: parameters that are frozen stay finite."""
    norm = jnp.sqrt(jnp.vdot(gradient, gradient))
    usable = jnp.isfinite(loss) & jnp.isfinite(norm)
    stepped = adam_step(adam, jnp.where(usable, gradient, 0.0), hp.learning_rate, hp.adam_eps)
    bounded = jnp.isfinite(jnp.vdot(stepped.parameters, stepped.parameters))  # one fast operation for all of them
    return _Learned(stepped, usable & bounded, norm)
