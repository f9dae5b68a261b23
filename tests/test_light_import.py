"""`import modelwright` costs next to nothing, and the core needs no extra."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = ["numpy", "scipy", "pandas", "sqlalchemy", "alembic", "sklearn", "rich", "typer", "cloudpickle"]
EXTRAS = ["sklearn", "pandas", "pyarrow", "lightgbm", "xgboost", "catboost", "skops", "plotly", "torch"]
EXTRAS += ["optuna", "ConfigSpace"]


def run(code: str, folder: Path) -> str:
    """Run `code` in a fresh interpreter and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=folder, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("use", ["", "; dir(modelwright)", "; modelwright.__version__"])
def test_the_import_loads_no_library(use: str, tmp_path: Path) -> None:
    code = f"import modelwright, sys{use}; print([name for name in {HEAVY} if name in sys.modules])"
    assert run(code, tmp_path) == "[]"


def test_a_study_runs_where_no_extra_is_installed(tmp_path: Path) -> None:
    # No entries of None in sys.modules: scipy takes for loaded what has an entry.
    code = f"""
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {EXTRAS}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Missing())
from modelwright import Categorical, Float, Int, Space, Study
space = Space(x=Float(-5, 5), n=Int(1, 9), k=Categorical("a", "b"))
study = Study(space, direction="minimize", storage="sqlite:///hub.db", seed=1)
study.run(lambda trial: trial.params["x"] ** 2 + trial.params["n"], trials=5, executor="inline")
print(len(study.trials), study.best_value >= 1)
"""
    assert run(code, tmp_path).splitlines()[-1] == "5 True"


def test_the_core_loads_no_extra(tmp_path: Path) -> None:
    code = (
        "import sys; from modelwright import Float, Space, Study; Study(Space(x=Float(0, 1)));"
        f" print([name for name in {EXTRAS} if name in sys.modules])"
    )
    assert run(code, tmp_path).splitlines()[-1] == "[]"
