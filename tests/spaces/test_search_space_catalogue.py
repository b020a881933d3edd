"""Every shipped search space: readable, sourced, and within what its learner can be given."""

from __future__ import annotations

import math
import re

import pytest

from autorl import catalogue
from autorl.curricula.tasks import TaskSpace
from autorl.curricula.teachers import make_teacher
from autorl.inner.algorithms import ALGORITHMS
from autorl.inner.protocol import is_traced, problems
from autorl.outer.population_based import changing_dimensions
from autorl.spaces import Categorical, Condition, Fixed, Float, Int, load_space
from autorl.spaces.plain_values import plain_values, with_teacher

SHIPPED = [name for name, path in catalogue.names("search_spaces").items() if path.parent.name == "search_spaces"]
CURRICULA = [name for name in SHIPPED if name.startswith("curriculum_")]
LOSSES = [name for name in SHIPPED if name.startswith("loss_")]
JOINT = [name for name in SHIPPED if name.startswith("joint_")]
NAMES = [name for name in SHIPPED if name not in [*LOSSES, *CURRICULA, *JOINT]]
EXPECTED = {
    "ppo_arlbench", "ppo_arlbench_minigrid", "ppo_arlbench_brax", "ppo_arlbench_full", "ppo_arlbench_pbt",
    "ppo_arlbench_minigrid_pbt", "dqn_arlbench", "dqn_arlbench_minigrid", "dqn_arlbench_full", "dqn_arlbench_pbt",
    "dqn_arlbench_minigrid_pbt", "dqn_arlbench_atari", "ppo_rlzoo", "dqn_rlzoo", "ppo_continuous", "dqn_continuous",
    "sac_arlbench", "sac_arlbench_box2d", "sac_arlbench_brax", "sac_arlbench_full", "sac_arlbench_pbt",
    "sac_arlbench_box2d_pbt", "sac_arlbench_brax_pbt", "sac_rlzoo", "sac_continuous",
    "ppo_how_to_autorl", "dqn_how_to_autorl", "sac_how_to_autorl",
    "ppo_hporlbench", "dqn_hporlbench", "sac_hporlbench", "ppo_hporlbench_dynamic",
    "ppo_hporlbench_extended", "dqn_hporlbench_extended", "sac_hporlbench_extended",
    "loss_value", "loss_td_given", "loss_td", "loss_policy_gradient", "loss_constants",
    "curriculum_schedule", "curriculum_generator", "curriculum_spdl", "curriculum_score_graph", "joint_curriculum_and_loss",
    "joint_loss_and_hyperparameters",
}  # fmt: skip


def test_nothing_is_missing() -> None:
    assert set(SHIPPED) >= EXPECTED


@pytest.mark.parametrize("name", NAMES)
def test_space_fits_its_learner(name: str) -> None:
    space = load_space(name)
    assert space.name == name
    assert re.search(r"[\w.], (19|20)\d\d", space.source), "a source names author and year"
    assert catalogue.find("search_spaces", name).read_text().startswith("# ")
    hyperparameters = ALGORITHMS.load(space.learner).Hyperparameters  # type: ignore[arg-type,attr-defined]
    for key in range(100):
        candidate = space.sample(key)
        assert problems(hyperparameters, candidate) == []
        assert problems(hyperparameters, space.perturb(key, candidate)) == []
    assert problems(hyperparameters, {n: d.from_unit(0.0) for n, d in space.dimensions.items()}) == []
    assert problems(hyperparameters, {n: d.from_unit(1.0) for n, d in space.dimensions.items()}) == []


@pytest.mark.parametrize("name", CURRICULA)
def test_spaces_of_curricula_are_sourced_and_within_what_their_teacher_can_be_given(name: str) -> None:
    space = load_space(name)
    assert space.name == name
    assert re.search(r"[\w.], (19|20)\d\d", space.source), "a source names author and year"
    (teacher,) = {dimension.split(".")[1] for dimension in plain_values(space, space.sample(0))}
    made = make_teacher(teacher, TaskSpace.unit(2))
    for key in range(20):
        for candidate in (space.sample(key), space.perturb(key, space.sample(key))):
            values = with_teacher(plain_values(space, candidate), {"name": teacher, "parameters": {}})
            made.parameters(values["teacher"]["parameters"])


