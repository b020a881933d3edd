"""Hypothesis strategies: arbitrary dimensions, spaces with chains of conditions, and candidates of them."""

from __future__ import annotations

from hypothesis import strategies as st

from autorl.spaces import Bool, Categorical, Condition, Dimension, Fixed, Float, HyperparameterSpace, Int

keys = st.integers(0, 2**63 - 1)
names = st.sampled_from([f"x{i}" for i in range(8)])
scalars = st.one_of(
    st.booleans(), st.integers(-5, 5), st.text("abc", max_size=2), st.floats(-2, 2).filter(lambda x: x != int(x))
)


@st.composite
def floats(draw: st.DrawFn) -> Float:
    scale = draw(st.sampled_from(["linear", "log", "one_minus_log"]))
    if scale == "linear":
        low = draw(st.floats(-1e6, 1e6))
        return Float(low, low + draw(st.floats(1e-3, 1e6)), "linear")
    small = draw(st.floats(1e-9, 0.5))
    large = small * draw(st.floats(1.5, 1e6))
    return Float(small, large, "log") if scale == "log" else Float(1 - large, 1 - small, "one_minus_log")


@st.composite
def ints(draw: st.DrawFn) -> Int:
    log = draw(st.booleans())
    low = draw(st.integers(1 if log else -(2**31) + 1, 2**31 - 3))
    high = draw(st.integers(low + 1, min(2**31 - 1, low + draw(st.sampled_from([1, 2, 50, 2**32])))))
    return Int(low, high, log)


def categoricals() -> st.SearchStrategy[Categorical]:
    ordered = st.sets(st.integers(-9, 9), min_size=2, max_size=5).map(lambda c: Categorical(tuple(sorted(c))))
    mixed = st.lists(scalars, min_size=2, max_size=5, unique_by=lambda c: (isinstance(c, bool), c)).map(
        lambda c: Categorical(tuple(c))
    )
    return st.one_of(ordered, mixed)


def dimensions() -> st.SearchStrategy[Dimension]:
    return st.one_of(floats(), ints(), categoricals(), st.just(Bool()), scalars.map(Fixed))


@st.composite
def spaces(draw: st.DrawFn) -> HyperparameterSpace:
    """A space of up to seven dimensions, where any may depend on an earlier one: chains and trees of conditions."""
    made: dict[str, Dimension] = {}
    conditions: dict[str, Condition] = {}
    for i in range(draw(st.integers(1, 7))):
        parents = [n for n, d in made.items() if not isinstance(d, Float)]
        made[f"x{i}"] = draw(dimensions())
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            units = draw(st.lists(st.floats(0, 1), min_size=1, max_size=2))
            conditions[f"x{i}"] = Condition(parent, tuple(made[parent].from_unit(u) for u in units))
    order = draw(st.permutations(list(made)))  # a child may be listed before its parent
    return HyperparameterSpace("drawn", {name: made[name] for name in order}, conditions)
