"""The page about the interface names every request."""

from __future__ import annotations

from pathlib import Path

from modelwright.server.studies.table import ACTIONS
from modelwright.storage.http.routes import routes

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "http.md"


def test_every_request_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    actions = [action for table in ACTIONS.values() for action in table]
    requests = [(item.verb, item.path, item.summary) for item in [*actions, *routes().values()]]
    for verb, path, summary in requests:
        assert f"| `{f'{verb} {path}'.strip()}` | {summary.rstrip(';,')} |" in page
    assert page.count("\n| `") == len(requests) + 5  # the greeting, and those of files
