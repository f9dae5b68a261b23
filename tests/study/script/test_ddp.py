"""A training of two ranks (torch, gloo on loopback) is stopped early, and goes on from its checkpoint."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from modelwright import Float, Space, Study
from modelwright.records import TrialState
from modelwright.study import RunningTrial

EXAMPLE = Path(__file__).parents[3] / "examples" / "04_ddp.py"
HOLD = """
            import time
            with open("log.txt", "a") as log:
                log.write(f"{trial.number}: {first} {epoch} of {dist.get_world_size()}\\n")
            while epoch == 2 and os.path.exists("hold"):
                open("held", "w").close()
                time.sleep(0.05)
"""


@pytest.fixture(autouse=True)
def torch() -> None:
    """Skip where torch is missing, unless all tests have to run."""
    if find_spec("torch") is None:
        if os.environ.get("MODELWRIGHT_TEST_REQUIRE_SERVICES", "") not in ("", "0"):
            pytest.fail("needs torch", pytrace=False)
        pytest.skip("needs torch: pip install torch")


@pytest.mark.slow
def test_two_ranks(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    start_python: Callable[..., subprocess.Popen[str]],
    until: Callable[..., None],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    text = EXAMPLE.read_text()
    report = "            trial.report(mean.item(), epoch)\n"
    assert report in text
    Path("ddp.py").write_text(text.replace(report, report + HOLD))
    with_others(tmp_path)

    # A rate that learns next to nothing is worse than the others, from the first epoch on.
    done = start_python("ddp.py", 6)
    _, errors = done.communicate(timeout=250)
    study = Study.load("ddp", storage="sqlite:///ddp.db")
    stopped = study.trials[5]
    assert stopped.state is TrialState.PRUNED, errors
    assert Path("log.txt").read_text() == "5: 0 0 of 2\n"

    study.enqueue({"lr": 0.5})
    Path("hold").touch()
    run = start_python("ddp.py", 7)
    until(lambda: Path("held").exists())
    run.send_signal(signal.SIGKILL)
    run.wait()
    Path("hold").unlink()
    _, errors = start_python("ddp.py", 7).communicate(timeout=250)
    resumed = study.trials[6]
    assert (resumed.state, resumed.record.attempts) == (TrialState.COMPLETE, 2), errors
    epochs = ["0 0", "0 1", "0 2", "3 3", "3 4", "3 5"]
    assert Path("log.txt").read_text().splitlines()[1:] == [f"6: {epoch} of 2" for epoch in epochs]
    assert resumed.values[0] < 0.1
    study.close()


def with_others(folder: Path) -> None:
    """Make the study of the example with five trials that the rule can compare with."""
    study = Study(
        Space(lr=Float(1e-3, 1.0, log=True)),
        direction="minimize",
        scheduler="median",
        name="ddp",
        storage=f"sqlite:///{folder}/ddp.db",
        seed=1,
    )

    def good(trial: RunningTrial) -> float:
        for epoch in range(6):
            trial.report(0.5, epoch)
        return 0.5

    study.run(good, trials=5, executor="inline")
    study.enqueue({"lr": 1e-3})
    study.close()
