"""Several workers ask at once: no two get the same configuration, unless a repeat is welcome."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from modelwright import Categorical, Float, Int, Space, Study
from modelwright.optimizers.base import Abilities
from modelwright.records import History, Proposal, Ticket, TrialState
from modelwright.storage import MemoryStorage
from modelwright.storage.base import Claim
from modelwright.testing.audit import audit

SLOW = """
import time
from modelwright.optimizers.base import Abilities
from modelwright.records import Proposal

class Slow:
    '''Takes its time, and then proposes what stands next on a list that is the same for all.'''

    abilities = Abilities()

    def __init__(self, space, objectives, *, deterministic=False):
        self.space = space

    def ask(self, history, tickets):
        seen = {config["n"] for config in [*history.configs, *history.pending]}
        time.sleep(0.02)
        free = min(n for n in range(100_000) if n not in seen)
        return [Proposal({"n": free}, "the next one") for _ in tickets]
"""

SCRIPT = """
import sys
from modelwright import Int, Space, Study

study = Study(
    Space(n=Int(0, 100_000)), storage=sys.argv[1], name="s", seed=1, deterministic=True,
    optimizer="slow.py:Slow", load_if_exists=True,
)
study.run(lambda trial: float(trial.params["n"]), trials=40, executor="inline")
"""


SERVERS = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("postgresql", "mysql")]


@pytest.mark.parametrize("kind", ["sqlite", *SERVERS])
def test_eight_processes_never_get_the_same_configuration(
    kind: str, tmp_path: Path, start_script: Callable[..., Any], new_database: Callable[[str], str]
) -> None:
    url = f"sqlite:///{tmp_path / 'hub.db'}" if kind == "sqlite" else new_database(kind)
    (tmp_path / "slow.py").write_text(textwrap.dedent(SLOW))
    for run in [start_script(SCRIPT, url) for _ in range(8)]:
        _, errors = run.communicate(timeout=200)
        assert (run.returncode, errors) == (0, "")
    study = Study.load("s", storage=url)
    proposed = [trial.params["n"] for trial in study.trials]
    assert len(proposed) == len(set(proposed)) == 40
    audit(study.storage, study.record.id)
    study.close()


class Stubborn:
    """Proposes the same, whatever it sees."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.abilities = Abilities()
        self.asked = 0

    def ask(self, history: History, tickets: Sequence[Ticket]) -> list[Proposal]:
        self.asked += 1
        return [Proposal(self.params, "always") for _ in tickets]


def make(space: Space, proposal: dict[str, Any], **options: Any) -> tuple[Study, Stubborn]:
    study = Study(space, **{"seed": 1, "deterministic": True, "optimizer": "random", **options})
    optimizer = Stubborn(proposal)
    study._proposer._optimizer = optimizer  # type: ignore[assignment]
    study._proposer._optimizer_space = study.space
    return study, optimizer


def test_who_is_refused_five_times_draws_at_random() -> None:
    study, optimizer = make(Space(x=Float(0, 1)), {"x": 0.5})
    first = study.ask()
    assert (first.params, optimizer.asked) == ({"x": 0.5}, 1)
    second = study.ask()
    assert second.params != first.params
    assert optimizer.asked == 7
    assert study.trials[1].reason == "random: trial 0 was quicker with what was chosen"


def test_a_space_that_is_used_up_ends_though_the_optimizer_knows_nothing_of_it() -> None:
    study, _ = make(Space(k=Categorical("a", "b", "c")), {"k": "a"})
    study.run(lambda trial: 1.0, trials=9, executor="inline")
    assert sorted(t.params["k"] for t in study.trials) == ["a", "b", "c"]
    assert study.record.closed == "all 3 tried"


@pytest.mark.parametrize("options", [{"deterministic": False}, {"reproducible": True}])
def test_repeats_are_not_refused_where_they_are_welcome_or_timing_plays_no_part(
    options: dict[str, Any],
) -> None:
    study, optimizer = make(Space(n=Int(0, 9)), {"n": 3}, **options)
    study.run(lambda trial: 1.0, trials=3, executor="inline")
    assert [t.params["n"] for t in study.trials] == [3, 3, 3]
    assert optimizer.asked == 3


def test_without_determinism_only_what_runs_at_this_moment_is_refused() -> None:
    study, optimizer = make(Space(x=Float(0, 1)), {"x": 0.5}, deterministic=False)
    first = study.ask()
    second = study.ask()
    assert (first.params, optimizer.asked) == ({"x": 0.5}, 1 + 6)
    assert second.params != first.params
    study.tell(first, 1.0)
    assert study.ask().params == {"x": 0.5}
    assert optimizer.asked == 1 + 6 + 1


def test_an_optimizer_that_follows_a_list_is_asked_on() -> None:
    study, optimizer = make(Space(x=Float(0, 1)), {"x": 0.5})
    optimizer.abilities = Abilities(learns=False)
    study.ask()
    assert study.ask().params == {"x": 0.5}  # it has nothing else
    assert optimizer.asked == 1 + 11
    assert study.trials[1].reason == "always; may be a repeat"


def test_a_ledger_that_refuses_all_gets_a_repeat_in_the_end() -> None:
    class Refuses(MemoryStorage):
        def propose(self, *arguments: Any, unique: bool = False) -> int | None:
            return 0 if unique else super().propose(*arguments)

    study, _ = make(Space(x=Float(0, 1)), {"x": 0.5}, storage=Refuses())
    study.ask()
    assert study.trials[0].reason.endswith("may be a repeat")


def test_a_lost_trial_gives_its_configuration_free() -> None:
    study, optimizer = make(Space(x=Float(0, 1)), {"x": 0.5}, max_attempts=1)
    trial = study.ask()
    (worker,) = study.storage.workers(study.record.id)
    study.storage.forfeit(worker.id, "gone")
    claim = study.storage.claim(study.record.id, "other", "c", 60.0)
    assert isinstance(claim, Claim)
    assert claim.number != trial.number
    assert study._proposer.propose(claim) == {"x": 0.5}
    assert optimizer.asked == 2
    assert study.trials[0].state is TrialState.FAILED
