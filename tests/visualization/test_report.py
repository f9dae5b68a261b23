from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from modelwright.analysis import Confusion, ModelRow, Note, ReportData, Residuals, ScoreHistory
from modelwright.errors import MissingDependencyError
from modelwright.visualization import _page, report_html, write_report

DATA = ReportData(
    title="houses",
    created="2030-01-01 12:00",
    task="binary",
    target="sold",
    metric="roc_auc",
    direction="maximize",
    models=[
        ModelRow(1, "ensemble", 0.91234567, partition="3 models"),
        ModelRow(2, "lgbm-12", 0.9, 0.012, 0.89, 1.25, 0.01, 2_340_000, "lgbm"),
    ],
    ensemble_score=0.91234567,
    test_score=0.9,
    dummy_score=0.5,
    trials={"complete": 12, "failed": 1, "waiting": 0},
    history=ScoreHistory((0,), ("lgbm",), (1.5,), (0.9,), (0.9,)),
    confusion=Confusion(("no", "yes"), ((8, 2), (1, 9))),
    judged_on="test rows",
    importances=[("rooms", 0.7), ("size", 0.3)],
    rows=1234,
    columns={"number": 3, "category": 1, "date": 0},
    notes=[Note("warning", "id", "looks like a row number")],
    failures=[Note("error", "7", "memory: 4.1 GB of 4 GB")],
    settings={"seed": "0"},
    versions={"numpy": "2.0"},
)


