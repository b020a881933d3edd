"""A gallery of levels, from levels that can be told apart."""

import numpy as np
import pytest

from autorl.analysis.gallery import draw_level, gallery_figure, gallery_rows
from autorl.analysis.style import new_figure
from autorl.environments.maze.level import level_from_text
from autorl.environments.maze.points import MazePoints

TEXT = ".#.\n>.#\n..G"


def point(number):
    return [float(number)]


FOUND = {
    "played": [[{"point": point(10 * k + s), "return": k / 20} for s in range(3)] for k in range(20)],
    "scored": [{"point": point(500), "scores": 0.25}],
    "replayed": [{"point": point(600), "visits": 12.0}],
}


def test_rows_are_parts_of_the_training_and_what_is_held_at_the_end():
    rows = gallery_rows(FOUND, lambda one: str(int(one[0])), 1_000_000)
    titles = [row["title"] for row in rows]
    assert titles[:5] == ["to step 200 k", "to step 400 k", "to step 600 k", "to step 800 k", "to step 1 M"]
    assert [one["text"] for one in rows[1]["levels"]] == ["40", "50", "60", "70", "41", "51"], (
        "every interval has its turn"
    )
    assert rows[1]["levels"][0]["caption"] == "return 0.20"
    assert [one["levels"] for one in rows[5:]] == [
        [{"text": "500", "caption": "score 0.25"}],
        [{"text": "600", "caption": "episodes 12"}],
    ]
    assert len(gallery_rows({**FOUND, "scored": [], "replayed": []}, str, 1000)) == 5
    assert gallery_rows({**FOUND, "played": [[]] * 20}, lambda one: "", 1000)[0]["levels"] == []


def test_a_level_is_drawn_as_it_is():
    points = MazePoints(3, 2)
    assert points.text(np.asarray(points.point(level_from_text(TEXT)))) == TEXT
    _, (axis,) = new_figure(2)
    draw_level(axis, TEXT)
    walls, _, goal, agent = axis.patches
    inside = [[walls.get_path().contains_point((column, row)) for column in range(3)] for row in range(3)]
    np.testing.assert_array_equal(inside, [[0, 1, 0], [0, 0, 1], [0, 0, 0]])
    assert axis.get_ylim() == (2.5, -0.5), "rows grow downwards"
    assert goal.get_xy() == pytest.approx((2 - 0.4, 2 - 0.4))
    assert agent.xy == (0, 1)


@pytest.mark.parametrize(("way", "corner"), [(">", (1, 0)), ("v", (0, 1)), ("<", (-1, 0)), ("^", (0, -1))])
def test_the_agent_looks_its_way(way, corner):
    _, (axis,) = new_figure(2)
    draw_level(axis, f"...\n.{way}.\n..G")
    agent = axis.patches[-1]
    corners = agent.get_patch_transform().transform(agent.get_path().vertices[:3]) - (1, 1)
    # rows grow downwards; a single corner lies that way, the other two behind
    ahead = corners @ np.array(corner)
    assert sorted(np.round(ahead, 3)) == [-0.25, -0.25, 0.5]


def test_the_figure_has_a_place_for_every_level():
    figure = gallery_figure(gallery_rows(FOUND, lambda one: TEXT, 1000), "maze")
    assert len(figure.axes) == 7 * 6
    assert sum(bool(axis.patches) for axis in figure.axes) == 5 * 6 + 2
    empty = gallery_figure([{"title": "to step 1", "levels": []}], "maze")
    assert [text.get_text() for axis in empty.axes for text in axis.texts] == ["no episode was learned from"]
