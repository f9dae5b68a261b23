"""A script as a trial on a worker of a cluster: it speaks, is stopped early, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from dask_programs import DaskPrograms

from modelwright import Categorical, Script, Space, Study
from modelwright.records import TrialState

TEXT = """
for step in 1 2 3; do
    printf '{"report": %s, "step": %s}\\n' "$1" "$step" >> "$MODELWRIGHT_REQUESTS"
    until [ "$(wc -l < "$MODELWRIGHT_ANSWERS")" -ge "$step" ]; do sleep 0.02; done
    if [ -e "$MODELWRIGHT_STOP" ]; then exit 0; fi
done
sleep 1000 &
echo "$1" > "$MODELWRIGHT_RESULT"
"""


def test_a_script_on_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dask_cluster: DaskPrograms
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "train.sh"
    path.write_text(TEXT)
    study = Study(Space(x=Categorical(1, 5)), storage="sqlite:///hub.db", scheduler="median", seed=1)
    for x in (1, 1, 1, 1, 1, 5):
        study.enqueue({"x": x})
    study.run(Script([str(path), "{x}"]), trials=6, executor="dask", address=dask_cluster.address)
    states = [trial.state for trial in study.trials]
    assert states == [*[TrialState.COMPLETE] * 5, TrialState.PRUNED]
    assert study.trials[-1].values == (5.0,)