class Reader(HTMLParser):
    """Reads a page as a browser would: elements with their attributes, text, and scripts apart."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.scripts: list[str] = []
        self._inside = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside != "style":
            self.text.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


@pytest.fixture(scope="module")
def page() -> Reader:
    return Reader(report_html(DATA))


def test_all_sections_are_there_in_order(page: Reader) -> None:
    headings = [
        "Leaderboard",
        "Confusion matrix",
        "History",
        "Importance of the columns",
        "Data",
        "Trials that failed",
        "Settings",
        "Versions",
    ]
    places = [page.text.index(heading) for heading in headings]
    assert places == sorted(places)


def test_the_figures_are_those_of_the_data(page: Reader) -> None:
    assert "Binary: predicting 'sold', judged by roc_auc (larger is better)." in page.words
    assert "Trials: 12 complete, 1 failed." in page.words
    assert "0.9 best single model 0.91235 ensemble 0.9 on test rows 0.5 a constant guess" in page.words
    assert "2 lgbm-12 0.9 0.012 0.89 1.25 0.01 2.34 MB lgbm" in page.words
    assert "on test rows: 17 of 20 rows are right" in page.words
    assert "1,234 rows, 4 columns: 3 number, 1 category." in page.words
    assert "warning id looks like a row number" in page.words
    assert "7 memory: 4.1 GB of 4 GB" in page.words


def test_values_have_residuals_instead() -> None:
    page = Reader(
        report_html(
            dataclasses.replace(
                DATA,
                task="regression",
                confusion=None,
                residuals=Residuals((1.0, 2.0), (1.5, 1.0), 9, -0.25, 0.1, 0.5),
            )
        )
    )
    assert "Residuals" in page.text
    assert "Confusion matrix" not in page.text
    assert "half of 9 rows are off by 0.5 or less" in page.words
    assert "0.25 below the predicted ones" in page.words
    assert "The plot shows 2 of them." in page.words


def test_an_empty_run_still_has_a_report() -> None:
    bare = ReportData("houses", "today", "regression", "price", "rmse", "minimize", models=())
    page = Reader(report_html(bare))
    assert "No model was found." in page.text
    assert page.scripts == []


def test_plots_reach_the_page_as_data(page: Reader) -> None:
    plots = [json.loads(script) for script in page.scripts[:-2]]
    assert [plot["data"][0]["type"] for plot in plots] == ["heatmap", "scatter", "bar"]
    names = [attributes["data-plot"] for attributes in page.all("script")[:-2]]
    assert names == ["plot-0", "plot-1", "plot-2"]
    assert set(names) <= {attributes.get("id") for attributes in page.all("div")}


def test_the_library_is_inside_once(page: Reader) -> None:
    assert [len(script) > 1_000_000 for script in page.scripts].count(True) == 1


def test_nothing_is_fetched_and_only_our_scripts_run(page: Reader) -> None:
    for tag, attributes in page.elements:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form", "img")
        assert not set(attributes) & {"src", "href", "action", "srcset", "background"}
        assert not [name for name in attributes if name.startswith("on")]
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv"))
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'nonce-")
    nonce = re.search(r"'nonce-([\w-]+)'", policy)
    assert nonce is not None
    for attributes in page.all("script"):
        assert attributes.get("type") == "application/json" or attributes["nonce"] == nonce[1]


def test_no_button_offers_to_send_a_plot_away(page: Reader) -> None:
    draw = page.scripts[-1]
    assert 'plotlyServerURL: ""' in draw
    assert 'modeBarButtonsToRemove: ["sendChartToCloud"]' in draw


def test_names_of_models_are_not_broken(page: Reader) -> None:
    assert [cell.get("class") for cell in page.all("th")][:3] == ["number", "name", "number"]
    assert len([cell for cell in page.all("td") if cell.get("class") == "name"]) == len(DATA.models)


def test_each_page_has_a_nonce_of_its_own() -> None:
    bare = dataclasses.replace(DATA, history=None, confusion=None, importances=())
    first, second = report_html(bare), report_html(bare)
    assert first != second
    assert re.sub(r"nonce-[\w-]+", "", first) == re.sub(r"nonce-[\w-]+", "", second)


HOSTILE = [
    "<script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "<svg onload=alert(1)>",
    "<!--<script>",
    "$title ${nonce} $$",
    "javascript:alert(1)",
    "[link](data:text/html,x)",
    "\u2028 \ud83d\ude00 \x00",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text_wherever_it_comes_from(text: str) -> None:
    def hostile(value: Any) -> Any:
        """Return `value` with each text in it replaced."""
        if isinstance(value, str):
            return text
        if isinstance(value, list | tuple):
            return type(value)(hostile(item) for item in value)
        if isinstance(value, dict):
            return {text if isinstance(key, str) else key: hostile(item) for key, item in value.items()}
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            changed = {item.name: hostile(getattr(value, item.name)) for item in dataclasses.fields(value)}
            return dataclasses.replace(value, **changed)
        return value

    clean, page = Reader(report_html(DATA)), Reader(report_html(hostile(DATA)))
    tags = [tag for tag, _ in page.elements]
    counted = {tag: tags.count(tag) for tag in ("script", "img", "svg", "div", "table", "h1")}
    expected = [tag for tag, _ in clean.elements]
    assert counted == {tag: expected.count(tag) for tag in counted}
    assert page.scripts[-2:] == clean.scripts[-2:]
    for script in page.scripts[:-2]:
        json.loads(script)
        assert "<" not in script
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]


def test_the_file_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_report(tmp_path / "report.html", DATA)
    older = path.read_bytes()
    assert Reader(older.decode()).words
    monkeypatch.setattr(Path, "replace", lambda self, target: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        write_report(path, DATA)
    assert path.read_bytes() == older
    assert [found.name for found in tmp_path.iterdir()] == ["report.html"]


def test_a_name_that_is_no_text_does_not_stop_the_report(tmp_path: Path) -> None:
    path = write_report(tmp_path / "report.html", dataclasses.replace(DATA, title="caf\udce9.csv"))
    assert "caf?.csv" in Reader(path.read_text(encoding="utf-8")).text


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(module: str, *, extra: str, feature: str) -> Any:
        raise MissingDependencyError(f"{feature} needs {module}", hint=f'pip install "modelwright[{extra}]"')

    monkeypatch.setattr(_page, "require", missing)
    with pytest.raises(MissingDependencyError, match=r"modelwright\[plot\]"):
        report_html(DATA)
