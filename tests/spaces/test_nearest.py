from autorl.spaces import Bool, Categorical, Condition, Fixed, Float, HyperparameterSpace, Int, ProductSpace
from autorl.spaces.nearest import nearest_candidate

SPACE = HyperparameterSpace(
    "space",
    {
        "rate": Float(1e-4, 1e-2, "log"),
        "epochs": Int(2, 8),
        "batch": Categorical((64, 128, 512)),
        "kind": Categorical(("a", "b", "c")),
        "on": Bool(),
        "alpha": Float(0, 1),
        "fixed": Fixed(3),
    },
    {"alpha": Condition("on", (True,))},
)


def test_values_in_the_space_are_kept_and_others_brought_in():
    given = {"rate": 3e-4, "epochs": 10, "batch": 256, "kind": "z", "on": False, "alpha": 0.3, "fixed": 9, "other": 1}
    found = nearest_candidate(SPACE, given)
    assert SPACE.validate(found) == []
    assert found == {"rate": 3e-4, "epochs": 8, "batch": 128, "kind": "b", "on": False, "fixed": 3}
    assert nearest_candidate(SPACE, {**given, "on": True})["alpha"] == 0.3
    assert nearest_candidate(SPACE, {"rate": 1})["rate"] == 1e-2


def test_parts_of_a_product_go_by_their_own_names():
    product = ProductSpace({"agent": SPACE, "more": HyperparameterSpace("more", {"gamma": Float(0, 1)})})
    found = nearest_candidate(product, {"gamma": 0.9, "epochs": 5, "on": False})
    assert product.validate(found) == []
    assert (found["more"]["gamma"], found["agent"]["epochs"]) == (0.9, 5)
