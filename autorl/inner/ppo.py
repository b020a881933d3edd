"""Proximal policy optimisation (Schulman et al., 2017), every detail a hyperparameter, for one member of a population.

One iteration: a rollout of ``n_steps`` in ``n_envs`` environments, then ``update_epochs`` passes over it in shuffled
minibatches. Actor and critic are separate networks (Huang et al., 2022, "The 37 implementation details of PPO").

Minibatches: a ``minibatch_size`` above the rollout means the whole rollout; one that does not divide it leaves out a
remainder, another one in every epoch, since each epoch is shuffled anew.

An objective takes the place of the loss as a whole: with one of A2C or of advantage-weighted regression, ``update_epochs=1``
and a minibatch of the whole rollout, this is that algorithm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
from jax import Array, lax

from autorl.environments.protocol import Environment, Task
from autorl.errors import UsageError
from autorl.inner.acting import Act, Acting
from autorl.inner.course import Course
from autorl.inner.distillation import coefficient, guided_actions
from autorl.inner.evaluation import evaluate_policy
from autorl.inner.gae import advantages, next_values
from autorl.inner.networks import ActorCritic, action_outputs, flatten_observations
from autorl.inner.normalisation import Moments, initial_moments, merge, normaliser
from autorl.inner.one_piece import one_piece_pays
from autorl.inner.optimiser import Adam, Layout, adam_step, clip_factor, initial_adam
from autorl.inner.own_code import with_own_code
from autorl.inner.policies import Gaussian, Policy, make_policy
from autorl.inner.ppo_hyperparameters import PPOHyperparameters
from autorl.inner.ppo_loss import Samples, mean, objective_loss, ppo_loss
from autorl.inner.protocol import Evaluation, Progress, all_finite, make_hyperparameters
from autorl.inner.registers import part_done
from autorl.inner.rollout import Actors, Trajectory, average_return, collect, start_actors
from autorl.inner.shuffle import permutation
from autorl.inner.teaching import Slots, told
from autorl.inner.threefry import unrolled
from autorl.objectives.protocol import Objective

_GUIDE = 2**31 - 1


class PPOState(NamedTuple):
    """All that a training needs to go on.

    Attributes:
        progress: What is counted.
        key: jax key; every iteration folds its env steps in, so it never changes.
        adam: Parameters (flat, `PPO.layout`) and their optimiser.
        moments: Of the observations.
        actors: The environments under way.
    """

    progress: Progress
    key: Array
    adam: Adam
    moments: Moments
    actors: Actors


class Batch(NamedTuple):
    """One rollout, flat: observation [N, D], action [N, A], samples [N]; and what a guide would have done, [N, A], if there is one."""

    observation: Array
    action: Array
    samples: Samples
    guided: Array | None = None


@dataclass(frozen=True)
class PPO:
    """PPO in one environment. Methods are pure and for one member; see `autorl.inner.protocol.Learner`."""

    environment: Environment
    Hyperparameters: ClassVar[type] = PPOHyperparameters
    tells: ClassVar[frozenset[str]] = frozenset(
        {"returns", "successes", "values", "mean_values", "positive_value_losses", "absolute_value_losses"}
    )
    """What a teacher hears of an episode."""
    acts_by: ClassVar[tuple[str, ...]] = (
        *("hidden_size", "n_layers", "activation"),
        *("normalize_observations", "greedy_evaluation"),
    )

    @classmethod
    def prepare(cls, values: Mapping[str, Any], horizon: int, upper_bounds: Mapping[str, float]) -> PPOHyperparameters:
        """Return the hyperparameters of a training of ``horizon`` env steps; missing ones take their default.

        A ``minibatch_size`` above the rollout becomes that of the rollout.

        Raises:
            IncompatibleError: The objective is not of the family ``policy_gradient``.
            UsageError: Listing every unknown name and value out of range; or no single rollout fits into ``horizon``.
        """
        del upper_bounds  # nothing of PPO is allocated by the largest value of a search
        hp = make_hyperparameters(PPOHyperparameters, values)
        if hp.n_envs * hp.n_steps > horizon:
            raise UsageError(
                f"n_envs * n_steps: one rollout of {hp.n_envs} * {hp.n_steps} env steps does not fit into a training of "
                f"{horizon}; make the budget's env_steps larger, or n_steps or n_envs smaller"
            )
        # sizes that all mean the whole rollout are one program
        return replace(hp, minibatch_size=min(hp.minibatch_size, hp.n_envs * hp.n_steps))

    @property
    def policy(self) -> Policy:
        """How network outputs become actions."""
        return make_policy(self.environment.action_space)

    def network(self, hp: PPOHyperparameters) -> ActorCritic:
        """Return the network of ``hp``."""
        return ActorCritic(
            outputs=action_outputs(self.environment.action_space),
            continuous=isinstance(self.policy, Gaussian),
            hidden_size=hp.hidden_size,
            n_layers=hp.n_layers,
            activation=hp.activation,
        )

    def layout(self, hp: PPOHyperparameters) -> Layout:
        """Return how the network's parameters lie in ``state.adam.parameters``."""
        observation = jnp.zeros((1, self._observation_size))
        return Layout.of(jax.eval_shape(self.network(hp).init, jax.random.key(0), observation)["params"])

    @property
    def _observation_size(self) -> int:
        size = 1
        for n in self.environment.observation_shape:
            size *= n
        return size

    def init(self, key: Array, hp: PPOHyperparameters, task: Task) -> PPOState:
        """Return a fresh agent with its environments reset to ``task``."""
        network_key, actor_key, train_key = jax.random.split(key, 3)
        network = self.network(hp)
        parameters = network.init(network_key, jnp.zeros((1, self._observation_size)))["params"]
        zero = jnp.zeros((), jnp.float32)
        progress = Progress(
            env_steps=jnp.int32(0),
            updates=jnp.int32(0),
            diverged=jnp.zeros((), jnp.bool_),
            train_return=jnp.float32(jnp.nan),
            metrics=dict.fromkeys(hp.metrics, zero),
        )
        return PPOState(
            progress=progress,
            key=train_key,
            adam=initial_adam(Layout.of(parameters).pack(parameters)),
            moments=initial_moments(self._observation_size),
            actors=start_actors(self.environment, task, actor_key, hp.n_envs, hp.teacher),
        )

    def train(self, state: PPOState, hp: PPOHyperparameters, task: Task, until: Array, horizon: Array) -> PPOState:
        """Train while another whole iteration fits into ``until`` env steps (int32) and nothing diverged."""
        size = hp.n_envs * hp.n_steps

        def go_on(now: PPOState) -> Array:
            return (now.progress.env_steps <= until - size) & ~now.progress.diverged

        return lax.while_loop(go_on, lambda now: self._iterate(now, hp, task, horizon), state)

    def evaluate(self, state: PPOState, hp: PPOHyperparameters, task: Task, key: Array, episodes: int) -> Evaluation:
        """Run ``episodes`` whole episodes with the most likely actions, or with drawn ones (``greedy_evaluation``)."""
        return evaluate_policy(self.environment, self.actor(self.acting(state), hp), task, key, episodes)

    def acting(self, state: Any) -> Acting:
        """Return what the agent acts by: the critic's parameters are among it, as all lie in one vector."""
        return Acting(state.adam.parameters, state.moments)

    def acting_size(self, hp: PPOHyperparameters) -> int:
        """Return the number of parameters."""
        return self.layout(hp).size

    def actor(self, kept: Acting, hp: PPOHyperparameters) -> Act:
        """Return the policy of evaluations."""
        network, policy = self.network(hp), self.policy
        parameters = self.layout(hp).unpack(kept.parameters)
        log_std = parameters.get("log_std", jnp.zeros(0))
        normalise = normaliser(kept.moments, hp.normalize_observations)

        def act(observations: Array, key: Array) -> Array:
            flat = normalise(flatten_observations(observations, self.environment.observation_shape))
            outputs: Any = network.apply({"params": parameters}, flat, method="policy")
            chosen = lax.cond(
                hp.greedy_evaluation,
                lambda: policy.mode(outputs),
                lambda: policy.sample(outputs, log_std, policy.noise(key, (len(observations),))),
            )
            return policy.to_environment(chosen)

        return act

    def _iterate(self, state: PPOState, hp: PPOHyperparameters, task: Task, horizon: Array) -> PPOState:
        """Return the state after one rollout and its updates; after a divergence the old one, with the flag set."""
        before = state.progress
        rollout_key, update_key = jax.random.split(jax.random.fold_in(unrolled(state.key), before.env_steps))
        actors, trajectory, batch = self._rollout(state, hp, task, rollout_key, horizon)
        batch = self.with_guide(batch, trajectory, hp, update_key, part_done(before.env_steps, horizon))
        fraction = 1.0 - before.env_steps.astype(jnp.float32) / horizon.astype(jnp.float32)
        rate = hp.learning_rate * jnp.where(hp.anneal_learning_rate, jnp.maximum(fraction, 0.0), 1.0)
        done = part_done(before.env_steps, horizon)
        adam, sums = self.fit(state.adam, batch, hp, rate, update_key, done)

        updates = adam.updates - state.adam.updates
        # under a teacher there may be nothing to learn from
        means = sums / (updates if hp.teacher is None else jnp.maximum(updates, 1)).astype(jnp.float32)
        finite = all_finite(adam.parameters, adam.second, means, trajectory.reward, trajectory.observation)
        observations = trajectory.observation.reshape(-1, self._observation_size)
        progress = Progress(
            env_steps=before.env_steps + hp.n_envs * hp.n_steps,
            updates=before.updates + updates,
            diverged=~finite,
            train_return=jnp.where(finite, average_return(before.train_return, trajectory), before.train_return),
            metrics=dict(zip(hp.metrics, [*means, rate], strict=True)),
        )
        new = (adam, merge(state.moments, observations, batch.samples.weight), actors)
        old = (state.adam, state.moments, state.actors)
        adam, moments, actors = jax.tree.map(lambda a, b: jnp.where(finite, a, b), new, old)
        return PPOState(progress, state.key, adam, moments, actors)

    def _rollout(
        self, state: PPOState, hp: PPOHyperparameters, task: Task, key: Array, horizon: Array
    ) -> tuple[Actors, Trajectory, Batch]:
        actors, seen, batch = self.play(state, hp, task, key, hp.teacher)
        if hp.teacher is None:
            return actors, seen, batch
        assert actors.lessons is not None
        assert seen.played is not None
        done, part = seen.terminated | seen.truncated, part_done(state.progress.env_steps, horizon)
        values, advantage = (x.reshape(done.shape) for x in (batch.samples.value, batch.samples.advantage))
        lessons = told(hp.teacher, actors.lessons, seen.played, done, seen.episode_return, values, advantage, part)
        return actors._replace(lessons=lessons), seen, batch

    def play(
        self, state: PPOState, hp: PPOHyperparameters, task: Task, key: Array, course: Course | Slots | None
    ) -> tuple[Actors, Trajectory, Batch]:
        """Return the environments after a rollout, what happened, and what is to be learned from it."""
        network, policy = self.network(hp), self.policy
        tree = self.layout(hp).unpack(state.adam.parameters)
        log_std = tree.get("log_std", jnp.zeros(0))
        normalise = normaliser(state.moments, hp.normalize_observations)

        def act(flat: Array, noise: Array) -> tuple[Array, Array]:
            outputs: Any = network.apply({"params": tree}, normalise(flat), method="policy")
            return policy.sample(outputs, log_std, noise), outputs

        def values_of(flat: Array) -> Array:
            """Return values [rows, B] of flat observations [rows, B, D], in one product for each layer."""
            rows: Any = network.apply({"params": tree}, normalise(flat).reshape(-1, flat.shape[-1]), method="value")
            return rows.reshape(flat.shape[:2])

        noise_key, dynamics_key = jax.random.split(key)
        noise = policy.noise(noise_key, (hp.n_steps, hp.n_envs))
        actors, seen = collect(
            self.environment, task, state.actors, dynamics_key, noise, act, policy.to_environment, course
        )
        # the critic is not needed while acting: one pass over the whole rollout is much cheaper than one each step
        last = flatten_observations(actors.observation, self.environment.observation_shape)
        values = values_of(jnp.concatenate([seen.observation, last[None]]))
        final_values = lax.cond(
            jnp.any(seen.truncated), values_of, lambda flat: jnp.zeros(flat.shape[:2]), seen.final_observation
        )
        done = seen.terminated | seen.truncated
        ended = seen.terminated | (seen.truncated & ~hp.bootstrap_time_limits)
        following = next_values(values[:-1], values[-1], final_values, ended, seen.truncated)
        advantage = advantages(seen.reward, values[:-1], following, done, hp.gamma, hp.gae_lambda)
        samples = Samples(
            log_prob=policy.log_prob(seen.outputs, log_std, seen.action),
            value=values[:-1],
            advantage=advantage,
            target=advantage + values[:-1],
            weight=None if seen.played is None else seen.played.train.astype(jnp.float32),
        )
        flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), (normalise(seen.observation), seen.action, samples))
        return actors, seen, Batch(*flat)

    def with_guide(self, batch: Batch, seen: Trajectory, hp: PPOHyperparameters, key: Array, done: Array) -> Batch:
        """Return ``batch`` with what the guide would have done in its states, if there is one."""
        if hp.distill_from is None:
            return batch
        observations = seen.observation.reshape(-1, self._observation_size)
        # apart from the keys of the epochs, which are folded with 0, 1, 2 and so on
        key, wanted = jax.random.fold_in(key, _GUIDE), coefficient(hp.distill_coef, hp.distill_share, done) > 0.0
        return batch._replace(
            guided=guided_actions(hp.distill_from, self.environment, self.policy, observations, key, wanted)
        )

    def fit(
        self, adam: Adam, batch: Batch, hp: PPOHyperparameters, learning_rate: Array, key: Array, done: Array
    ) -> tuple[Adam, Array]:
        """Return the optimiser after all epochs, and the sums of the metrics over the updates.

        ``done`` is the part of the training done before this iteration.
        """
        network, policy, layout = self.network(hp), self.policy, self.layout(hp)
        total = batch.action.shape[0]
        size = min(hp.minibatch_size, total)
        count = total // size
        layers, width = self._observation_size, policy.size
        columns = [batch.action] if batch.guided is None else [batch.action, batch.guided]
        given = [column for column in batch.samples if column is not None]
        packed = jnp.concatenate([batch.observation, *columns, jnp.stack(given, axis=1)], axis=1)
        first = layers + width * len(columns)
        imitation = coefficient(hp.distill_coef, hp.distill_share, done)
        in_one_piece = one_piece_pays(size, layout.size, hp.objective)

        def loss(tree: Any, rows: Array, objective: Objective | None) -> tuple[Array, tuple[Array, ...]]:
            observation, action = rows[:, :layers], rows[:, layers : layers + width]
            samples = Samples(*(rows[:, first + i] for i in range(len(given))))
            outputs, value = network.apply({"params": tree}, observation)
            log_std = tree.get("log_std", jnp.zeros(0))
            log_prob = policy.log_prob(outputs, log_std, action)
            entropy = policy.entropy(outputs, log_std)
            if objective is None:
                total, parts = ppo_loss(log_prob, value, entropy, samples, hp)
            else:
                total, parts = objective_loss(objective, log_prob, value, entropy, samples, hp, done)
            if batch.guided is None:
                return total, parts
            likely = policy.log_prob(outputs, log_std, rows[:, layers + width : first])
            imitated = jnp.where(imitation > 0.0, -mean(likely, samples.weight), 0.0)
            return total + imitation * imitated, (*parts, imitated)

        def minibatch(carry: tuple[Adam, Array], rows: Array) -> tuple[tuple[Adam, Array], None]:
            adam, sums = carry
            slopes = partial(jax.grad(loss, has_aux=True), layout.unpack(adam.parameters), packed[rows])
            gradient_tree, parts = slopes(None) if hp.objective is None else with_own_code(hp.objective, slopes)
            gradient = layout.pack(gradient_tree)
            factor = clip_factor(gradient, hp.max_grad_norm, in_one_piece=in_one_piece)
            stepped = adam_step(adam, gradient * factor, learning_rate, hp.adam_eps)
            after = (stepped, sums + jnp.stack([*parts, (factor < 1.0).astype(jnp.float32)]))
            if hp.teacher is None:
                return after, None
            # without a sample to learn from there is no gradient, but Adam would still move
            some = jnp.any(packed[rows, -1] > 0.0)
            return jax.tree.map(lambda new, old: jnp.where(some, new, old), after, carry), None

        def epoch(i: Array, carry: tuple[Adam, Array]) -> tuple[Adam, Array]:
            order = permutation(jax.random.fold_in(key, i), total)[: count * size].reshape(count, size)
            return lax.scan(minibatch, carry, order)[0]

        start = (adam, jnp.zeros(len(hp.metrics) - 1))
        return lax.fori_loop(0, hp.update_epochs, epoch, start)
