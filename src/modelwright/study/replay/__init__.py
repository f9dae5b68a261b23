"""Replay: each proposal of a study, recomputed from its log and compared with the ledger.

A proposal is a function of the study's seed, the trial's number and what the optimizer could see, and each
one keeps the revision of the ledger that it saw. So the ledger as it was then is put together from its rows
and events (`story`, `past`), the optimizer is asked once more (`recompute`), and what it answers has to be
what the ledger holds. Rows are also compared with what events said when they were written (`rows`).
"""

from modelwright.study.replay.check import replay
from modelwright.study.replay.report import Difference, LoggedProposal, Replay

__all__ = ["Difference", "LoggedProposal", "Replay", "replay"]
