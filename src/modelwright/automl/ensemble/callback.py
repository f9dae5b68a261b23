"""Ensembles built beside the search: one build at a time, whenever there is a new model."""

from __future__ import annotations

import time
from typing import Any

from modelwright._base.clock import now_us
from modelwright.automl.ensemble.builder import build_ensemble
from modelwright.automl.ensemble.gathering import Gathering
from modelwright.automl.folder import RunFolder
from modelwright.automl.ledger_feed import FinishedTrials
from modelwright.automl.prepare import Prepared
from modelwright.execution import EndKind, Job, Limits, Task
from modelwright.records import Trial, TrialState
from modelwright.storage.base import EnsembleRecord
from modelwright.study import Callback, Runner

__all__ = ["BUILT_FROM", "EnsembleCallback"]

BUILT_FROM = "ensemble_built_from"
"""Attribute of a run's study: how many complete trials have been looked at for its ensemble."""

_LEASE_S = 6.0  # a killed process keeps the right to build for so long
_LOOK_S = 1.0  # how often the ledger is searched for new models, and the lease prolonged
_LAST_BUILD_S = 60.0  # without a deadline, how long the last build may take
_MOST_FAILURES = 3
_GATHER_S = 0.05  # how often it is asked in the end whether files have come


class EnsembleCallback(Callback):
    """Submits builds to the run's helper slot, under a lease: of several processes one builds.

    Parameters
    ----------
    folder : RunFolder
        Where bundles are published.
    prepared : Prepared
        The encoded table.
    memory_mb : float
        Limit of a build.
    until_s : float, optional
        When the last build has to be over, on the monotonic clock.
    seed : int
        For the choice among equals.

    Attributes
    ----------
    score : float, optional
        Of the published ensemble.
    trouble : str
        Why the last build failed; empty where it did not.
    """

    def __init__(
        self,
        folder: RunFolder,
        prepared: Prepared,
        *,
        memory_mb: float,
        until_s: float | None,
        seed: int,
    ) -> None:
        self._folder = folder
        self._prepared = prepared
        self._memory_mb = memory_mb
        self._until_s = until_s
        self._seed = seed
        self._complete: list[Trial] = []  # those whose files are here, or known to be nowhere
        self._built_from = 0  # how many complete trials the last build knew of
        self._builds = 0
        self._failures = 0
        self._job: Job | None = None
        self._next_look_s = 0.0
        self._loss: float | None = None
        self._rows = 0  # on how many rows the published one was judged
        self.score: float | None = None
        self.trouble = ""

    def on_start(self, run: Runner) -> None:
        """Take over the ensemble that an earlier session published."""
        self._study_id = run.study.record.id
        self._storage = run.study.storage
        self._worker = run.worker_id
        self._sign = run.study.objectives[0].sign
        self._finished = FinishedTrials(self._storage, self._study_id)
        self._files = Gathering(self._storage, self._study_id, self._folder)
        self._read_published()

    def on_tick(self, run: Runner) -> None:
        """Collect a build that is over, and start one if there is a new model."""
        if self._job is not None and self._job.done:
            self._collect(self._job)
        now = time.monotonic()
        if now < self._next_look_s:
            return
        self._next_look_s = now + _LOOK_S
        if self._job is not None:
            self._storage.lease_ensemble(self._study_id, self._worker, _LEASE_S)
        else:
            self._submit(run)

    def on_end(self, run: Runner, reason: str) -> None:
        """Build once more from all there is, as long as the time allows."""
        now = time.monotonic()
        until = now + _LAST_BUILD_S if self._until_s is None else self._until_s
        if reason != "interrupted":
            if self._job is not None:
                self._finish(run, until)
            while self._gather((time.monotonic() + until) / 2) and time.monotonic() < until:
                self._submit_when_free(run, min(until, time.monotonic() + _LEASE_S + _LOOK_S))
                if self._job is None:
                    break
                self._finish(run, until)
                if self.trouble:
                    break
            if self._built_from > int(run.study.user_attrs.get(BUILT_FROM, 0)):
                self._storage.set_user_attrs(self._study_id, {BUILT_FROM: self._built_from})
        self._files.close()
        self._storage.release_ensemble(self._study_id, self._worker)

    def _gather(self, until: float) -> bool:
        """Wait for files that are on their way; return whether there is something to build from."""
        behind = self._is_behind()
        while self._files.busy and time.monotonic() < until:
            time.sleep(_GATHER_S)
            behind = self._is_behind()
        return behind

    def _finish(self, run: Runner, until: float) -> None:
        assert self._job is not None
        while not run.wait(self._job, min(_LOOK_S, max(0.0, until - time.monotonic()))):
            self._storage.lease_ensemble(self._study_id, self._worker, _LEASE_S)
            if time.monotonic() >= until:
                self._job.cancel("time is up")
                run.wait(self._job, 1.0)
                break
        if self._job.done:
            self._collect(self._job)

    def _submit_when_free(self, run: Runner, until: float) -> None:
        """Start the last build; wait where another process has the right to, which may be dead."""
        while not self._submit(run) and self._is_behind() and time.monotonic() < until:
            time.sleep(0.1)
            self._read_published()

    def _is_behind(self) -> bool:
        """Whether there are models that the published ensemble does not know of."""
        self._files.add(trial for trial in self._finished.take() if trial.state is TrialState.COMPLETE)
        self._complete += self._files.take()
        return len(self._complete) > self._built_from and self._failures < _MOST_FAILURES

    def _submit(self, run: Runner) -> bool:
        """Start a build if there is something to build from, and no other process may."""
        if not self._is_behind() or self._files.bringing_models:
            return False
        if not self._storage.lease_ensemble(self._study_id, self._worker, _LEASE_S):
            return False
        self._read_published()
        if not self._is_behind():  # another process has been faster
            return False
        known = len(self._complete)
        candidates = sorted(filter(self._files.is_usable, self._complete), key=lambda trial: trial.number)
        if not candidates:
            self._built_from = known
            return False
        self._builds += 1
        argument = {
            "run": str(self._folder.path),
            "data": str(self._folder.data),
            "candidates": [self._candidate(trial) for trial in candidates],
            "best_loss": self._loss,
            "best_rows": self._rows,
            "seed": self._seed,
        }
        task = Task(
            f"ensemble-{self._builds}",
            build_ensemble,
            argument,
            self._folder.path / "ensemble",
            Limits(memory_mb=self._memory_mb, grace_s=0.5),
            role="helper",
        )
        self._job = run.submit_helper(task)
        self._job.attrs["candidates"] = known
        return True

    def _read_published(self) -> None:
        """Learn of the newest ensemble, whoever built it."""
        records = self._storage.ensembles(self._study_id)
        if records and self._folder.bundle.exists():
            self.score = records[-1].score
            self._loss = self.score * self._sign
            self._rows = int(records[-1].metrics.get("rows", 0))
            self._built_from = max(self._built_from, int(records[-1].metrics.get("candidates", 0)))

    def _candidate(self, trial: Trial) -> dict[str, Any]:
        metrics = trial.metrics
        names = ("cv_mean", "cv_std", "test_score", "fit_s", "predict_s", "size_bytes")
        return {
            "number": trial.number,
            "folder": str(self._folder.trial(trial.number, trial.fence)),
            "loss": trial.values[0] * self._sign,
            "has_models": self._files.has_models(trial),
            "info": {"params": dict(trial.params or {}), **{name: metrics.get(name) for name in names}},
        }

    def _collect(self, job: Job) -> None:
        assert job.end is not None
        self._job = None
        if job.end.kind is not EndKind.RESULT:
            # The search goes on without; a build that fails again and again is not tried for ever.
            if job.end.kind is not EndKind.CANCELLED:
                self._failures += 1
                self.trouble = (
                    job.end.error.message if job.end.error else job.end.detail or job.end.kind.value
                )
            return
        self._failures, self.trouble = 0, ""
        result = job.end.result
        if missing := result.get("missing"):
            self._files.bring_models(missing)  # and build again when they are here
            return
        self._built_from = job.attrs["candidates"]
        if result.get("unchanged"):
            return
        self._loss, self.score = result["loss"], result["score"]
        self._rows = int(result["metrics"].get("rows", 0))
        record = EnsembleRecord(
            iteration=len(self._storage.ensembles(self._study_id)) + 1,
            members=[(number, weight) for number, weight in result["members"]],
            score=result["score"],
            location=result["location"],
            metrics={**result["metrics"], "candidates": job.attrs["candidates"]},
            created_us=now_us(),
        )
        self._storage.add_ensemble(self._study_id, self._worker, record)
