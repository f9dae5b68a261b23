"""Bad input to the command line: one clear error, exit code 2, no stack trace, nothing left behind."""

from __future__ import annotations

import os
import re
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

GOOD = "a,b,y\n" + "\n".join(f"{i},{i % 7},{'yes' if i % 2 else 'no'}" for i in range(40)) + "\n"


def fit_line(*options: str, trials: str = "1", methods: str = "dt") -> list[str]:
    """Return a line with these settings, but for those that `options` name."""
    usual = {"--target": "y", "--trials": trials, "--methods": methods}
    given = (word for name, value in usual.items() if name not in options for word in (name, value))
    return ["fit", "t.csv", *given, *options]


def write(text: str | bytes) -> Callable[[Path], None]:
    def into(folder: Path) -> None:
        data = text.encode() if isinstance(text, str) else text
        (folder / "t.csv").write_bytes(data)

    return into


def a_folder(folder: Path) -> None:
    (folder / "t.csv").mkdir()


TABLES: dict[str, tuple[Callable[[Path], None], str]] = {
    "no such file": (lambda folder: None, "t.csv"),
    "empty file": (write(""), "empty"),
    "only a header": (write("a,b,y\n"), "row"),
    "a directory": (a_folder, "t.csv"),
    "not a table": (write(bytes(range(256)) * 40), "binary"),
    "a picture": (write(b"\x89PNG\r\n\x1a\n" + bytes(range(200)) * 9), "PNG"),
    "one column": (write("y\n" + "yes\nno\n" * 20), "column"),
    "missing target": (write(GOOD.replace("a,b,y", "a,b,yy")), "'yy'"),
    "target all missing": (write("a,b,y\n" + "1,2,\n" * 20), "'y'"),
    "target of one class": (write("a,b,y\n" + "1,2,yes\n" * 20), "class"),
    "two rows": (write("a,b,y\n1,2,yes\n3,4,no\n"), "rows"),
    "header with duplicates": (write(GOOD.replace("a,b,y", "a,a,y")), "'a'"),
    "ragged rows": (write(GOOD + "1,2,yes,4\n"), "line 42"),
    "NUL bytes": (write(GOOD.encode() + b"1,\x00,yes\n"), "NUL"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_cannot_be_learned_from(tmp_path: Path, command: Callable, name: str) -> None:
    make, words = TABLES[name]
    make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    command(*fit_line()).refuses(words)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--time", "0"], "--time"),
        (["--time", "banana"], "--time"),
        (["--time", "-5"], "--time"),
        (["--time", "nan"], "--time"),
        (["--trials", "0"], "--trials"),
        (["--trials", "1e3"], "--trials"),
        (["--trials", "٣"], "--trials"),
        (["--memory", "lots"], "--memory"),
        (["--holdout", "1"], "holdout"),
        (["--metric", "magic"], "magic"),
        (["--metric", "rmse"], "rmse"),
        (["--methods", "magic"], "magic"),
        (["--methods", ","], "method"),
        (["--methods", "none.json"], "none.json"),
        (["--selector", "magic"], "magic"),
        (["--selector", "best"], "selector to be one of uniform, ucb1, bestk, hieralg, or 'path"),
        (["--tuner", "magic"], "magic"),
        (["--tuner", "grid"], "tuner to be one of auto, random, quasirandom, tpe, hyperopt, gp, spearmint, "),
        (["--tuner", "sequence"], "tuner"),
        (["--tuner", "partitions"], "tuner"),
        (["--tuner", "manual"], "tuner"),
        (["--task", "magic"], "magic"),
        (["--test", "none.csv"], "none.csv"),
        (["--seed", "-1"], "seed"),
        (["--folds", "0"], "folds"),
        (["--jobs", "-1"], "jobs"),
        (["--jobs", "0"], "--jobs to be a whole number of at least 1, got '0'"),
        (["--storage", "banana"], "banana"),
        (["--storage", "oracle://x"], "oracle"),
        (["--storage", "memory://"], "memory://"),
        (["--storage", "sqlite:///no/such/hub.db"], "no/such"),
    ],
    ids=str,
)
def test_an_option_that_makes_no_sense(
    tmp_path: Path, command: Callable, table: str, options: list[str], words: str
) -> None:
    command(*fit_line(*options)).refuses(words)
    assert list(tmp_path.iterdir()) == [tmp_path / table]


def test_an_unknown_option_or_command_names_the_nearest(command: Callable, table: str) -> None:
    done = command(*fit_line("--tiem", "5"))
    assert done.code == 2
    assert "--time" in done.err
    done = command("predikt")
    assert done.code == 2
    assert "predict" in done.err


