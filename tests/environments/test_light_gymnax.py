"""gymnax is imported without what it draws with, which is there when it draws."""

import subprocess
import sys

import pytest

HEAVY = ("matplotlib.pyplot", "seaborn", "pandas", "scipy.stats")
IMPORTED = f"import sys, autorl.environments.deep_sea as d; assert not [m for m in {HEAVY} if m in sys.modules]\n"


@pytest.mark.parametrize(
    "then",
    [
        "import matplotlib.pyplot as p, matplotlib; assert matplotlib.pyplot is p and p.plot",
        "import seaborn, inspect; assert type(seaborn) is type(sys) and seaborn.color_palette('cubehelix', 3)",
        "import inspect, gymnax.environments.misc.pong as g; inspect.getmodule(g.Pong); assert 'seaborn' not in sys.modules\n"
        "assert len(g.sns.color_palette('cubehelix', 3)) == 3; import seaborn; assert g.sns.cm is seaborn.cm; assert g.plt.plot",
    ],
)
def test_libraries_that_draw_are_imported_when_they_are_used(then):
    subprocess.run([sys.executable, "-c", IMPORTED + then], check=True)


def test_a_library_that_is_used_at_once_is_imported_at_once():
    code = (
        "import sys\nfrom autorl.environments.light_gymnax import deferred\n"
        "with deferred('seaborn', 'matplotlib.pyplot'):\n    from matplotlib.pyplot import figure\n"
        "    import seaborn as s; s.color_palette\n"
        "assert callable(figure) and 'matplotlib.pyplot' in sys.modules and type(sys.modules['seaborn']) is type(sys)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_library_that_is_loaded_already_is_left_as_it_is():
    import matplotlib.pyplot

    from autorl.environments.light_gymnax import deferred

    with deferred("matplotlib.pyplot", "no_such_library"):
        import no_such_library

        assert sys.modules["matplotlib.pyplot"] is matplotlib.pyplot
    assert "no_such_library" not in sys.modules
    with pytest.raises(ImportError):
        print(no_such_library.anything)
