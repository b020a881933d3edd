"""Our language: 24 operators over floats and lists, each node with a mutable constant, three families of registers.

Against `coreyes2021` (Co-Reyes et al., 2021) it drops state arithmetic, batch statistics and noise, which break the meaning of a
loss for each sample, and replaces the fixed constants by one for each node. Q(s, .) and its kin are registers: networks run
once, outside the graph. The family ``level`` is no loss's: its graphs are scores of levels, by which teachers choose what is played again.
"""

from __future__ import annotations

from autorl.objectives.graphs.language import Language, Operator, Register
from autorl.objectives.graphs.types import Type, elementwise, exactly

_reduce = exactly(Type.LIST, gives=Type.FLOAT)

OPERATORS = (
    Operator("add", 2, elementwise, "{0} + {1}", "{0} + {1}", commutative=True),
    Operator("sub", 2, elementwise, "{0} - {1}", "{0} - {1}"),
    Operator("mul", 2, elementwise, "{0} * {1}", "{0} \\cdot {1}", commutative=True),
    Operator("div", 2, elementwise, "{0} / {1}", "\\frac{{{0}}}{{{1}}}"),
    Operator("min", 2, elementwise, "min({0}, {1})", "\\min({0}, {1})", commutative=True),
    Operator("max", 2, elementwise, "max({0}, {1})", "\\max({0}, {1})", commutative=True),
    Operator("greater", 2, elementwise, "[{0} > {1}]", "[{0} > {1}]"),
    Operator("square", 1, elementwise, "({0})^2", "\\left({0}\\right)^2"),
    Operator("abs", 1, elementwise, "|{0}|", "\\left|{0}\\right|"),
    Operator("log", 1, elementwise, "log|{0}|", "\\log\\left|{0}\\right|"),
    Operator("exp", 1, elementwise, "exp({0})", "\\exp\\left({0}\\right)"),
    Operator("tanh", 1, elementwise, "tanh({0})", "\\tanh\\left({0}\\right)"),
    Operator("relu", 1, elementwise, "relu({0})", "\\left({0}\\right)^{{+}}"),
    Operator("scale", 1, elementwise, "{c} * {0}", "{c} \\cdot {0}", has_constant=True),
    Operator("stop_gradient", 1, elementwise, "sg({0})", "\\operatorname{{sg}}\\left({0}\\right)"),
    Operator("constant", 0, lambda types: Type.FLOAT if not types else None, "{c}", "{c}", has_constant=True),
    Operator("select", 2, exactly(Type.LIST, Type.ACTION, gives=Type.FLOAT), "{0}[{1}]", "{0}[{1}]"),
    Operator("argmax_a", 1, exactly(Type.LIST, gives=Type.ACTION), "argmax({0})", "\\arg\\max_a {0}"),
    Operator("max_a", 1, _reduce, "max_a({0})", "\\max_a {0}"),
    Operator("mean_a", 1, _reduce, "mean_a({0})", "\\operatorname{{mean}}_a {0}"),
    Operator("sum_a", 1, _reduce, "sum_a({0})", "\\sum_a {0}"),
    Operator("logsumexp_a", 1, _reduce, "logsumexp_a({0})", "\\log\\sum_a\\exp {0}"),
    Operator("softmax_a", 1, exactly(Type.LIST, gives=Type.LIST), "softmax_a({0})", "\\operatorname{{softmax}}_a {0}"),
    Operator("entropy_a", 1, _reduce, "entropy_a({0})", "\\mathcal{{H}}_a\\left({0}\\right)"),
)
"""Guards stand **before** the unsafe operators: ``log`` of max(|x|, 1e-8), ``exp`` of x within +-20, ``div`` by y at least 1e-6
away from 0 (by 1e-6 with y's sign; 0 counts as positive), ``entropy_a`` of probabilities within [1e-8, 1]."""

_FLOAT, _LIST = Type.FLOAT, Type.LIST
VALUE = (
    Register("q", _LIST, "Q(s,\\cdot)", True, "action values of the state"),
    Register("q_action", _FLOAT, "Q(s,a)", True, "value of the action taken"),
    Register("q_next", _LIST, "Q(s',\\cdot)", True, "action values of the next state"),
    Register("q_target", _LIST, "\\bar Q(s,\\cdot)", False, "target network's action values of the state"),
    Register("q_target_next", _LIST, "\\bar Q(s',\\cdot)", False, "target network's action values of the next state"),
    Register("action", Type.ACTION, "a", False, "action taken"),
    Register("reward", _FLOAT, "r", False, "reward"),
    Register("discount", _FLOAT, "\\gamma", False, "discount, 0 where the episode terminated"),
    Register("progress", _FLOAT, "\\tfrac{t}{T}", False, "part of the training done, from 0 to 1"),
)
POLICY_GRADIENT = (
    Register("log_prob", _FLOAT, "\\log\\pi", True, "log-probability of the action taken"),
    Register("old_log_prob", _FLOAT, "\\log\\pi_{old}", False, "the same under the policy that took it"),
    Register("ratio", _FLOAT, "\\rho", True, "probability ratio of the new policy to the old"),
    Register("advantage", _FLOAT, "A", False, "advantage, normalised within the minibatch if the learner does so"),
    Register("value", _FLOAT, "V(s)", True, "critic's value of the state"),
    Register("old_value", _FLOAT, "V_{old}(s)", False, "the same before the updates"),
    Register("return", _FLOAT, "R", False, "return that values are fitted to (advantage + old value)"),
    Register("entropy", _FLOAT, "\\mathcal{H}(\\pi)", True, "entropy of the policy in the state"),
    Register("progress", _FLOAT, "\\tfrac{t}{T}", False, "part of the training done, from 0 to 1"),
)

LEVEL = (
    Register("return", _FLOAT, "R", False, "return of the episode, as a score"),
    Register("max_return", _FLOAT, "R_{\\max}", False, "greatest return in the level so far, this one included"),
    Register("previous_return", _FLOAT, "R_{-1}", False, "mean return in the level the time before; 0 in a new one"),
    Register("value", _FLOAT, "\\overline{V}", False, "mean over the episode of the agent's values"),
    Register("positive_value_loss", _FLOAT, "\\overline{A^+}", False, "mean positive part of the advantages"),
    Register("absolute_value_loss", _FLOAT, "\\overline{|A|}", False, "mean absolute advantage"),
    Register("success_rate", _FLOAT, "p", False, "share of successes in the level, over about its last ten episodes"),
    Register("antagonist_return", _FLOAT, "{R^A}", False, "return of a second agent in the level"),
    Register(
        "staleness", _FLOAT, "\\tau", False, "share of all episodes since the level was played last; 0 in a new one"
    ),
)

AUTORL = Language(
    name="autorl",
    operators=OPERATORS,
    families={"value": VALUE, "policy_gradient": POLICY_GRADIENT, "level": LEVEL},
    functions="autorl.objectives.graphs.functions",
    source="this project; after Co-Reyes et al. (2021), 'Evolving Reinforcement Learning Algorithms'",
)
