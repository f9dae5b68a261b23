"""What of a study could not be taken over, in words."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Notes"]

_MOST_NAMED = 5


@dataclass(slots=True)
class Notes:
    """Gathers remarks about a study and its trials; one remark about many trials is one note.

    Examples
    --------
    >>> notes = Notes()
    >>> notes.on_study("renamed")
    >>> for number in (3, 4):
    ...     notes.on_trial(number, "not ended")
    >>> notes.texts()
    ['renamed', 'trials 3, 4: not ended']
    """

    _on_study: list[str] = field(default_factory=list)
    _on_trials: dict[str, list[int]] = field(default_factory=dict)

    def on_study(self, text: str) -> None:
        """Note something about the whole study."""
        self._on_study.append(text)

    def on_trial(self, number: int, text: str) -> None:
        """Note something about one trial."""
        self._on_trials.setdefault(text, []).append(number)

    def texts(self) -> list[str]:
        """Return the notes, those on the study first."""
        return [*self._on_study, *(f"{_named(found)}: {text}" for text, found in self._on_trials.items())]


def _named(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:_MOST_NAMED]))
    more = len(numbers) - _MOST_NAMED
    word = "trial" if len(numbers) == 1 else "trials"
    return f"{word} {shown}" + (f" and {more} more" if more > 0 else "")
