"""`modelwright fit`: search, ensemble, save."""

from __future__ import annotations

import sys
from pathlib import Path
from time import monotonic
from typing import Annotated, Any

import typer

from modelwright.cli.options import (
    AddressOption,
    ExecutorOption,
    TrialCpuOption,
    TrialDiskOption,
    TrialOutputOption,
    TrialTimeoutOption,
)

__all__ = ["EXAMPLE", "fit"]

EXAMPLE = "Example: modelwright fit data.csv --target class --time 60"

# Written out, since the libraries that know them take long to load; a test holds them to the truth.
_METRICS = (
    "Classes: accuracy, balanced_accuracy, cohen_kappa, log_loss, brier; two classes: roc_auc, f1, ap, mcc; "
    "more: rank_accuracy, f1_micro, f1_macro, roc_auc_micro, roc_auc_macro; "
    "numbers: rmse, mse, mae, medae, r2, msle."
)
_METHODS = "lgbm, et, rf, logreg, ridge, knn, dt"

_REPORT_S = 1.0  # what loading the plots and writing the file take at least


def fit(
    table: Annotated[str, typer.Argument(help="CSV or Parquet file to learn from.", show_default=False)],
    target: Annotated[str, typer.Option(help="Column to predict.", show_default=False)],
    time: Annotated[
        str | None,
        typer.Option(help="Time for the whole run: seconds, or like 90s, 10m, 2h.", show_default="60"),
    ] = None,
    trials: Annotated[
        str | None, typer.Option(help="Models to try in all, instead of or within the time.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help=f"What to optimize; by the kind of target by default. {_METRICS}")
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="binary, multiclass or regression; found out by default.")
    ] = None,
    seed: Annotated[int, typer.Option(help="All randomness derives from it.")] = 0,
    out: Annotated[str | None, typer.Option(help="Folder of the run.", show_default="runs/<table>")] = None,
    test: Annotated[str | None, typer.Option(help="Table with the target, for the test score.")] = None,
    holdout: Annotated[
        float,
        typer.Option(help="Share of rows set aside for the test score without --test; 0 uses all rows."),
    ] = 0.2,
    methods: Annotated[
        str | None,
        typer.Option(help=f"Methods to search, separated by commas: {_METHODS}, or method files."),
    ] = None,
    selector: Annotated[
        str,
        typer.Option(
            help="Who picks the partition: uniform, ucb1, bestk, hieralg, or path/to/file.py:Class."
        ),
    ] = "bestk",
    tuner: Annotated[
        str,
        typer.Option(
            help="Who picks its numbers: tpe, gp, forest, cmaes, de, evolution, random, quasirandom, or "
            "path/to/file.py:Class."
        ),
    ] = "tpe",
    folds: Annotated[int | None, typer.Option(help="Cross-validation folds; 1 for a holdout.")] = None,
    memory: Annotated[
        str | None, typer.Option(help="Limit for each trial: megabytes, or like 500MB, 4GB.")
    ] = None,
    trial_timeout: TrialTimeoutOption = None,
    trial_cpu: TrialCpuOption = None,
    trial_output: TrialOutputOption = None,
    trial_disk: TrialDiskOption = None,
    jobs: Annotated[str | None, typer.Option(help="Trials at a time.", show_default="one per core")] = None,
    executor: ExecutorOption = "local",
    address: AddressOption = "",
    storage: Annotated[str | None, typer.Option(help="Ledger elsewhere than in the run's folder.")] = None,
    new: Annotated[bool, typer.Option("--new", help="Start afresh in a new numbered folder.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but the result.")] = False,
) -> None:
    """Find the best model for a table in the time given, and save it.

    The same command again resumes a run that was interrupted; in a second terminal it joins in.
    """
    from modelwright.cli.amounts import parse_count, parse_megabytes, parse_seconds

    settings: dict[str, Any] = {
        "target": target,
        "time_s": parse_seconds("--time", time),
        "trials": parse_count("--trials", trials),
        "metric": metric,
        "task": task,
        "seed": seed,
        "holdout": holdout,
        "selector": selector,
        "tuner": tuner,
        "folds": folds,
        "memory_mb": parse_megabytes("--memory", memory),
        "trial_timeout_s": parse_seconds("--trial-timeout", trial_timeout),
        "trial_cpu_s": parse_seconds("--trial-cpu", trial_cpu),
        "trial_output_mb": parse_megabytes("--trial-output", trial_output),
        "trial_disk_mb": parse_megabytes("--trial-disk", trial_disk),
        "executor": executor,
        "address": address,
        "jobs": parse_count("--jobs", jobs) or 0,
    }
    if methods is not None:
        settings["methods"] = tuple(name.strip() for name in methods.split(",") if name.strip())
    from modelwright.automl.fit import fit_table
    from modelwright.automl.settings import FitSettings
    from modelwright.cli.leaderboard import show_result
    from modelwright.cli.process import process_start_s
    from modelwright.cli.progress import make_progress

    with make_progress(quiet=quiet or json) as progress:
        result = fit_table(
            table,
            FitSettings(**settings),
            out=None if out is None else Path(out),
            test=test,
            storage=storage,
            new=new,
            progress=progress,
            started_s=process_start_s(),
        )
        if result.reason != "complete" or not result.folder.report.exists():
            _write_report(result, progress)
    show_result(result.folder.path, as_json=json, reason=result.reason, quiet=quiet)
    sys.stdout.flush()


def _write_report(result: Any, progress: Any) -> None:
    """Write the report where plotly is there to draw it and there is time; a fit without it is as good."""
    from importlib.util import find_spec

    folder = result.folder
    if find_spec("plotly") is None or not folder.bundle.exists():
        return
    if result.until_s is not None and 0 < result.until_s - monotonic() < _REPORT_S:
        progress.note(f"no time was left for the report; `modelwright report {folder.path}` writes it.")
        return
    from modelwright.automl.reporting import collect_report
    from modelwright.visualization import write_report

    write_report(folder.report, collect_report(folder.path))
