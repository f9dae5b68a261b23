"""Where tasks of black-box search come from: a harness that a variable names, or our own functions.

The harness is a folder with ``tasks`` (a package: ``suite(name, split)``, ``get_task(id)``), ``reference.py``
(reference values of a task), ``results`` (``refs.json`` and the runs of peers) and ``data``. It is only read.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from modelwright._base.seeds import generator
from support.black_box import Asked, space_from_list
from support.regret import Scale

__all__ = ["VARIABLE", "BuiltIn", "Harness", "Runs", "Source"]

VARIABLE = "MODELWRIGHT_BENCH_SEARCH"

Runs = dict[str, dict[str, dict[int, list[float]]]]
"""Optimizer -> task -> seed -> losses in order."""

_RANDOM = 30_000  # configurations that a reference stands on
_GENERATIONS, _POPULATION = 80, 200
_BUILT_IN_AT = (10, 25, 50, 100, 200)


class Source(Protocol):
    """Tasks, what they are measured by, and what peers reach on them."""

    def suite(self, name: str) -> list[str]:
        """Return the tasks of a suite that are open to developers."""

    def losses(
        self, task: str, optimizer: str, options: dict[str, Any], seed: int, budget: int
    ) -> list[float]:
        """Return the losses of one run of an optimizer of ours."""

    def peers(self) -> Runs:
        """Return the stored runs of peers."""

    def scale(self, task: str, lowest: float) -> Scale | None:
        """Return what a task is measured by, `lowest` the best loss in any run; None where none is known."""


class BuiltIn:
    """The functions of ``benchmarks/search_quality.py``; no peer has stored runs on them."""

    def suite(self, name: str) -> list[str]:
        from search_quality import PROBLEMS

        return [f"ours/{problem}" for problem in PROBLEMS]

    def losses(
        self, task: str, optimizer: str, options: dict[str, Any], seed: int, budget: int
    ) -> list[float]:
        from search_quality import PROBLEMS

        problem = PROBLEMS[task.partition("/")[2]]
        asked = Asked(problem.space, seed, optimizer, options)
        found = []
        for _ in range(budget):
            config = asked.suggest()
            found.append(float(problem.loss(config)))
            asked.observe(config, found[-1])
        return found

    def peers(self) -> Runs:
        return {}

    def scale(self, task: str, lowest: float) -> Scale | None:
        from search_quality import PROBLEMS

        problem = PROBLEMS[task.partition("/")[2]]
        configs = problem.space.sample_many(generator(0, "scale"), _RANDOM // 10)
        drawn = np.sort([problem.loss(config) for config in configs])
        # The best of n is above a quantile q of single draws with the chance (1 - q)^n.
        medians = {n: float(np.quantile(drawn, 1 - 0.5 ** (1 / n))) for n in _BUILT_IN_AT}
        return Scale(min(problem.optimum, lowest), medians)


class Harness:
    """The tasks of a harness.

    Parameters
    ----------
    folder : Path
        Where it is.
    cache : Path
        Where reference values go that the harness lacks.
    """

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder
        self._cache = cache / "refs.json"
        os.environ.setdefault("YAHPO_DATA", str(folder / "data"))
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
        stored = folder / "results" / "refs.json"
        self._refs: dict[str, Any] = json.loads(stored.read_text()) if stored.exists() else {}
        if self._cache.exists():
            self._refs = {**json.loads(self._cache.read_text()), **self._refs}

    def suite(self, name: str) -> list[str]:
        import tasks

        return list(tasks.suite(name, "open"))

    def losses(
        self, task: str, optimizer: str, options: dict[str, Any], seed: int, budget: int
    ) -> list[float]:
        known = _task(task)
        asked = Asked(space_from_list(known.space.to_json()), seed, optimizer, options)
        found = []
        for _ in range(budget):
            config = asked.suggest()
            found.append(float(known.evaluate(known.space.strip(config))))
            asked.observe(config, found[-1])
        return found

    def peers(self) -> Runs:
        runs: Runs = defaultdict(lambda: defaultdict(dict))
        for path in sorted((self.folder / "results").glob("bb-*.jsonl.gz")):
            for line in _lines(path):
                of_task = runs[line["optimizer"]][line["task"]]
                if len(line["values"]) > len(of_task.get(line["seed"], [])):
                    of_task[line["seed"]] = line["values"]
        return runs

    def scale(self, task: str, lowest: float) -> Scale | None:
        if task.startswith("sk/"):
            return None  # training is too slow for a reference
        if task not in self._refs:
            self._refs[task] = self._find_reference(task)
        found = self._refs[task]
        known = [found[key] for key in ("best_random", "best_polished", "fopt") if found[key] is not None]
        return Scale(min(lowest, *known), {int(n): value for n, value in found["median_best"].items()})

    def _find_reference(self, task: str) -> dict[str, Any]:
        from reference import reference

        print(f"reference values of {task}: once, into {self._cache}", file=sys.stderr, flush=True)
        found = reference(_task(task), _RANDOM, _GENERATIONS, _POPULATION)
        kept = json.loads(self._cache.read_text()) if self._cache.exists() else {}
        self._cache.parent.mkdir(parents=True, exist_ok=True)
        self._cache.write_text(json.dumps({**kept, task: found}, indent=0, sort_keys=True))
        return dict(found)


@lru_cache(maxsize=4)
def _task(task: str) -> Any:
    import tasks

    return tasks.get_task(task)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") as file:
        yield from map(json.loads, file)
