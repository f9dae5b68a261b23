"""Conformance suites: one per contract, run over every implementation, ours and plug-ins'."""