def test_debug_shows_the_stack(script: Callable) -> None:
    done = script(*fit_line("--debug"))
    assert done.code != 0
    assert "Traceback" in done.err
    assert "Traceback" not in script(*fit_line()).err


def test_a_closed_pipe_is_no_error(tmp_path: Path) -> None:
    code = f"set -o pipefail; {sys.executable} -m modelwright fit --help | head -1"
    done = subprocess.run(["bash", "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


# what looks bad, and works --------------------------------------------------------------------------------


def many_columns() -> bytes:
    names = [f"c{i}" for i in range(5000)]
    rows = [",".join(str((i * j) % 11) for i in range(5000)) + f",{j % 2}" for j in range(24)]
    return ("\n".join([",".join([*names, "y"]), *rows]) + "\n").encode()


ODD_NUMBERS = GOOD + "1e308,inf,yes\n-1e308,-inf,no\n1e999,nan,yes\nmany,3,no\n,,yes\n"
NAMES = GOOD.replace("yes", "größer").replace("no", "kleiner")

ACCEPTED: dict[str, tuple[bytes, str]] = {
    "5,000 columns": (many_columns(), "450 more columns"),
    "latin-1": (NAMES.encode("latin-1"), "read as cp1252"),
    "UTF-16": (NAMES.encode("utf-16"), "read as utf-16"),
    "1e308, inf and text among numbers": (ODD_NUMBERS.encode(), ""),
    "a class seen once": ((GOOD + "3,3,perhaps\n").encode(), "perhaps"),
}


@pytest.mark.parametrize("name", ACCEPTED)
def test_a_table_that_is_odd_and_good_enough(tmp_path: Path, command: Callable, name: str) -> None:
    content, words = ACCEPTED[name]
    write(content)(tmp_path)
    done = command(*fit_line("--folds", "1"))
    assert done.code == 0, done.err
    assert words in done.err
    assert "Traceback" not in done.err
    assert (tmp_path / "runs/t/bundle/manifest.json").exists()
    if name == "5,000 columns":
        return  # predicting reads them once more, which takes seconds and shows nothing new
    done = command("predict", "runs/t", "t.csv")
    assert done.code == 0, done.err
    lines = (tmp_path / "predictions.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("y,probability_")


# the run's folder -----------------------------------------------------------------------------------------


def test_a_budget_that_is_used_up_is_no_error(tmp_path: Path, command: Callable, finished: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True, symlinks=True)
    before = (tmp_path / "runs/t/report.html").stat().st_mtime_ns
    done = command("fit", "t.csv", "--target", "y", "--trials", "4", "--methods", "dt,knn")
    assert done.code == 0
    assert "complete: all 4 trials are done" in done.err
    assert "--trials 8" in done.err
    assert len(done.out.splitlines()) == 1 + 5  # four models and their ensemble, below a header
    assert (tmp_path / "runs/t/report.html").stat().st_mtime_ns == before
    assert not (tmp_path / "runs/t-2").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--seed", "1"], "seed is 0 there, 1 here"),
        (["--metric", "accuracy"], "metric"),
        (["--holdout", "0.5"], "holdout"),
        (["--methods", "dt"], "methods"),
        (["--storage", "sqlite:///other.db"], "other.db"),
    ],
    ids=str,
)
def test_other_settings_in_the_same_folder(
    tmp_path: Path, command: Callable, finished: Path, options: list[str], words: str
) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True, symlinks=True)
    done = command(*fit_line(*options, trials="9", methods="dt,knn"))
    done.refuses(words)
    assert "--new" in done.err
    assert trials_of(tmp_path / "runs/t/ledger.db") == trials_of(finished / "runs/t/ledger.db")


