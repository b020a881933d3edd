"""The automatic test of TD accepts every way to write it and nothing that is near it."""

import pytest

from autorl.analysis.rediscovery import rediscovery, verdicts
from autorl.objectives.graphs.files import graph_to_json
from autorl.objectives.graphs.graph import Graph, Node
from autorl.objectives.loader import load_objective
from autorl.outer.protocol import Status
from autorl.studies.trial import Trial

REGISTERS = {name: i for i, name in enumerate(r.name for r in Graph((Node("none"),)).registers)}


def graph(*nodes: tuple) -> Graph:
    """Nodes as (op, *inputs): a text is a register, a number a node; a last float is the constant."""
    made = []
    for op, *inputs in nodes:
        constant = inputs.pop() if inputs and isinstance(inputs[-1], float) else 1.0
        made.append(
            Node(op, tuple(REGISTERS[i] if isinstance(i, str) else len(REGISTERS) + i for i in inputs), constant)
        )
    return Graph(tuple(made))


TD = graph(
    ("max_a", "q_target_next"), ("mul", 0, "discount"), ("add", 1, "reward"), ("sub", "q_action", 2), ("square", 3)
)
WITHOUT_Q_ACTION = graph(
    ("select", "q", "action"),
    ("max_a", "q_target_next"),
    ("mul", 1, "discount"),
    ("sub", 0, 2),
    ("sub", "reward", 3),
    ("square", 4),
    ("scale", 5, 3.0),
)
SCALED_REWARD = graph(
    ("max_a", "q_target_next"),
    ("mul", 0, "discount"),
    ("scale", "reward", 2.0),
    ("add", 1, 2),
    ("sub", "q_action", 3),
    ("square", 4),
)
PLUS_TARGET_TERMS = graph(
    ("max_a", "q_target_next"),
    ("mul", 0, "discount"),
    ("add", 1, "reward"),
    ("sub", "q_action", 2),
    ("square", 3),
    ("square", 2),
    ("add", 4, 5),
)
NO_DISCOUNT = graph(("max_a", "q_target_next"), ("add", 0, "reward"), ("sub", "q_action", 1), ("square", 2))
MASKED = graph(
    ("max_a", "q_target_next"), ("add", 0, "reward"), ("sub", "q_action", 1), ("square", 2), ("mul", 3, "discount")
)
RESIDUAL = graph(
    ("max_a", "q_next"), ("mul", 0, "discount"), ("add", 1, "reward"), ("sub", "q_action", 2), ("square", 3)
)
MINUS = graph(("max_a", "q_target_next"), ("mul", 0, "discount"), ("add", 1, "reward"), ("sub", "q_action", 2), ("square", 3),
              ("scale", 4, -1.0))  # fmt: skip
D = (("max_a", "q_target_next"), ("mul", 0, "discount"), ("add", 1, "reward"), ("sub", "q_action", 2), ("square", 3))
A_LITTLE_Q = graph(*D, ("scale", "q_action", 1e-3), ("add", 4, 5))
BOUNDED = graph(*D, ("constant", 5000.0), ("min", 4, 5))
ANOTHER_FORM = graph(*D, ("scale", 3, 2.0), ("add", 4, 5), ("scale", 3, -2.0), ("add", 6, 7))
REWARD_CLIPPED = graph(
    ("max_a", "q_target_next"), ("mul", 0, "discount"), ("constant", 50.0), ("min", "reward", 2), ("add", 1, 3),
    ("sub", "q_action", 4), ("square", 5),
)  # fmt: skip


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (TD, "td"),
        (WITHOUT_Q_ACTION, "td"),
        (PLUS_TARGET_TERMS, "td"),
        (ANOTHER_FORM, "td"),
        (A_LITTLE_Q, "other"),
        (BOUNDED, "other"),
        (REWARD_CLIPPED, "other"),
        (SCALED_REWARD, "td_scaled_reward"),
        (NO_DISCOUNT, "other"),
        (MASKED, "other"),
        (RESIDUAL, "other"),
        (MINUS, "other"),
    ],
)
def test_the_slopes_decide(loss: Graph, expected: str) -> None:
    assert verdicts([loss]) == [expected]


def test_of_the_catalogue_only_dqn_is_td() -> None:
    names = ["dqn", "double_dqn", "huber_dqn", "dqnreg_paper", "dqnreg_code", "dqn_clipped", "cql", "munchausen"]
    found = dict(zip(names, verdicts([load_objective(name).graph for name in names]), strict=True))
    assert {name for name, verdict in found.items() if verdict != "other"} == {"dqn"}


def trial(number: int, phase: str, loss: Graph) -> Trial:
    return Trial("method", phase, number, {"graph": graph_to_json(loss)}, 10, status=Status.COMPLETED, score=0.0)


def test_seen_finalist_and_selected_are_counted_apart() -> None:
    search = [trial(0, "search", MASKED), trial(1, "search", SCALED_REWARD), trial(2, "search", TD)]
    found = rediscovery([*search, trial(0, "finalists", TD), trial(1, "finalists", MASKED)], trial(0, "test", MASKED))
    assert (found.seen, found.seen_scaled, found.trained) == (3, 2, 3)
    assert found.finalist
    assert not found.selected
    assert not found.selected_scaled
    chosen = rediscovery(search, trial(0, "test", SCALED_REWARD))
    assert (chosen.selected, chosen.selected_scaled, chosen.finalist) == (False, True, False)
