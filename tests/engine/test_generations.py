"""Trained states of a generation: what another version saved is refused in words."""

from types import SimpleNamespace

import jax
import numpy as np
import pytest

from autorl.engine.generations import GenerationStore
from autorl.errors import StudyError

STATE = {"clock": np.int32(3), "weights": np.arange(2, dtype=np.float32)}
OTHERS = {
    "another leaf": {**STATE, "found": np.int32(0)},
    "a leaf less": {"weights": STATE["weights"]},
    "another shape": {**STATE, "weights": np.zeros(3, np.float32)},
    "another dtype": {**STATE, "clock": np.float32(3)},
}


def store(folder, state):
    """Return a store of a study, in ``folder``, whose agents are of the form of ``state``."""
    like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), state)
    trainer = SimpleNamespace(state_like=lambda environment, values: like)
    session = SimpleNamespace(
        folder=SimpleNamespace(checkpoints=folder),
        environments=["one"],
        trainer=trainer,
        values=lambda candidate, environment: candidate,
    )
    return GenerationStore(session, "method")


@pytest.fixture
def saved(tmp_path):
    trials = [SimpleNamespace(number=number, seeds=(5, 6)) for number in (4, 7)]
    states = {t.number: [jax.tree.map(lambda x, n=t.number + i: x + n, STATE) for i in range(2)] for t in trials}
    store(tmp_path, STATE).save(2, trials, states)
    return tmp_path, states


CHILD = SimpleNamespace(parent=7, candidate={})


def test_a_generation_is_read_as_it_was_saved(saved):
    folder, states = saved
    held = store(folder, STATE).load(2, [CHILD])
    assert list(held) == [7]
    for found, state in zip(held[7], states[7], strict=True):
        jax.tree.map(np.testing.assert_array_equal, found, state)


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_generation_of_another_form_is_refused(saved, other):
    with pytest.raises(
        StudyError, match=r"'method-generation-00000002' in environment 0 .* Remedy: resume the study with"
    ):
        store(saved[0], other).load(2, [CHILD])