def trials_of(ledger: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(f"file:{ledger}?mode=ro", uri=True) as connection:
        rows = connection.execute("SELECT number, state, attempts, params, value FROM trials ORDER BY 1")
        found = rows.fetchall()
    connection.close()
    return found


def test_other_data_in_the_same_folder_and_new(tmp_path: Path, command: Callable, finished: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True, symlinks=True)
    (tmp_path / "t.csv").write_text(GOOD.replace("0,0,no", "1,0,no"))
    done = command(*fit_line("--methods", "dt,knn"))
    done.refuses("other data")
    assert "--new" in done.err
    done = command(*fit_line("--new", "--folds", "1"))
    assert done.code == 0, done.err
    assert (tmp_path / "runs/t-2/bundle/manifest.json").exists()


@pytest.mark.parametrize("place", ["taken.txt", "taken.txt/run", "full"])
def test_a_folder_that_is_not_free(tmp_path: Path, command: Callable, table: str, place: str) -> None:
    (tmp_path / "taken.txt").write_text("mine")
    (tmp_path / "full").mkdir()
    (tmp_path / "full/precious.txt").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    done = command(*fit_line("--out", place))
    done.refuses(place.split("/")[0])
    assert "--out" in done.err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_damaged_or_newer_run(tmp_path: Path, command: Callable, table: str) -> None:
    folder = tmp_path / "runs/t"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text("{")
    command(*fit_line()).refuses("damaged")
    (folder / "run.json").write_text('{"format": 99, "version": "9.9"}')
    command(*fit_line()).refuses("9.9")
    assert [path.name for path in folder.iterdir()] == ["run.json"]


@pytest.mark.parametrize("line", [["leaderboard", "none"], ["report", "none"], ["predict", "none", "t.csv"]])
def test_a_run_that_is_not_there(command: Callable, table: str, line: list[str]) -> None:
    command(*line).refuses("none")


def test_the_folder_of_all_runs_is_not_a_run(tmp_path: Path, command: Callable) -> None:
    for name in ("one", "two"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_text("{}")
    for line in (["leaderboard", "runs"], ["report", "runs"]):
        command(*line).refuses("'runs' holds no run. Did you mean 'runs/one' or 'runs/two'?")


@pytest.mark.parametrize(
    ("place", "words"), [("no/r.html", "'no', which does not exist"), ("runs", "folder")]
)
def test_a_place_that_takes_no_report(
    tmp_path: Path, command: Callable, finished: Path, place: str, words: str
) -> None:
    (tmp_path / "runs").mkdir()
    done = command("report", str(finished / "runs/t"), "-o", place)
    done.refuses(words)
    assert "-o" in done.err


def test_a_run_without_any_model(tmp_path: Path, command: Callable, table: str) -> None:
    (tmp_path / "own.py").write_text("class Never:\n    def fit(self, X, y): raise ValueError('never')\n"
                                     "    def predict(self, X): return X\n")  # fmt: skip
    (tmp_path / "own.json").write_text(
        '{"name": "own", "class": "own.py:Never", "task": ["binary"], "hyperparameters": {},'
        ' "root_hyperparameters": [], "conditions": {}}'
    )
    done = command("fit", table, "--target", "y", "--trials", "2", "--methods", "own.json")
    assert done.code == 1
    assert "no model was found: all trials failed (1 error)" in done.err
    assert "studies show t --storage sqlite:///" in done.err
    assert "Traceback" not in done.err


# storages -------------------------------------------------------------------------------------------------


def a_foreign_database(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY)")
    connection.close()


def a_newer_ledger(path: Path) -> None:
    from modelwright.storage import open_storage

    open_storage(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE modelwright_version SET version_num = '9999'")
    connection.close()


STORAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "not a database": (lambda path: path.write_bytes(b"no database, whatever its name " * 99), "database"),
    "foreign tables": (a_foreign_database, "customers"),
    "newer version": (a_newer_ledger, "newer"),
    "a folder": (lambda path: path.mkdir(), "folder"),
}


@pytest.mark.parametrize("name", STORAGES)
@pytest.mark.parametrize("line", [fit_line(), ["studies", "list"]], ids=["fit", "studies"])
def test_a_storage_that_cannot_be_used(
    tmp_path: Path, command: Callable, table: str, name: str, line: list[str]
) -> None:
    make, words = STORAGES[name]
    path = tmp_path / "hub.db"
    make(path)
    content = path.read_bytes() if path.is_file() else b""
    command(*line, "--storage", "sqlite:///hub.db").refuses(words)
    assert (path.read_bytes() if path.is_file() else b"") == content
    assert sorted(tmp_path.iterdir()) == [path, tmp_path / table]


def test_a_storage_that_is_not_there_is_not_made_by_looking(tmp_path: Path, command: Callable) -> None:
    command("studies", "list", "--storage", "sqlite:///hub.db").refuses("hub.db")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write to files that are read-only")
def test_a_storage_that_is_read_only(tmp_path: Path, command: Callable, table: str) -> None:
    from modelwright.storage import open_storage

    open_storage(tmp_path / "hub.db").close()
    (tmp_path / "hub.db").chmod(0o444)
    command(*fit_line("--storage", "sqlite:///hub.db")).refuses("read-only")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("limit_kb", [1, 40, 400])
def test_a_disk_that_is_full(tmp_path: Path, script: Callable, limit_kb: int) -> None:
    # No file may grow beyond the limit: first the table's copy fails, then the ledger, then the report.
    rows = "\n".join(f"{i / 7},{i % 13},{i % 5 / 3},{'yes' if i % 2 else 'no'}" for i in range(400))
    (tmp_path / "t.csv").write_text(f"a,b,c,y\n{rows}\n")
    size = limit_kb * 1024
    done = script(
        *fit_line("--folds", "1"), before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
    )
    done.refuses("")
    assert "[E_OS]" in done.err or "[E_DB_" in done.err
    if limit_kb == 40:  # with room again, the same command goes on
        done = script(*fit_line("--folds", "1"))
        assert done.code == 0, done.err
        assert (tmp_path / "runs/t/bundle/manifest.json").exists()


# predict --------------------------------------------------------------------------------------------------


def predict(command: Callable, finished: Path, folder: Path, text: str) -> object:
    (folder / "new.csv").write_text(text)
    return command("predict", str(finished / "runs/t"), "new.csv")


def test_columns_that_are_missing_or_hold_other_things(
    tmp_path: Path, command: Callable, finished: Path
) -> None:
    predict(command, finished, tmp_path, "a\n1\n2\n").refuses("'b'")
    predict(command, finished, tmp_path, "a,b\n1,red\n2,green\n3,blue\n").refuses("'b'")
    assert not (tmp_path / "predictions.csv").exists()


def test_columns_that_are_more_or_in_another_order(tmp_path: Path, command: Callable, finished: Path) -> None:
    assert predict(command, finished, tmp_path, "a,b\n3,3\n4,4\n").code == 0
    plain = (tmp_path / "predictions.csv").read_text()
    done = predict(command, finished, tmp_path, "b,extra,a\n3,x,3\n4,y,4\n")
    assert done.code == 0
    assert "extra" in done.err
    assert (tmp_path / "predictions.csv").read_text() == plain


def test_a_bundle_with_a_changed_file(tmp_path: Path, command: Callable, finished: Path) -> None:
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True, symlinks=True)
    bundle = (tmp_path / "runs/t/bundle").resolve()
    model = next(
        path for path in sorted(bundle.rglob("*")) if path.is_file() and path.name != "manifest.json"
    )
    model.write_bytes(model.read_bytes() + b" ")
    command("predict", "runs/t", "t.csv").refuses(model.name)
    assert not (tmp_path / "predictions.csv").exists()


def test_a_place_for_predictions_that_does_not_exist(
    tmp_path: Path, command: Callable, finished: Path, table: str
) -> None:
    command("predict", str(finished / "runs/t"), table, "-o", "no/such/out.csv").refuses("no/such")
    command("predict", str(finished / "runs/t"), table, "-o", table).refuses("table")
    command("predict", str(finished / "runs/t"), "none.csv").refuses("none.csv")


def test_files_of_predictions_are_checked_before_the_bundle(command: Callable, table: str) -> None:
    command("predict", "none", "absent.csv").refuses("'absent.csv' does not exist")
    command("predict", "none", ".").refuses("is a folder")
    command("predict", "none", table, "-o", "no/such/out.csv").refuses("'no/such', which does not exist")
    command("predict", "none", table).refuses("none")


# help, and objectives --------------------------------------------------------------------------------------


def test_help_tells_every_name_and_debug(command: Callable) -> None:
    from modelwright.automl.methods.catalogue import METHODS
    from modelwright.automl.metrics import all_metrics
    from modelwright.automl.selectors import SELECTORS

    words = set(re.findall(r"[a-z0-9_]+", "".join(command("fit", "--help").out.split("--holdout"))))
    metrics = {item.name for task in ("binary", "multiclass", "regression") for item in all_metrics(task)}
    tuners = {"random", "quasirandom", "tpe", "gp", "forest", "cmaes", "de", "evolution"}
    assert metrics | set(METHODS) | set(SELECTORS.names()) | tuners <= words
    assert "--debug" in command("--help").out


def test_an_objective_that_is_not_there_names_public_ones_only(tmp_path: Path, command: Callable) -> None:
    from modelwright import Float, Space, Study

    (tmp_path / "obj.py").write_text("def loss(x):\n    return x\n")
    study = Study(Space(x=Float(0, 1)), storage=tmp_path / "hub.db", name="s", seed=1, optimizer="random")
    study.run(lambda x: x, trials=1)
    done = command("studies", "resume", "s", "--objective", "obj.py:nope", "--storage", "sqlite:///hub.db")
    done.refuses("loss")
    assert "__" not in done.err
