"""The language of Co-Reyes et al. (2021), "Evolving Reinforcement Learning Algorithms": its 33 operators, sign for sign.

A loss is computed from the networks themselves: ``q_value_list`` applies one to a state, which may be the product of other
operators. The released code is ``google/brain_autorl``, ``evolving_rl/ops.py`` (Apache-2.0); `programs_coreyes` holds the rules by
which its search picks inputs.

Conventions to know: ``entropy`` is sum p log(p + 1e-8), minus the entropy; ``l2_distance`` is half the squared difference, summed
over a state; ``l2_norm`` is the square, no root; ``log`` is log(|x| + 1e-12); ``exp`` saturates at 1e10; ``div`` divides by
y + 1e-10; ``kl_div`` clips both distributions to [1e-7, 1] as keras does; ``std_*`` divide by the count. ``log`` and ``exp`` of a
probability still count as one. The released `MinOp` prints "max"; here min is min.

A node may not read one input twice in the paper's random programs (`programs_coreyes`), but a graph here may.
"""

from __future__ import annotations

from autorl.objectives.graphs.language import Language, Operator, Register
from autorl.objectives.graphs.types import Rule, Type, exactly

_F, _L, _P, _A = Type.FLOAT, Type.LIST, Type.PROBABILITY, Type.ACTION
_S, _V, _N, _H, _C = Type.STATE, Type.VECTOR, Type.PARAMETERS, Type.HEAD, Type.CONSTANT


def _sum_or_difference(types: tuple[Type, ...]) -> Type | None:
    """Floats, lists, vectors; a float is the same for every entry. A vector and a list have nothing in common: refused."""
    if len(types) != 2 or not set(types) <= {_F, _V, _L} or {_V, _L} <= set(types):
        return None
    return _L if _L in types else _V if _V in types else _F


def _float_with(*others: Type) -> Rule:
    """A float and one value of another type, which the result has."""

    def rule(types: tuple[Type, ...]) -> Type | None:
        rest = [kind for kind in types if kind is not _F]
        return rest[0] if len(types) == 2 and len(rest) == 1 and rest[0] in others else None

    return rule


def _same(*accepted: Type, arity: int = 1, sums: bool = False) -> Rule:
    """``arity`` values of one type, which the result has; if it ``sums``, all but lists give a float."""

    def rule(types: tuple[Type, ...]) -> Type | None:
        if len(types) != arity or len(set(types)) != 1 or types[0] not in accepted:
            return None
        return _F if sums and types[0] is not _L else types[0]

    return rule


_reduce = exactly(_L, gives=_F)
_constant = exactly(_C, gives=_F)