@pytest.mark.parametrize("name", LOSSES)
def test_spaces_of_losses_are_sourced_and_can_be_sampled(name: str) -> None:
    space = load_space(name)
    assert space.name == name
    assert re.search(r"[\w.], (19|20)\d\d", space.source), "a source names author and year"
    assert catalogue.find("search_spaces", name).read_text().startswith("# ")
    assert space.validate(space.sample(0)) == []


@pytest.mark.parametrize("name", JOINT)
def test_joint_spaces_are_made_of_shipped_ones(name: str) -> None:
    space = load_space(name)
    assert space.name == name
    assert catalogue.find("search_spaces", name).read_text().startswith("# ")
    assert {part.name for part in space.parts.values()} <= set(SHIPPED)
    assert space.validate(space.sample(0)) == []


@pytest.mark.parametrize("name", [n for n in NAMES if n.endswith(("_pbt", "_continuous"))])
def test_spaces_for_populations_change_traced_hyperparameters_only(name: str) -> None:
    space = load_space(name)
    assert not space.conditions
    hyperparameters = ALGORITHMS.load(space.learner).Hyperparameters  # type: ignore[arg-type,attr-defined]
    assert [n for n in changing_dimensions(space) if not is_traced(hyperparameters, n)] == []


def test_ppo_arlbench_is_the_published_space() -> None:
    space = load_space("ppo_arlbench")
    assert space.unit_dimension == 9
    assert space.dimensions["learning_rate"] == Float(1e-6, 0.1, "log")
    assert space.dimensions["ent_coef"] == Float(0, 0.5)
    assert space.dimensions["gae_lambda"] == Float(0.8, 0.9999)
    assert space.dimensions["vf_coef"] == Float(0, 1)
    assert space.dimensions["max_grad_norm"] == Float(0, 1)
    sizes = {"": (128, 256, 512), "_minigrid": (32, 64, 128), "_brax": (512, 1024, 2048)}
    for suffix, choices in sizes.items():
        other = load_space(f"ppo_arlbench{suffix}")
        assert other.dimensions["minibatch_size"] == Categorical(choices)
        assert {**other.dimensions} | {"minibatch_size": 0} == {**space.dimensions} | {"minibatch_size": 0}


def test_dqn_arlbench_is_the_published_space() -> None:
    space = load_space("dqn_arlbench")
    assert space.unit_dimension == 12
    assert space.dimensions["buffer_epsilon"] == Float(1e-7, 1e-3, "log")
    assert space.dimensions["buffer_size"] == Int(1024, 120_000)
    assert space.dimensions["target_epsilon"] == Float(0.001, 0.2)
    assert dict(space.conditions) == {
        "target_update_interval": Condition("use_target_network", (True,)),
        **{f"buffer_{n}": Condition("buffer_prio_sampling", (True,)) for n in ("alpha", "beta", "epsilon")},
    }
    assert load_space("dqn_arlbench_minigrid").dimensions["buffer_size"] == Int(1024, 1_000_000)
    atari = load_space("dqn_arlbench_atari")
    assert (atari.unit_dimension, dict(atari.conditions)) == (12, dict(space.conditions))
    differs = {name: d for name, d in atari.dimensions.items() if d != space.dimensions[name]}
    assert differs == {
        "learning_starts": Int(1024, 32_768),
        "target_update_interval": Int(1, 2000),
        "buffer_size": Int(1024, 1_000_000),
        "buffer_batch_size": Categorical((16, 32, 64)),
    }
    assert load_space("dqn_arlbench_pbt").dimensions.keys() == space.dimensions.keys() - {
        "buffer_size",
        "use_target_network",
    }


