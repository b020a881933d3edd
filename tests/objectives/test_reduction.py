"""Reduction keeps what a loss does, never grows it, and finds the plain form of what a search drifts into."""

import pytest

from autorl.objectives.graphs.fingerprint import fingerprint
from autorl.objectives.graphs.formula import formula_text
from autorl.objectives.graphs.graph import Graph, Node
from autorl.objectives.graphs.reduction import reduced
from autorl.objectives.graphs.sampling import Grammar, random_graph

REGISTERS = {name: i for i, name in enumerate(r.name for r in Graph((Node("none"),)).registers)}
READABLE = ("q", "q_action", "q_target_next", "action", "reward", "discount")


def graph(*nodes: tuple) -> Graph:
    made = []
    for op, *inputs in nodes:
        constant = inputs.pop() if inputs and isinstance(inputs[-1], float) else 1.0
        made.append(
            Node(op, tuple(REGISTERS[i] if isinstance(i, str) else len(REGISTERS) + i for i in inputs), constant)
        )
    return Graph(tuple(made))


BLOATED = graph(
    ("max_a", "q_target_next"), ("add", "discount", 0), ("sub", "discount", 1), ("mul", 2, "discount"),
    ("select", "q", "action"), ("add", 3, 4), ("sub", "reward", 5), ("square", 6), ("scale", 7, 0.3), ("square", "reward"), ("add", 8, 9),
)  # fmt: skip
"""TD, with discount - (discount + max Q) for -max Q, a scale, and a term without a slope."""


def test_a_bloated_td_becomes_shorter_and_stays_td() -> None:
    found = reduced(BLOATED, READABLE)
    assert fingerprint(found).key == fingerprint(BLOATED).key
    assert len(found.nodes) <= 6, formula_text(found)


def test_a_product_becomes_a_square() -> None:
    product = graph(
        ("max_a", "q_target_next"), ("mul", 0, "discount"), ("add", 1, "reward"), ("sub", "q_action", 2), ("sub", 3, 2),
        ("mul", "q_action", 4),
    )  # fmt: skip
    found = reduced(product, READABLE)
    assert fingerprint(found).key == fingerprint(product).key
    assert (len(found.nodes), found.nodes[-1].op) == (5, "square"), formula_text(found)


def test_a_plain_loss_stays_as_it_is() -> None:
    plain = graph(
        ("max_a", "q_target_next"), ("mul", 0, "discount"), ("add", 1, "reward"), ("sub", "q_action", 2), ("square", 3)
    )
    assert reduced(plain, READABLE) == reduced(reduced(plain, READABLE), READABLE)
    assert len(reduced(plain, READABLE).nodes) == 5


@pytest.mark.parametrize("key", range(20))
def test_what_a_loss_does_is_kept(key: int) -> None:
    made = random_graph(key, Grammar("autorl", "value", registers=READABLE, nodes=12))
    found = reduced(made, READABLE)
    assert fingerprint(found).key == fingerprint(made).key
    assert len(found.nodes) <= len(made.live)
