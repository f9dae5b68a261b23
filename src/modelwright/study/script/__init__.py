"""Trials in any language: a command as an objective, and the handle of a trial in a script of its own."""
