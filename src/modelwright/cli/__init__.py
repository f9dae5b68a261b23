"""The command line: one file per command group; libraries are loaded by the command that needs them."""

from modelwright.cli.main import main

__all__ = ["main"]
