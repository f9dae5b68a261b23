"""How good our optimizers are beside the stored results of peers: normalised regret, with 95 % intervals.

    MODELWRIGHT_BENCH_SEARCH=/path/to/harness python benchmarks/search_suite.py [--optimizers auto,gp]
        [--suite core,bb-small,xgb] [--budget 50] [--seeds 3] [--jobs 2] [--out runs.jsonl]
    ... --ablate 'gp;gp:n_startup=3;gp:default_first=False'

The regret of a run is 0 at the best known loss and 1 at what random search has after as many evaluations.
Means are over tasks of the mean over seeds; intervals come from resampling seeds within tasks. A peer that
has run on part of a suite's tasks stands with their number, and is compared with ours on these alone.

`--ablate` compares variants, an optimizer with options each, by paired differences from the first of them.
`--out` keeps the runs in a file and takes from it what is there. Without the harness, whose layout
`support/search_tasks.py` describes, our own functions are the tasks, and there are no peers.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import sys
from collections import defaultdict
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from support.regret import Mean, PerTask, Scale, mean_over_tasks, paired_difference
from support.search_tasks import VARIABLE, BuiltIn, Harness, Runs, Source
from threadpoolctl import threadpool_limits

AT = {"core": (10, 25, 50), "bb-small": (25, 50, 100, 200)}
OTHER_AT = (10, 25, 50, 100, 200)
GOALS = {
    "core": {10: 0.80, 25: 0.36, 50: 0.22},
    "bb-small": {25: 0.36, 50: 0.23, 100: 0.17, 200: 0.14},
    "xgb": {50: 0.35},
}
BEATEN_AT = 50
ENOUGH_TASKS = 0.5  # of those that the widest of the peers has run on; with less none is called the best


def source() -> Source:
    """Return the harness that the variable names, or what there is without one."""
    folder = os.environ.get(VARIABLE)
    if not folder:
        return BuiltIn()
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "modelwright-bench-search"
    return Harness(Path(folder).expanduser().resolve(), cache)


def parsed(variant: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the options of ``name:key=value,...``."""
    name, _, rest = variant.partition(":")
    options = {}
    for pair in filter(None, rest.split(",")):
        key, _, text = pair.partition("=")
        try:
            options[key] = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            options[key] = text
    return name, options


def run(job: tuple[str, str, int, int]) -> dict[str, Any]:
    """Return one run of a variant as a line of the file of runs."""
    variant, task, seed, budget = job
    name, options = parsed(variant)
    with threadpool_limits(1):
        losses = source().losses(task, name, options, seed, budget)
    return {"optimizer": variant, "task": task, "seed": seed, "values": losses}


