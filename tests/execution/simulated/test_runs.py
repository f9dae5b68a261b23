"""Studies that run in simulated time: the engine, the runner, the optimizers and the ledger as they are."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import replace
from operator import attrgetter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from modelwright import Float, Int, Space, Study
from modelwright.errors import ModelwrightError
from modelwright.execution.simulated import (
    Distribution,
    Preemptions,
    SimulatedClock,
    SimulatedExecutor,
    Stragglers,
    sleep,
)
from modelwright.records import Component, FailureKind, TrialState
from modelwright.storage import MemoryStorage, NoClaim
from modelwright.study import Callback
from modelwright.study.worker import this_worker
from modelwright.testing.audit import audit

SPACE = Space(x=Float(0, 1), layers=Int(1, 4))
HOUR_S = 3600.0
COLUMNS = (
    *("number", "state", "params", "values", "attempts", "fence"),
    *("duration_s", "started_us", "ended_us", "user_attrs", "finished_revision"),
)


class AllFailed(Exception):  # noqa: N818 - no error of the run, but a way in which it ends
    """The run was given up since all of its trials failed."""


class Simulation:
    """A study and the places where it runs, all on one clock."""

    def __init__(self, space=SPACE, **options):
        self.clock = SimulatedClock()
        self.storage = MemoryStorage(clock=self.clock, now_us=self.clock.now_us)
        options = {"name": "simulated", "seed": 1, "optimizer": "random", **options}
        self.study = Study(space, storage=self.storage, **options)

    def run(self, function, slots, *, chance=None, **options):
        executor = SimulatedExecutor(slots, clock=self.clock, **chance or {})
        try:
            self.study.run(function, executor=executor, parallel=slots, **options)
        except ModelwrightError as error:
            raise AllFailed if error.code == "E_ALL_FAILED" else error from error
        finally:
            executor.close()
        return self

    def table(self):
        """Return all that a trial's row says, but for the worker, whose name is new in each run."""
        rows = self.storage.trials(self.study.record.id)
        return [
            (*row, None if trial.failure is None else trial.failure.kind)
            for trial, row in zip(rows, map(attrgetter(*COLUMNS), rows), strict=True)
        ]

    def check(self):
        audit(self.storage, self.study.record.id)


def value(trial):
    return (trial.params["x"] - 0.3) ** 2


def train(trial):
    """Train for up to 27 epochs of some minutes, and stop when told."""
    for epoch in range(27):
        sleep(60.0 * trial.params["layers"])
        trial.report(value(trial) + 1 / (1 + epoch), epoch)
        if trial.should_stop():
            break
    return value(trial)


ALL_CHANCE = {
    "duration": Distribution("lognormal", 600.0),
    "failures": {"error": 0.3, "memory": 0.2, "lost": 0.2},
    "stragglers": Stragglers(0.05),
    "preemptions": Preemptions(0.5),
    "seed": 7,
}


def test_days_pass_on_the_ledgers_clock_too():
    began = time.monotonic()
    simulation = Simulation(lease_s=600.0).run(
        value, 20, trials=200, chance={"duration": 24 * HOUR_S, "seed": 1}
    )
    assert time.monotonic() - began < HOUR_S
    trials = simulation.storage.trials(simulation.study.record.id)
    assert simulation.clock() == pytest.approx(240 * HOUR_S, abs=1)
    assert all(t.duration_s == 24 * HOUR_S and t.attempts == 1 for t in trials)
    assert all(t.ended_us - t.started_us == 24 * HOUR_S * 1e6 for t in trials)
    simulation.check()


def test_the_same_seed_gives_the_same_table_whatever_the_real_speed():
    def slowly(trial):
        if trial.number % 20 == 0:
            time.sleep(0.01)
        return value(trial)

    tables = [
        Simulation().run(function, 16, trials=300, chance=ALL_CHANCE).table() for function in (value, slowly)
    ]
    assert tables[0] == tables[1]
    other = {**ALL_CHANCE, "seed": 8}
    assert Simulation().run(value, 16, trials=300, chance=other).table() != tables[0]


