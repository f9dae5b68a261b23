"""Write a real table for `make demo`: scikit-learn's breast cancer data, with the classes by name.

Three files go into the folder: ``breast_cancer.csv`` to search on, ``test.csv`` with rows that are set
aside, and ``new.csv``, the same rows without their class, as new data would come.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split


def main(folder: str) -> None:
    """Write the three files into `folder`."""
    data = load_breast_cancer(as_frame=True)
    table = data.data.rename(columns=lambda name: name.replace(" ", "_"))
    table["class"] = data.target_names[data.target]
    search, aside = train_test_split(table, test_size=0.25, stratify=table["class"], random_state=0)

    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True)
    search.to_csv(place / "breast_cancer.csv", index=False)
    aside.to_csv(place / "test.csv", index=False)
    aside.drop(columns="class").to_csv(place / "new.csv", index=False)
    print(f"{place / 'breast_cancer.csv'}: {len(search)} rows; {len(aside)} more are set aside as a test")


if __name__ == "__main__":
    main(*sys.argv[1:])
