"""All requests on studies by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelwright.server.studies import asking, study, trials
from modelwright.server.studies.actions import Action

__all__ = ["ACTIONS"]

ACTIONS: Mapping[str, Sequence[Action]] = {
    "studies": study.ACTIONS,
    "trials": trials.ACTIONS,
    "ask and tell": asking.ACTIONS,
}
"""By the part of the description that they stand in."""