def test_sac_arlbench_is_the_published_space() -> None:
    space = load_space("sac_arlbench")
    assert space.unit_dimension == 11
    assert space.dimensions["learning_rate"] == Float(1e-6, 0.1, "log")
    assert space.dimensions["buffer_epsilon"] == Float(1e-9, 1e-4, "log")
    assert space.dimensions["reward_scale"] == Float(0.1, 10, "log")
    assert space.dimensions["tau"] == Float(0.01, 1)
    assert dict(space.conditions) == {
        "tau": Condition("use_target_network", (True,)),
        **{f"buffer_{n}": Condition("buffer_prio_sampling", (True,)) for n in ("alpha", "beta", "epsilon")},
    }
    published = {
        "": ((256, 512, 1024), (1024, 120_000), 8192),
        "_box2d": ((128, 256, 512), (1024, 500_000), 8192),
        "_brax": ((512, 1024, 2048), (2048, 2_000_000), 16_384),
    }
    for suffix, (batches, sizes, starts) in published.items():
        other = load_space(f"sac_arlbench{suffix}")
        assert other.dimensions["buffer_batch_size"] == Categorical(batches)
        assert other.dimensions["buffer_size"] == Int(*sizes)
        assert other.dimensions["learning_starts"] == Int(0, starts)
        gone = {"buffer_size", "use_target_network"}
        assert load_space(f"sac_arlbench{suffix}_pbt").dimensions.keys() == other.dimensions.keys() - gone


def test_grids_of_hporlbench_have_the_published_numbers_of_configurations() -> None:
    published = {"ppo": 108, "dqn": 108, "sac": 108, "ppo_dynamic": 9, "ppo_extended": 1296, "dqn_extended": 1296}
    for name, count in {**published, "sac_extended": 972}.items():
        learner, _, kind = name.partition("_")
        space = load_space(f"{learner}_hporlbench{'_' * bool(kind)}{kind}")
        assert math.prod(len(space.dimensions[n].choices) for n in space.searched) == count


def test_full_spaces_of_how_to_autorl() -> None:
    counts = {name: load_space(f"{name}_how_to_autorl").unit_dimension for name in ("ppo", "dqn", "sac")}
    assert counts == {"ppo": 11, "dqn": 9, "sac": 7}
    assert load_space("sac_how_to_autorl").dimensions["buffer_size"] == Int(5000, 50_000_000)
    assert load_space("dqn_how_to_autorl").dimensions["learning_rate"] == Float(1e-6, 1e-2, "log")


@pytest.mark.parametrize(
    "suffix", ["arlbench", "arlbench_minigrid", "arlbench_atari", "arlbench_pbt", "arlbench_minigrid_pbt", "rlzoo"]
)
def test_target_networks_are_copied_where_the_source_copies_them(suffix: str) -> None:
    space = load_space(f"dqn_{suffix}")
    assert space.dimensions["tau"] == Fixed(1.0)
    for key in range(20):
        candidate = space.sample(key)
        assert candidate["tau"] == space.perturb(key, candidate)["tau"] == 1.0


def test_full_spaces_add_to_the_published_ones() -> None:
    added = load_space("ppo_arlbench_full").dimensions.keys() - load_space("ppo_arlbench").dimensions.keys()
    assert added == {"n_steps", "update_epochs", "gamma", "normalize_observations"}
    added = load_space("dqn_arlbench_full").dimensions.keys() - load_space("dqn_arlbench").dimensions.keys()
    assert added == {"gamma", "exploration_fraction", "train_freq", "gradient_steps", "normalize_observations"}
    assert load_space("dqn_arlbench_full").dimensions["tau"] == Float(0.01, 1.0)
    full, published = load_space("sac_arlbench_full"), load_space("sac_arlbench")
    assert full.unit_dimension == 17
    assert published.dimensions.keys() - full.dimensions.keys() == {"reward_scale"}
    added = {"gamma", "train_freq", "gradient_steps", "alpha_auto", "alpha", "target_update_interval"}
    assert full.dimensions.keys() - published.dimensions.keys() == {*added, "normalize_observations"}


def test_rlzoo_networks_are_its_three() -> None:
    space = load_space("ppo_rlzoo")
    candidates = [space.sample(key) for key in range(200)]
    assert {(c["n_layers"], c.get("hidden_size", 64)) for c in candidates} == {(1, 64), (2, 64), (2, 256)}
    assert space.dimensions["gamma"] == Float(0.97, 0.9999, "one_minus_log")
    assert load_space("dqn_rlzoo").dimensions["n_layers"] == Fixed(2)
