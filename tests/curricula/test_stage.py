"""A stage is judged by the episodes that begin first, not by those that end first."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.curricula.starts.archive import Archive
from autorl.curricula.starts.protocol import Episodes
from autorl.curricula.starts.roll_in import RollIn
from autorl.curricula.starts.stage import Block
from autorl.environments.protocol import Reached

SIZE = 6


def test_a_block_is_over_when_all_that_began_in_it_have_ended():
    block, own = Block.first(), jnp.zeros(4, jnp.int32)
    block = block.started(own, jnp.array([True, True, True, False]))
    assert int(block.open_to(3)) == -1
    assert int(block.open_to(4)) == 0
    block = block.told(
        own, jnp.array([1.0, 3.0, 9.0, 9.0]), jnp.array([True, True, True, False]), own + jnp.arange(4) < 2
    )
    assert not block.over(3), "one has not ended"
    block = block.told(own - 1, jnp.full(4, 9.0), own == 0, own == 0)
    assert not block.over(3), "those are of another block"
    block = block.told(own, jnp.zeros(4), own > 0, jnp.arange(4) == 0)
    assert block.over(3)
    assert float(block.mean) == 2.0, "an episode without a score ended, and says nothing more"
    assert int(block.next.open_to(3)) == 1
    assert np.isnan(block.next.mean)


@pytest.mark.slow
def test_short_episodes_do_not_end_a_stage_before_its_time():
    """Half of all episodes take 2 steps and score 1, half take 20 and score 0: a mean of 1/2, whoever ends first."""
    starter, empty = RollIn(1, 1), Reached(jax.ShapeDtypeStruct((1,), jnp.float32), jax.ShapeDtypeStruct((), jnp.int32))
    params = starter.parameters({"threshold": 0.75, "episodes": SIZE, "capacity": 2, "stages": 200, "beta": 0.0})

    def step(carry, key):
        state, left, scores, blocks, rounds = carry
        done = left == 0
        told = Episodes(done & False, left, scores, done & (rounds == state.stage), blocks, done)
        state = starter.update(params, state, told)
        starts, short = starter.propose(params, state, key, SIZE), jax.random.bernoulli(key, 0.5, (SIZE,))
        state = starter.begun(params, state, starts, done)
        left = jnp.where(done, jnp.where(short, 2, 20), left) - 1
        now = (short.astype(jnp.float32), starts.blocks, jnp.full(SIZE, state.stage))
        return (state, left, *(jnp.where(done, a, b) for a, b in zip(now, carry[2:], strict=True))), state.stage

    state = starter.init(params, lambda room: Archive.empty(room, empty), jnp.zeros(2, jnp.uint32))
    none = jnp.zeros(SIZE, jnp.int32)
    run = jax.jit(
        lambda key: jax.lax.scan(step, (state, none, none * 0.0, none - 1, none), jax.random.split(key, 6000))
    )
    (last, *_), _ = run(jax.random.key(0))
    judged = int(last.block.number)
    assert judged > 150
    # of six fair coins at least five are heads in 7 of 64 throws; the first six to end would nearly always be
    assert abs(int(last.stage) / judged - 7 / 64) < 3.5 * (7 / 64 * 57 / 64 / judged) ** 0.5
