"""Stand-ins for CARL and Syllabus where they are not installed: the parts that AutoRL builds on, with their signatures.

CARL: ``carl.context.selection.AbstractSelector`` and what ``CARLEnv`` does with it (carl-bench 1.1.1). Syllabus:
``syllabus.core.Curriculum`` (0.7). Where the packages are there, the tests use them instead.
"""

import importlib
import sys
import types
import warnings

import gymnasium
import numpy as np

SPACES = gymnasium.spaces


def installed(name):
    """Return the module ``name`` of a package that is installed, or None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(name)
    except ImportError:
        return None


TASK_SPACES = installed("syllabus.task_space")


def put(monkeypatch, modules, forget):
    """Let ``modules`` (name -> attributes) be imported, and the modules ``forget`` anew, during a test."""
    for name, attributes in modules.items():
        made = types.ModuleType(name)
        vars(made).update(attributes)
        monkeypatch.setitem(sys.modules, name, made)
    for name in forget:
        monkeypatch.delitem(sys.modules, name, raising=False)
        package, _, last = name.rpartition(".")
        monkeypatch.delattr(sys.modules[package], last, raising=False)


class AbstractSelector:
    """CARL's."""

    def __init__(self, contexts):
        self.contexts = contexts
        self.context_ids = list(np.arange(len(contexts)))
        self.contexts_keys = list(contexts.keys())
        self.n_calls = 0
        self.context_id = None

    def select(self):
        context, context_id = self._select()
        self.context_id = context_id
        self.n_calls += 1
        return context


class ContextualPendulum(gymnasium.Wrapper):
    """What CARLPendulum does with a selector: a context at each reset, set attribute by attribute where its id is another."""

    def __init__(self, context_selector):
        super().__init__(gymnasium.make("Pendulum-v1"))
        self.context_selector = context_selector

    def reset(self, *, seed=None, options=None):
        before = self.context_selector.context_id
        context = self.context_selector.select()
        if self.context_selector.context_id != before:
            for name, value in context.items():
                setattr(self.env.unwrapped, name, value)
        return self.env.reset(seed=seed, options=options)


class Curriculum:
    """Syllabus's."""

    def __init__(
        self, task_space, random_start_tasks=0, task_names=None, record_stats=False, pie_plot_interval=1
    ) -> None:
        self.task_space, self.random_start_tasks, self.completed_tasks = task_space, random_start_tasks, 0
        self.stat_recorder = None

    def update_task_progress(self, task, progress, env_id=None):
        self.completed_tasks += 1

    def update_on_episode(self, episode_return, length, task, progress, env_id=None):
        pass

    def _should_use_startup_sampling(self):
        return self.random_start_tasks > 0 and self.completed_tasks < self.random_start_tasks

    def _startup_sample(self, k=1):
        return [self.task_space.encode(self.task_space.sample()) for _ in range(k)]


class Space:
    """A task space of Syllabus: what is read of it, and tasks drawn at random."""

    def __init__(self, gym_space, flatten=False, tasks=None):
        self.gym_space, self.flatten = gym_space, flatten
        counts = getattr(gym_space, "nvec", [getattr(gym_space, "n", -1)])
        self.num_tasks = int(np.prod(counts)) if tasks is None else len(tasks)

    def sample(self):
        return self.gym_space.sample()

    def encode(self, task):
        return task


def box(low, high, dtype=np.float32):
    """Return a BoxTaskSpace."""
    low, high = np.asarray(low, dtype), np.asarray(high, dtype)
    space = SPACES.Box(low, high, dtype=dtype)
    return Space(space) if TASK_SPACES is None else TASK_SPACES.BoxTaskSpace(space)


def discrete(count):
    """Return a DiscreteTaskSpace."""
    return Space(SPACES.Discrete(count)) if TASK_SPACES is None else TASK_SPACES.DiscreteTaskSpace(count)


def multi_discrete(counts, flatten=False):
    """Return a MultiDiscreteTaskSpace."""
    if TASK_SPACES is None:
        return Space(SPACES.MultiDiscrete(counts), flatten)
    return TASK_SPACES.MultiDiscreteTaskSpace(counts, flatten=flatten)


def together(*parts, flatten=False):
    """Return a TupleTaskSpace."""
    if TASK_SPACES is None:
        for part in parts:
            part.flatten |= flatten
        return types.SimpleNamespace(task_spaces=parts, flatten=flatten, gym_space=None)
    return TASK_SPACES.TupleTaskSpace(parts, flatten=flatten)
