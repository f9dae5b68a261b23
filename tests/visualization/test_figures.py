"""Each figure shows the numbers that it was given, and names as plain text."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelwright.analysis import Confusion, Residuals, ScoreHistory
from modelwright.visualization import (
    confusion_figure,
    history_figure,
    importance_figure,
    residuals_figure,
)
from modelwright.visualization._figure import plain

HOSTILE = '<a href="https://example.org">x</a>'


def form_of(figure: Any) -> Any:
    """Return a figure as a browser would get it."""
    return json.loads(figure.to_json())


def test_confusion_shows_counts_and_shares() -> None:
    form = form_of(confusion_figure(Confusion(("no", HOSTILE), ((8, 2), (0, 0)))))
    (heat,) = form["data"]
    assert heat["text"] == [[8, 2], [0, 0]]
    assert heat["texttemplate"] == "%{text}"
    assert heat["z"] == [[0.8, 0.2], [0, 0]]
    assert form["layout"]["xaxis"]["ticktext"] == ["no", plain(HOSTILE)]
    assert form["layout"]["yaxis"]["autorange"] == "reversed"


def test_many_classes_are_drawn_without_numbers() -> None:
    k = 40
    counts = tuple(tuple(int(i == j) for j in range(k)) for i in range(k))
    (heat,) = form_of(confusion_figure(Confusion(tuple(map(str, range(k))), counts)))["data"]
    assert "texttemplate" not in heat


def test_two_labels_that_look_alike_stay_two_rows() -> None:
    long = "x" * 100
    form = form_of(confusion_figure(Confusion((long + "1", long + "2"), ((1, 0), (0, 1)))))
    assert form["data"][0]["y"] == [0, 1]


def test_residuals_lie_over_predictions() -> None:
    form = form_of(residuals_figure(Residuals((1.0, 4.0), (2.0, 3.0), 2, 0.0, 1.0, 1.0)))
    (points,) = form["data"]
    assert points["x"] == [2.0, 3.0]
    assert points["y"] == [-1.0, 1.0]
    (line,) = form["layout"]["shapes"]
    assert line["y0"] == 0
    assert line["line"]["width"] > 0  # the template's is 0


def test_history_has_a_colour_per_method_and_two_lines() -> None:
    history = ScoreHistory(
        numbers=(4, 2, 3),
        groups=("rf", HOSTILE, "rf"),
        elapsed_s=(1.0, 2.0, 3.0),
        scores=(0.5, 0.7, 0.6),
        best=(0.5, 0.7, 0.7),
        ensemble_elapsed_s=(2.5,),
        ensemble_scores=(0.8,),
    )
    form = form_of(history_figure(history, metric=HOSTILE))
    by_name = {trace["name"]: trace for trace in form["data"]}
    assert list(by_name) == ["rf", plain(HOSTILE), "best so far", "ensemble"]
    assert by_name["rf"]["x"] == [1.0, 3.0]
    assert by_name["rf"]["customdata"] == [4, 3]
    assert by_name["best so far"]["y"] == [0.5, 0.7, 0.7]
    assert by_name["ensemble"]["y"] == [0.8]
    assert form["layout"]["yaxis"]["title"]["text"] == plain(HOSTILE)


def history_of(scores: list[float]) -> ScoreHistory:
    n = len(scores)
    times = tuple(map(float, range(n)))
    return ScoreHistory(tuple(range(n)), ("rf",) * n, times, tuple(scores), tuple(scores))


def test_a_score_far_off_does_not_flatten_the_history() -> None:
    usual = [0.90 + 0.01 * (place % 5) for place in range(20)]
    layout = form_of(history_figure(history_of([*usual, 0.1, 1e9]), metric="accuracy"))["layout"]
    low, high = layout["yaxis"]["range"]
    assert 0.85 < low < min(usual)
    assert max(usual) < high < 1
    assert "2 more far off" in layout["xaxis"]["title"]["text"]


@pytest.mark.parametrize(
    "scores", [[0.1, 0.9], [0.5] * 30, [0.5] * 29 + [0.9], [place / 30 for place in range(30)]]
)
def test_scores_that_lie_together_are_all_in_range(scores: list[float]) -> None:
    layout = form_of(history_figure(history_of(scores), metric="accuracy"))["layout"]
    assert "range" not in layout["yaxis"]
    assert "far off" not in layout["xaxis"]["title"]["text"]


def test_importances_are_the_largest_in_order() -> None:
    form = form_of(importance_figure([(f"c{i}", float(i)) for i in range(30)] + [(HOSTILE, 99.0)], most=3))
    (bars,) = form["data"]
    assert bars["x"] == [99.0, 29.0, 28.0]
    assert form["layout"]["yaxis"]["ticktext"] == [plain(HOSTILE), "c29", "c28"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("<script>", "&lt;script&gt;"),
        ("a & b", "a &amp; b"),
        ("two\nlines\t", "two lines"),
        ("<" * 50, "&lt;" * 39 + "…"),
        (7, "7"),
    ],
)
def test_text_is_shown_as_it_stands(text: object, shown: str) -> None:
    assert plain(text) == shown
