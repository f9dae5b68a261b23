"""Say how `make demo` went: the score of the predictions beside a dummy's, and where to look.

The score is computed here from the two files, the predictions and the true classes, and from nothing
that the search says of itself. It exits with 1 if the model is not better than the dummy.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from sklearn.metrics import accuracy_score, balanced_accuracy_score


def main(folder: str) -> None:
    """Compare ``predictions.csv`` with ``test.csv`` in `folder`, and print the summary."""
    place = Path(folder)
    truth = pd.read_csv(place / "test.csv")["class"]
    predicted = pd.read_csv(place / "predictions.csv")["class"]
    commonest = pd.read_csv(place / "breast_cancer.csv")["class"].mode()[0]
    dummy = pd.Series(commonest, index=truth.index)

    print(f"\nTest score on {len(truth)} rows that the search never saw:")
    better = True
    for name, score in (("accuracy", accuracy_score), ("balanced accuracy", balanced_accuracy_score)):
        ours, base = score(truth, predicted), score(truth, dummy)
        better = better and ours > base
        print(f"  {name:<18} {ours:.3f}   dummy (always {commonest!r}) {base:.3f}")
    print(f"\nBundle:      {place / 'run' / 'bundle'}")
    print(f"Report:      {place / 'run' / 'report.html'}   (open it in a browser)")
    print(f"Predictions: {place / 'predictions.csv'}")
    for path in (place / "run" / "bundle" / "manifest.json", place / "run" / "report.html"):
        if not path.is_file():
            raise SystemExit(f"demo: {path} is missing")
    if not better:
        raise SystemExit("demo: the model is not better than the dummy")


if __name__ == "__main__":
    main(*sys.argv[1:])
