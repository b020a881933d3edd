"""Level scores as graphs: the named ones equal those written by hand, and a teacher replays what its graph says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from autorl.curricula.protocol import Feedback
from autorl.curricula.scores import CHANNEL_OF, SCORES, level_score
from autorl.curricula.tasks import TaskSpace
from autorl.curricula.teachers import make_teacher
from autorl.errors import UsageError
from autorl.objectives.graphs.files import graph_to_json
from autorl.objectives.graphs.language_autorl import LEVEL
from autorl.objectives.graphs.level_scores import SCORE_GRAPHS, score_graph

REGISTERS = [register.name for register in LEVEL]
NO_ANTAGONIST = [name for name in REGISTERS if name != "antagonist_return"]
OPERATORS = ["sub", "mul", "abs", "scale", "constant"]
WIDE = {"registers": NO_ANTAGONIST, "operators": OPERATORS, "nodes": 4}
PLR = make_teacher("plr", TaskSpace.unit(1))


def reads(register, factor=1.0):
    nodes = [{"op": "scale", "in": [register], "c": factor}]
    return {"graph": {"language": "autorl", "family": "level", "nodes": nodes}, **WIDE}


def drawn(n=64):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=n).astype(np.float32) for name in REGISTERS}


def test_registers_are_those_of_the_language():
    assert set(CHANNEL_OF) == set(REGISTERS)
    # what a policy that acts at random gets is measured for filters of tasks alone, the value of the first observation for SPaCE
    assert set(CHANNEL_OF.values()) == set(Feedback._fields) - {"control_returns", "values"}
    assert set(SCORE_GRAPHS) == set(SCORES)


@pytest.mark.parametrize("name", SCORES)
def test_the_named_scores_as_graphs_equal_those_written_by_hand(name):
    by_hand, graph, registers = level_score(name), level_score(score_graph(name)), drawn()
    assert set(graph.needs) == set(by_hand.needs)
    np.testing.assert_allclose(graph.per_sample(registers), by_hand.per_sample(registers), rtol=1e-6)


def test_scores_that_are_searched_together_are_one_program():
    structures = {jax.tree.structure(level_score(reads(name, 2.0))) for name in NO_ANTAGONIST}
    assert len(structures) == 1
    assert set(level_score(reads("value")).needs) == set(NO_ANTAGONIST)


@pytest.fixture(scope="module")
def told():
    """Play given levels, (level, return, success, value) each, four at a time, with a score of whatever register."""
    parameters = lambda score: PLR.parameters({"capacity": 8, "fill": 0.1, "staleness": 0.0, "score": score})  # noqa: E731
    update = jax.jit(PLR.update)

    def play(register, *batches, factor=1.0):
        own = parameters(reads(register, factor))
        state = PLR.init(jax.random.key(0), own)
        for batch in batches:
            rows = np.full((4, 4), np.nan, np.float32)
            rows[: len(batch)] = batch
            _, returns, successes, values = jnp.asarray(rows).T
            feedback = Feedback(returns, successes, None, None, returns / 2, returns / 4, mean_values=values)
            state = update(own, state, jnp.nan_to_num(rows[:, :1]), feedback)
        held = int(state.buffer.size)
        found = dict(zip(state.buffer.levels[:held, 0].tolist(), state.buffer.scores[:held].tolist(), strict=True))
        return state, {round(level, 3): score for level, score in found.items()}

    yield play
    assert update._cache_size() == 1, "one program for all graphs"


@pytest.mark.parametrize(
    ("register", "expected"),
    [
        ("return", 0.2),
        ("max_return", 0.8),
        ("previous_return", 0.8),
        ("value", 0.6),
        ("positive_value_loss", 0.1),
        ("absolute_value_loss", 0.05),
        ("success_rate", 1 / 3),
        ("staleness", 3 / 5),
    ],
)
def test_registers_say_what_became_of_a_level(told, register, expected):
    history = [[(0.5, 0.4, 0, 0.1)], [(0.5, 0.8, 1, 0.3)], [(0.1, 0, 0, 0), (0.2, 0, 0, 0), (0.3, 0, 0, 0)]]
    _, scores = told(register, *history, [(0.5, 0.2, 0, 0.6)])
    assert scores[0.5] == pytest.approx(expected, rel=1e-5)


def test_a_success_rate_is_about_the_last_ten_episodes(told):
    always, never = [[(0.5, 1, 1, 0)] * 4] * 5, [[(0.5, 0, 0, 0)] * 4] * 5
    state, _ = told("success_rate", *always, *never)
    assert float(state.buffer.rate[0]) < 0.1
    assert int(state.buffer.visits[0]) == 40


def test_what_a_graph_scores_high_is_replayed(told):
    batch = [(0.1, 0.9, 1, 0.2), (0.2, 0.5, 1, 0.9), (0.3, 0.1, 0, 0.5)]
    favourites, propose = {}, jax.jit(PLR.propose, static_argnums=3)
    for register, factor in (("return", 1.0), ("return", -1.0), ("value", 1.0)):
        state, scores = told(register, batch, factor=factor)
        own = PLR.parameters({"capacity": 8, "fill": 0.1, "staleness": 0.0, "replay_probability": 1.0})
        replayed = propose(own, state, jax.random.key(1), 200).tasks[:, 0]
        levels, counts = np.unique(np.round(np.asarray(replayed), 3), return_counts=True)
        favourites[register, factor] = levels[counts.argmax()]
        assert max(scores, key=scores.get) == favourites[register, factor]
    assert favourites == {("return", 1.0): 0.1, ("return", -1.0): 0.3, ("value", 1.0): 0.2}


def test_graphs_that_need_an_antagonist_say_so():
    assert "antagonist_returns" in PLR.needs(PLR.parameters({"score": score_graph("regret")}))
    assert PLR.needs(PLR.parameters({"score": reads("return")})) == {
        "returns", "mean_values", "successes", "positive_value_losses", "absolute_value_losses",
    }  # fmt: skip
    assert PLR.needs(PLR.parameters()) == {"returns", "mean_values"}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("max_mcc", "unknown level score 'max_mcc'. Did you mean 'max_mc'"),
        (3, "expected one of max_mc"),
        (
            {"language": "autorl", "family": "value", "nodes": [{"op": "square", "in": ["reward"]}]},
            "the family 'level'",
        ),
        ({**score_graph("max_mc"), "nodes": []}, "nodes: expected a list"),
        ({**reads("value"), "nodes": 0}, "nodes: expected a whole number from 1"),
        ({**reads("value"), "registers": ["valu"]}, "registers: expected names of return"),
        ({**reads("value"), "depth": 1}, "unknown field 'depth'"),
    ],
)
def test_what_is_no_score_is_refused(value, message):
    with pytest.raises(UsageError, match=r"teacher 'plr': .*level score") as caught:
        PLR.parameters({"score": value})
    assert message in str(caught.value)


def test_graphs_of_scores_are_plain_data():
    assert all(graph_to_json(graph) == score_graph(name) for name, graph in SCORE_GRAPHS.items())


@pytest.mark.slow
def test_members_with_scores_of_their_own_do_side_by_side_what_they_do_alone():
    scores = ("return", "value")
    members = [PLR.parameters({"capacity": 8, "score": reads(name)}) for name in scores]
    together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)
    start = PLR.init(jax.random.key(0), members[0])
    tasks, numbers = jnp.linspace(0.1, 0.9, 4)[:, None], jnp.arange(4.0)
    feedback = Feedback(numbers, numbers, 3.0 - numbers, None, numbers, numbers)
    found = jax.jit(jax.vmap(PLR.update, (0, None, None, None)))(together, start, tasks, feedback)
    for i, own in enumerate(members):
        alone = jax.jit(PLR.update)(own, start, tasks, feedback)
        for a, b in zip(jax.tree.leaves(alone), jax.tree.leaves(found), strict=True):
            np.testing.assert_array_equal(a, b[i])
    # places are filled by the best first
    np.testing.assert_allclose(found.buffer.levels[:, :4, 0], [tasks[::-1, 0], tasks[:, 0]], rtol=1e-5)