OPERATORS_33 = (
    Operator("q_value_list", 2, exactly(_N, _S, gives=_L), "{0}({1})", "{0}\\left({1}\\right)"),
    Operator("subtract", 2, _sum_or_difference, "{0} - {1}", "{0} - {1}"),
    Operator("add", 2, _sum_or_difference, "{0} + {1}", "{0} + {1}", commutative=True),
    Operator(
        "dot_product",
        2,
        _same(_F, _S, _V, _L, arity=2, sums=True),
        "{0} * {1}",
        "{0} \\cdot {1}",
        commutative=True,
        has_list_function=True,
    ),
    Operator(
        "l2_distance",
        2,
        _same(_F, _V, _S, arity=2, sums=True),
        "0.5 * ({0} - {1})^2",
        "\\tfrac{{1}}{{2}}\\left({0} - {1}\\right)^2",
        commutative=True,
    ),
    Operator("select_list", 2, exactly(_L, _A, gives=_F), "{0}[{1}]", "{0}[{1}]"),
    Operator("multiply_float", 2, _float_with(_S, _V, _L), "{0} * {1}", "{0} \\cdot {1}", commutative=True),
    Operator("arg_max_list", 1, exactly(_L, gives=_A), "argmax({0})", "\\arg\\max_a {0}"),
    Operator("max_list", 1, _reduce, "max_a({0})", "\\max_a {0}"),
    Operator("l2_norm", 1, _same(_F, _V, _S, _L, sums=True), "({0})^2", "\\left({0}\\right)^2", has_list_function=True),
    Operator("softmax", 1, exactly(_L, gives=_P), "softmax_a({0})", "\\operatorname{{softmax}}_a {0}"),
    Operator("entropy", 1, exactly(_P, gives=_F), "-entropy_a({0})", "-\\mathcal{{H}}_a\\left({0}\\right)"),
    Operator("min", 2, _same(_F, _V, _L, arity=2), "min({0}, {1})", "\\min({0}, {1})", commutative=True),
    Operator("max", 2, _same(_F, _V, _L, arity=2), "max({0}, {1})", "\\max({0}, {1})", commutative=True),
    Operator("max_float", 2, _float_with(_V, _L), "max({0}, {1})", "\\max({0}, {1})", commutative=True),
    Operator("add_gaussian_noise", 1, _same(_F, _S, _V, _L), "noise({0})", "\\operatorname{{noise}}\\left({0}\\right)"),
    Operator("kl_div", 2, exactly(_P, _P, gives=_F), "KL({0}, {1})", "\\operatorname{{KL}}\\left({0}, {1}\\right)"),
    Operator("sum_list", 1, _reduce, "sum_a({0})", "\\sum_a {0}"),
    Operator("log", 1, _same(_P, _F, _L), "log|{0}|", "\\log\\left|{0}\\right|"),
    Operator("exp", 1, _same(_P, _F, _L), "exp({0})", "\\exp\\left({0}\\right)"),
    Operator("abs", 1, _same(_F, _V, _L, _S), "|{0}|", "\\left|{0}\\right|"),
    Operator("multiply_tenth", 1, _same(_F), "0.1 * {0}", "0.1 \\cdot {0}"),
    Operator("div", 2, _same(_F, _V, _L, _S, arity=2), "{0} / {1}", "\\frac{{{0}}}{{{1}}}"),
    Operator("mean_batch", 1, _same(_V, _S, _F), "mean_batch({0})", "\\operatorname{{mean}}_n {0}"),
    Operator("mean_list", 1, _reduce, "mean_a({0})", "\\operatorname{{mean}}_a {0}"),
    Operator("std_batch", 1, _same(_V, _S, _F), "std_batch({0})", "\\operatorname{{std}}_n {0}"),
    Operator("std_list", 1, _reduce, "std_a({0})", "\\operatorname{{std}}_a {0}"),
    Operator("constant_p5", 1, _constant, "0.5", "0.5"),
    Operator("constant_p2", 1, _constant, "0.2", "0.2"),
    Operator("constant_p1", 1, _constant, "0.1", "0.1"),
    Operator("constant_p01", 1, _constant, "0.01", "0.01"),
    Operator("constant_gaussian", 1, _constant, "normal()", "\\mathcal{{N}}(0, 1)", random=True),
    Operator("constant_uniform", 1, _constant, "uniform()", "\\mathcal{{U}}(0, 1)", random=True),
)
"""Those of the released searches ``pre_graph_7``, ``8_scratch`` and ``9``, in its order."""

OPERATORS_OUTSIDE = (
    # exports define a function called loss themselves
    Operator(
        "loss", 1, exactly(_F, gives=_F), "{c} * {0}", "{c} \\cdot {0}", has_constant=True, called="weighted_loss"
    ),
    Operator("log_sum_exp_list", 1, _reduce, "logsumexp_a({0})", "\\log\\sum_a\\exp {0}"),
    Operator("q_value_list_from_vec", 2, exactly(_H, _V, gives=_L), "{0}({1})", "{0}\\left({1}\\right)"),
    Operator("state_encoder", 2, exactly(_N, _S, gives=_V), "encode_{0}({1})", "\\phi_{{{0}}}\\left({1}\\right)"),
    Operator("q_value", 3, exactly(_N, _S, _A, gives=_F), "{0}({1})[{2}]", "{0}\\left({1}\\right)[{2}]"),
)
"""Rows of the released ``ops.py`` that its searches do not draw. ``loss`` is the output node of every released program: the loss
times a weight, its constant, 1 unless a search adjusts it (none of the shipped ones does); a graph here may end with it or without."""

NETWORK = (
    Register("q_param", _N, "Q", True, "the agent's network: from states to action values"),
    Register("action", _A, "a", False, "action taken"),
    Register("s_tm1", _S, "s", False, "observation of the state"),
    Register("q_targ_param", _N, "\\bar Q", False, "target network"),
    Register("s_t", _S, "s'", False, "observation of the next state"),
    Register("reward", _F, "r", False, "reward"),
    Register("discount", _F, "\\gamma", False, "discount, 0 where the episode terminated"),
    Register("constant", _C, "c", False, "source of constants: the random words of this update"),
)

COREYES2021 = Language(
    name="coreyes2021",
    operators=OPERATORS_33 + OPERATORS_OUTSIDE,
    families={"network": NETWORK},
    functions="autorl.objectives.graphs.functions_coreyes",
    source="Co-Reyes et al. (2021), 'Evolving Reinforcement Learning Algorithms', ICLR; google/brain_autorl, evolving_rl/ops.py",
    undrawn=frozenset(operator.name for operator in OPERATORS_OUTSIDE),
    uninterpreted=frozenset({"q_value_list_from_vec", "state_encoder", "q_value"}),
)