def find_runs(variants: list[str], tasks: list[str], arguments: argparse.Namespace) -> Runs:
    """Return the runs of our variants, from the file and anew."""
    runs: Runs = defaultdict(lambda: defaultdict(dict))
    out = Path(arguments.out) if arguments.out else None
    for line in map(json.loads, out.read_text().splitlines()) if out and out.exists() else []:
        runs[line["optimizer"]][line["task"]][line["seed"]] = line["values"]
    seeds = range(arguments.seeds)
    jobs = [
        (variant, task, seed, arguments.budget)
        for seed in seeds
        for task in tasks
        for variant in variants
        if len(runs[variant][task].get(seed, [])) < arguments.budget
    ]
    with get_context("spawn").Pool(arguments.jobs) as pool:
        for done, line in enumerate(pool.imap_unordered(run, jobs), 1):
            runs[line["optimizer"]][line["task"]][line["seed"]] = line["values"]
            if out:
                with out.open("a") as file:
                    file.write(json.dumps(line) + "\n")
            if done % 20 == 0 or done == len(jobs):
                print(f"\r{done} of {len(jobs)} runs", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {
        variant: {task: {s: r for s, r in runs[variant][task].items() if s in seeds} for task in tasks}
        for variant in variants
    }


class Table:
    """Regrets of our variants and of peers.

    Parameters
    ----------
    ours, peers : Runs
        By optimizer.
    scales : dict of str to Scale
        By task; tasks without one are left out.
    """

    def __init__(self, ours: Runs, peers: Runs, scales: dict[str, Scale]) -> None:
        self.ours, self.peers = ours, peers
        self._runs, self._scales = {**peers, **ours}, scales

    def regrets(self, optimizer: str, tasks: list[str], n: int) -> PerTask:
        """Return an optimizer's regrets after `n` evaluations on those of `tasks` that it has run on."""
        found: dict[str, dict[int, float]] = defaultdict(dict)
        for task in tasks:
            for seed, losses in self._runs[optimizer].get(task, {}).items():
                regret = self._scales[task].regret(losses, n) if task in self._scales else None
                if regret is not None:
                    found[task][seed] = regret
        return found

    def show(self, suite: str, tasks: list[str], budget: int) -> None:
        """Print the means of all who have run on tasks of a suite."""
        at = [n for n in AT.get(suite, OTHER_AT) if n <= budget]
        print(f"\n{suite}: {len(tasks)} open tasks; mean normalised regret [95 % interval]")
        print(f"{'':28}" + "".join(f"{f'n = {n}':>30}" for n in at))
        for optimizer in self._runs:
            means = [mean_over_tasks(self.regrets(optimizer, tasks, n)) for n in at]
            if any(means):
                title = optimizer if optimizer in self.ours else f"({optimizer})"
                print(f"{title:28}" + "".join(f"{told(mean, len(tasks)):>30}" for mean in means))
        goals = GOALS.get(suite, {})
        if any(n in goals for n in at):
            print(f"{'goal':28}" + "".join(f"{goals.get(n, ''):>30}" for n in at))

    def best_peer(self, tasks: list[str], n: int) -> str | None:
        """Return the peer with the lowest mean among those that have run on enough of the tasks."""
        found = {
            peer: mean
            for peer in self.peers
            if not peer.startswith("random") and (mean := mean_over_tasks(self.regrets(peer, tasks, n)))
        }
        enough = ENOUGH_TASKS * max((mean.tasks for mean in found.values()), default=0)
        known = {peer: mean.mean for peer, mean in found.items() if mean.tasks >= enough}
        return min(known, key=lambda peer: known[peer]) if known else None

    def show_beside_the_best(self, groups: dict[str, list[str]], n: int) -> None:
        """Print for each group of tasks the best peer, and our regret by its own on the same tasks."""
        print(f"\nours / best peer at n = {n}, on the tasks that it has run on")
        print(f"{'':20}{'best peer':>24}" + "".join(f"{variant:>24}" for variant in self.ours))
        for group, tasks in groups.items():
            peer = self.best_peer(tasks, n)
            if peer is None:
                continue
            theirs = self.regrets(peer, tasks, n)
            least = mean_over_tasks(theirs)
            assert least is not None
            cells = []
            for variant in self.ours:
                mean = mean_over_tasks(self.regrets(variant, list(theirs), n))
                ratio = f" = {mean.mean / least.mean:.2f}x" if mean and least.mean > 0 else ""
                cells.append(f"{mean.mean:.3f}{ratio}" if mean else "-")
            title = f"{peer} {least.mean:.3f} ({least.tasks})"
            print(f"{group:20}{title:>24}" + "".join(f"{text:>24}" for text in cells))

    def show_beaten(self, tasks: list[str], n: int) -> None:
        """Print on which share of the tasks each variant is better than random search."""
        print(f"\nbetter than random search at n = {n}, share of tasks (goal of auto: 95 %)")
        for variant in self.ours:
            means = {task: sum(s.values()) / len(s) for task, s in self.regrets(variant, tasks, n).items()}
            worse = ", ".join(task for task, mean in means.items() if mean >= 1)
            share = sum(mean < 1 for mean in means.values()) / max(1, len(means))
            print(f"{variant:28}{share:8.0%} of {len(means)}" + (f"; not on {worse}" if worse else ""))

    def show_differences(self, tasks: list[str], at: list[int]) -> None:
        """Print each variant's mean, and its paired difference from the first."""
        variants = list(self.ours)
        width = max(28, *(len(variant) + 2 for variant in variants))
        print(f"\n{len(tasks)} tasks; mean normalised regret, difference from the first (standard error)")
        print(f"{'':{width}}" + "".join(f"{f'n = {n}':>30}" for n in at))
        for variant in variants:
            cells = []
            for n in at:
                regrets = self.regrets(variant, tasks, n)
                mean = mean_over_tasks(regrets)
                text = f"{mean.mean:.3f}" if mean else "-"
                if variant != variants[0]:
                    by, error, _ = paired_difference(regrets, self.regrets(variants[0], tasks, n))
                    text += f" {by:+.3f} ({error:.3f})"
                cells.append(text)
            print(f"{variant:{width}}" + "".join(f"{text:>30}" for text in cells))


def told(mean: Mean | None, tasks: int) -> str:
    """Return a mean with its interval, and with the number of tasks if these are not all."""
    if mean is None:
        return "-"
    some = f" ({mean.tasks} t.)" if mean.tasks < tasks else ""
    return f"{mean.mean:.3f} [{mean.low:.2f}, {mean.high:.2f}]{some}"


def family(task: str) -> str:
    """Return the group of tasks that one belongs to."""
    kind, _, name = task.partition("/")
    return f"{kind}-{name.split('-')[1]}" if kind.startswith("bbob") else kind


def all_losses(runs: Runs, task: str) -> Iterator[float]:
    """Yield all losses on a task."""
    for by_task in runs.values():
        for losses in by_task.get(task, {}).values():
            yield from losses


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--optimizers", default="gp,forest,tpe,cmaes,random")
    parser.add_argument("--suite", default="core,bb-small,xgb")
    parser.add_argument("--budget", type=int, default=50)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", default="", help="a file that keeps the runs")
    parser.add_argument("--ablate", default="", help="variants, separated by semicolons")
    arguments = parser.parse_args()
    found = source()
    if isinstance(found, BuiltIn):
        print(f"{VARIABLE} names no harness: tasks are the functions of search_quality.py, without peers.")
        arguments.suite = "ours"
    variants = arguments.ablate.split(";") if arguments.ablate else arguments.optimizers.split(",")
    suites = {name: found.suite(name) for name in arguments.suite.split(",")}
    tasks = list(dict.fromkeys(task for ids in suites.values() for task in ids))
    peers = {f"{name}, stored" if name in variants else name: runs for name, runs in found.peers().items()}
    ours = find_runs(variants, tasks, arguments)
    lowest = {task: min([*all_losses(peers, task), *all_losses(ours, task)]) for task in tasks}
    scales = {task: scale for task in tasks if (scale := found.scale(task, lowest[task])) is not None}
    table = Table(ours, peers, scales)
    if arguments.ablate:
        table.show_differences(tasks, [n for n in OTHER_AT if n <= arguments.budget])
        return
    for name, ids in suites.items():
        table.show(name, ids, arguments.budget)
    n = min(BEATEN_AT, arguments.budget)
    groups: dict[str, list[str]] = dict(suites)
    for task in tasks:
        groups.setdefault(f"all {family(task)}", []).append(task)
    if peers:
        table.show_beside_the_best(groups, n)
    table.show_beaten(tasks, n)


if __name__ == "__main__":
    main()