def test_the_same_table_comes_from_another_process():
    code = (
        "import sys, hashlib; sys.path.insert(0, sys.argv[1]); import test_runs as t;"
        "print(hashlib.sha256(repr(t.a_median_run().table()).encode()).hexdigest())"
    )
    folder = __file__.rpartition("/")[0]
    answers = {
        subprocess.run(
            [sys.executable, "-c", code, folder], capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    }
    assert len(answers) == 1


def a_median_run():
    simulation = Simulation(scheduler=Component("median", {"min_trials": 5, "warmup_steps": 3}))
    chance = {"failures": {"error": 0.05}, "preemptions": Preemptions(0.05), "seed": 3}
    return simulation.run(train, 8, trials=60, chance=chance)


def test_a_scheduler_sees_reports_in_the_order_of_simulated_time():
    simulation = a_median_run()
    states = [t.state for t in simulation.storage.trials(simulation.study.record.id)]
    assert states.count(TrialState.PRUNED) >= 10
    assert states.count(TrialState.COMPLETE) >= 10
    pruned = [t for t in simulation.study.trials if t.state is TrialState.PRUNED]
    for trial in pruned:  # an epoch's time for each report, and none after the scheduler has said stop
        last = simulation.storage.reports(simulation.study.record.id, trial.number)[-1].step
        epoch_s = 60.0 * trial.params["layers"]
        assert trial.duration.total_seconds() == pytest.approx(epoch_s * (last + 1), abs=0.1)
    simulation.check()


def test_trials_that_are_slow_are_overtaken():
    ended = []
    simulation = Simulation().run(
        value,
        10,
        trials=100,
        chance={"duration": 60.0, "stragglers": Stragglers(0.1, factor=20.0), "seed": 2},
        callbacks=[lambda study, trial: ended.append(trial.number)],
    )
    assert sorted(ended) == list(range(100))
    assert ended != sorted(ended)
    assert simulation.clock() > 1200


def test_a_run_ends_at_its_time_on_the_simulated_clock():
    simulation = Simulation().run(value, 4, timeout=HOUR_S, chance={"duration": 7 * 60.0})
    assert simulation.clock() == pytest.approx(HOUR_S)
    counts = simulation.study.counts
    assert counts[TrialState.COMPLETE] == 4 * 8
    assert counts[TrialState.WAITING] == 4  # broken off, given back, no attempt spent
    simulation.check()
    simulation.run(value, 4, trials=36, chance={"duration": 7 * 60.0})
    assert simulation.study.counts[TrialState.COMPLETE] == 36
    assert all(t.attempts == 1 for t in simulation.storage.trials(simulation.study.record.id))
    simulation.check()


def test_a_budget_of_time_is_of_simulated_time():
    simulation = Simulation()
    simulation.study.set_budget(time_s=2 * HOUR_S)
    simulation.run(value, 3, chance={"duration": 1000.0})
    assert simulation.study.state.value == "complete"
    # Eight begin within 7200 s in each slot; what runs when the time is over comes to its end.
    assert simulation.study.counts[TrialState.COMPLETE] == 3 * 8
    simulation.check()


def test_trials_end_at_their_limit_of_simulated_time():
    simulation = Simulation().run(
        value, 4, trials=20, trial_timeout=90.0, chance={"duration": Distribution("exponential", 60.0)}
    )
    failed = [t for t in simulation.study.trials if t.state is TrialState.FAILED]
    assert failed
    assert {t.failure.kind for t in failed} == {FailureKind.TIMEOUT}
    assert {t.duration.total_seconds() for t in failed} == {90.0}


def test_what_fails_before_the_first_of_many_can_end_does_not_end_the_run():
    simulation = Simulation().run(
        value, 300, trials=300, chance={"duration": HOUR_S, "failures": {"error": 0.5}, "seed": 1}
    )
    failed = [t for t in simulation.study.trials if t.state is TrialState.FAILED]
    assert 50 < len(failed) < 200  # all of them in the first hour, in which nothing else happens


def test_leases_are_kept_over_trials_that_are_far_longer():
    simulation = Simulation(lease_s=10.0).run(value, 3, trials=9, chance={"duration": HOUR_S})
    assert {t.attempts for t in simulation.storage.trials(simulation.study.record.id)} == {1}
    simulation.check()


def test_a_wish_to_kill_and_to_pause_is_heard_at_the_next_renewal():
    class Steer(Callback):
        def on_trial_end(self, run, trial):
            if trial.number == 0:
                run.study.kill(1)
            if trial.number == 2:
                run.study.pause()

    def minutes(argument, rng):
        return 60.0 * (10 if argument["number"] == 1 else 1)

    simulation = Simulation().run(value, 2, trials=50, chance={"duration": minutes}, callbacks=[Steer()])
    trials = simulation.storage.trials(simulation.study.record.id)
    assert trials[1].failure.kind is FailureKind.KILLED
    assert trials[1].duration_s <= 60.0 + 15.0  # four renewals in a lease of a minute
    assert simulation.study.state.value == "paused"
    assert len(trials) < 10
    simulation.check()


def test_a_name_is_enough_for_trials_that_tell_their_time():
    study = Study(SPACE, seed=1, optimizer="random")
    study.run(train, trials=12, executor="simulated", parallel=6)
    assert [t.state for t in study.trials] == [TrialState.COMPLETE] * 12
    for trial in study.trials:
        assert trial.duration.total_seconds() == pytest.approx(27 * 60.0 * trial.params["layers"], abs=0.1)


def test_the_end_of_a_run_costs_little_however_long_its_last_trials_take(monkeypatch):
    simulation, refused, looks = Simulation(lease_s=HOUR_S), [], []
    claim = simulation.storage.claim

    def watched(*arguments):
        answer = claim(*arguments)
        refused.extend([simulation.clock()] if isinstance(answer, NoClaim) else [])
        return answer

    monkeypatch.setattr(simulation.storage, "claim", watched)
    monkeypatch.setattr(simulation.storage, "workers", lambda *_: looks.append(1) or [])
    chance = {"duration": lambda argument, rng: 100 + 50 * argument["number"]}
    simulation.run(value, 20, trials=20, chance=chance)
    # 19 trials end before the last one, at which it is asked at once; in between every two seconds.
    assert simulation.clock() == 1050.0
    assert len(refused) < 19 + 1050 / 2 + 20
    assert len(looks) == 1  # at the start; then nobody else holds a trial, so no worker may be dead


def test_the_last_trial_of_a_worker_that_died_is_taken_over_at_once():
    simulation = Simulation(lease_s=HOUR_S)
    storage, study_id = simulation.storage, simulation.study.record.id
    dead = replace(this_worker(storage), id="dead")  # of this process, and not at work
    storage.register_worker(dead)

    def function(trial):
        if trial.number == 0:
            assert storage.claim(study_id, dead.id, "its", HOUR_S).number == 2
        return value(trial)

    simulation.run(function, 2, trials=4, chance={"duration": 10.0})
    assert simulation.clock() < 60
    assert [trial.attempts for trial in storage.trials(study_id)] == [1, 1, 2, 1]


def test_an_optimizer_that_learns_runs_as_it_is():
    simulation = Simulation(optimizer="tpe", deterministic=True)
    simulation.run(value, 8, trials=80, chance=ALL_CHANCE)
    assert simulation.study.best_value < 0.01
    simulation.check()


def test_lock_step_is_the_same_whatever_the_durations():
    def configurations(seed):
        simulation = Simulation(optimizer="tpe", reproducible=True)
        chance = {"duration": Distribution("exponential", 60.0), "seed": seed}
        simulation.run(value, 4, trials=40, chance=chance)
        return [(t.number, t.params, t.values) for t in simulation.study.trials]

    assert configurations(1) == configurations(2)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    trials=st.integers(1, 60),
    slots=st.integers(1, 30),
    rates=st.dictionaries(
        st.sampled_from(["error", "memory", "exit", "signal", "lost"]), st.floats(0, 20), max_size=5
    ),
    preemptions=st.builds(Preemptions, st.floats(0, 20), st.floats(0, 1000)),
    stragglers=st.builds(Stragglers, st.floats(0, 1), st.floats(1, 50)),
    law=st.sampled_from(["fixed", "uniform", "exponential", "lognormal"]),
    breaks=st.lists(st.floats(1, 3000), max_size=3),
    retry=st.dictionaries(st.sampled_from(["error", "memory"]), st.integers(0, 2)),
    tells_itself=st.booleans(),
    limit_s=st.none() | st.floats(10, 1000),
    seed=st.integers(0, 2**32 - 1),
)
def test_whatever_fails_the_budget_is_met_exactly(
    trials, slots, rates, preemptions, stragglers, law, breaks, retry, tells_itself, limit_s, seed
):
    simulation = Simulation(lease_s=30.0, retry=retry)
    chance = {
        "duration": None if tells_itself else Distribution(law, 200.0),
        "failures": rates,
        "preemptions": preemptions,
        "stragglers": stragglers,
        "seed": seed,
    }

    def objective(trial):
        if tells_itself:
            sleep(100.0 * trial.params["layers"])
            trial.report(0.5, 1)
            sleep(10.0)
        return value(trial)

    # Some are broken off by their time, and those in which everything fails by that.
    for timeout in [*breaks, *[None] * (trials // 10 + 1)]:
        with suppress(AllFailed):
            simulation.run(
                objective, slots, trials=trials, timeout=timeout, trial_timeout=limit_s, chance=chance
            )
        simulation.check()
    found = simulation.storage.trials(simulation.study.record.id)
    assert len(found) == trials
    assert all(t.state.finished for t in found)
    assert simulation.study.state.value == "complete"
    assert all(math.isfinite(t.duration_s or 0.0) for t in found)
