"""Find a model for a table, from Python, under scikit-learn's conventions.

python examples/02_table.py            30 seconds
python examples/02_table.py 120        as many as you like
"""

from __future__ import annotations

import sys

from sklearn.datasets import load_wine
from sklearn.dummy import DummyClassifier
from sklearn.model_selection import train_test_split

from modelwright.automl import TabularClassifier


def main(time_s: float = 30) -> None:
    """Search for `time_s` seconds, and print how good the model is on rows it has not seen."""
    wine = load_wine(as_frame=True)
    labels = wine.target.map(dict(enumerate(wine.target_names)))
    X, X_test, y, y_test = train_test_split(wine.data, labels, stratify=labels, random_state=0)

    model = TabularClassifier(time=time_s, random_state=0)
    model.fit(X, y)

    print(model.leaderboard().head(10).to_string())
    print(f"\naccuracy on {len(X_test)} new rows: {model.score(X_test, y_test):.3f}")
    print(f"always the commonest class:  {DummyClassifier().fit(X, y).score(X_test, y_test):.3f}")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
