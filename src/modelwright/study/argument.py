"""What a trial is told when it starts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from modelwright._base.seeds import seed_for
from modelwright.records import StudySpec
from modelwright.storage.base import Claim

__all__ = ["trial_argument"]


def trial_argument(
    spec: StudySpec,
    claim: Claim,
    params: Mapping[str, Any],
    user_attrs: Mapping[str, Any],
    *,
    folder: Path | None = None,
    resume_from: Path | None = None,
    own_process: bool = False,
    grace_s: float = 2.0,
) -> dict[str, Any]:
    """Return the argument that `RunningTrial` is made of.

    Parameters
    ----------
    spec, claim
        Of the study, and of the attempt.
    params, user_attrs : mapping
        The trial's.
    folder : Path, optional
        The attempt's own, which need not exist.
    resume_from : Path, optional
        The checkpoint to go on from.
    own_process : bool
        Whether it runs in a process of its own, which a keeper ends with all that it has started.
    grace_s : float
        How long it may go on after it was asked to go.
    """
    return {
        "study": spec.name,
        "number": claim.number,
        "params": dict(params),
        "seed": seed_for(spec.seed, claim.number, "trial"),
        "attempt": claim.attempts,
        "fidelity": claim.fidelity,
        "user_attrs": dict(user_attrs),
        "objectives": [{"name": item.name, "direction": item.direction} for item in spec.objectives],
        "folder": None if folder is None else str(folder),
        "resume_from": None if resume_from is None else str(resume_from),
        "own_process": own_process,
        "grace_s": grace_s,
    }
