from __future__ import annotations

import numpy as np
import pytest
from method_driver import BUDGET, CONDITIONAL, CONTINUOUS, make, plain, proposals, result, steps

from autorl.errors import IncompatibleError
from autorl.keys import derive
from autorl.outer.methods import make_method
from autorl.outer.protocol import Budget
from autorl.outer.sobol import Sobol
from autorl.spaces import Float, HyperparameterSpace


def test_random_candidates_depend_on_seed_and_number_alone() -> None:
    method = make_method("random", CONDITIONAL, BUDGET, 5)
    asked = method.ask(method.init(), 6)
    assert [p.candidate for p in asked] == [CONDITIONAL.sample(derive(5, "random", n)) for n in range(6)]
    told = method.tell(method.init(), [result(asked[0], 1e9)])
    assert method.ask(told, 5)[0].candidate == asked[1].candidate


@pytest.mark.parametrize("name", ["random", "sobol", "tpe", "gp"])
def test_the_batch_is_a_setting_and_the_budget_a_limit(name: str) -> None:
    method = make_method(name, CONTINUOUS, Budget(7, 10), 0, {"batch": 5})
    first = method.ask(method.init(), 5)
    assert method.available(method.init()) == 5
    assert method.available(method.init(), first[:2]) == 3
    state = method.tell(method.init(), [result(p, 0.0) for p in first])
    assert method.available(state) == 2
    assert len(method.ask(method.init(), 7)) == 7, "a caller may ask for more than the batch"
    assert make_method(name, CONTINUOUS, Budget(50, 10), 0).available(method.init()) == (4 if name == "gp" else 8)


def test_sobol_points_leave_no_gaps() -> None:
    method = make_method("sobol", CONTINUOUS, Budget(64, 10), 3)
    units = np.array([CONTINUOUS.to_unit(p.candidate) for p in proposals(steps(method))])
    for size in (8, 16, 32, 64):
        cells = np.floor(units[:size] * size).astype(int)
        assert all(len(set(column)) == size for column in cells.T), "one point in each of the equal intervals"


def test_sobol_is_one_sequence_however_it_is_asked_for() -> None:
    method = make_method("sobol", CONDITIONAL, Budget(9, 10), 3)
    whole = method.ask(method.init(), 9)
    assert plain(CONDITIONAL, proposals(steps(method))) == plain(CONDITIONAL, whole)
    later = make_method("sobol", CONDITIONAL, Budget(100, 10), 3)
    assert later.ask(later.init(), 1, whole)[0].number == 9


def test_sobol_refuses_more_dimensions_than_it_has() -> None:
    space = HyperparameterSpace("wide", {f"x{i}": Float(0, 1) for i in range(21202)})
    with pytest.raises(IncompatibleError, match="21202 dimensions, at most 21201"):
        Sobol(space, BUDGET, 0)


def test_sobol_and_random_differ_in_how_they_draw() -> None:
    one, two = make("random", CONTINUOUS), make("sobol", CONTINUOUS)
    assert one.ask(one.init(), 1)[0].candidate != two.ask(two.init(), 1)[0].candidate
