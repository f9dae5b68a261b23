"""Immutable values that the ledger, the optimizers and the engine pass to one another."""

from modelwright.records.history import History
from modelwright.records.outcomes import OutcomeConstraint
from modelwright.records.proposal import Exhausted, Proposal, Ticket, Wait
from modelwright.records.states import FailureKind, StudyState, TrialState
from modelwright.records.study import Budget, Component, Objective, SearchSettings, StudySpec
from modelwright.records.table import TrialTable
from modelwright.records.trial import Artifact, Failure, Outcome, Provenance, Report, Trial

__all__ = [
    "Artifact",
    "Budget",
    "Component",
    "Exhausted",
    "Failure",
    "FailureKind",
    "History",
    "Objective",
    "Outcome",
    "OutcomeConstraint",
    "Proposal",
    "Provenance",
    "Report",
    "SearchSettings",
    "StudySpec",
    "StudyState",
    "Ticket",
    "Trial",
    "TrialState",
    "TrialTable",
    "Wait",
]
