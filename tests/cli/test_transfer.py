"""`modelwright studies copy|merge|export|import|rename|trim`, as typed."""

from __future__ import annotations

import io
import json
import random
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from rich_study import everything, make_rich

from modelwright import Float, Int, Space, Study
from modelwright.records import StudySpec, Trial, TrialState
from modelwright.storage import open_storage
from modelwright.storage.base import AdoptedTrial
from modelwright.transfer import StudySnapshot, write_snapshot

Command = Callable[..., Any]
ASSETS = Path(__file__).parents[1] / "assets" / "optuna"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A ledger with the study ``rich``, which is the default of every command."""
    monkeypatch.setenv("MODELWRIGHT_STORAGE", "sqlite:///hub.db")
    with closing(open_storage(tmp_path / "hub.db")) as storage:
        make_rich(storage)
    return tmp_path / "hub.db"


def names_in(path: Path) -> list[str]:
    with closing(open_storage(path)) as storage:
        return [record.spec.name for record in storage.studies()]


def test_copy(command: Command, hub: Path) -> None:
    done = command("studies", "copy", "rich", "--to", "sqlite:///new/there.db")
    done.refuses("new")  # the folder is not there
    command("studies", "copy", "rich", "--to", "memory://").refuses("gone when this command ends")
    done = command("studies", "copy", "rich", "--to", "sqlite:///there.db", "--name", "moved")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "copied to moved: 5 trials, pending"
    assert done.out.splitlines()[1].startswith("1 file, 7 B, in ")
    with closing(open_storage(hub)) as here, closing(open_storage(hub.with_name("there.db"))) as there:
        assert everything(there, "moved")["trials"] == everything(here, "rich")["trials"]
    command("studies", "copy", "rich", "--to", "sqlite:///there.db", "--name", "moved").refuses("exists")
    command("studies", "copy", "poor", "--to", "sqlite:///new.db").refuses("no study called 'poor'")
    command("studies", "merge", "x", "poor", "--to", "sqlite:///new.db").refuses("no study called 'poor'")
    assert not hub.with_name("new.db").exists()
    command("studies", "copy", "rich", "--name", "a/b").refuses("without '/'")
    assert names_in(hub) == ["rich"]


def test_copy_without_files(command: Command, hub: Path) -> None:
    done = command("studies", "copy", "rich", "--to", "sqlite:///there.db", "--no-files")
    assert done.code == 0
    assert done.err == ""
    assert not hub.with_name("there.files").exists()


def test_copy_to_a_place_without_files_says_so(command: Command, hub: Path) -> None:
    folder = next((hub.with_suffix(".files")).iterdir())
    (folder / "trials/1-2/model.bin").unlink()
    done = command("studies", "copy", "rich", "--name", "again")
    assert done.code == 0
    assert "1 artifact has no file there. The first: trials/1-2/model.bin." in done.err


def test_merge(command: Command, hub: Path) -> None:
    assert command("studies", "copy", "rich", "--to", "sqlite:///there.db", "--name", "x@y").code == 0
    done = command("studies", "merge", "all", "rich", "x@y@sqlite:///there.db", "--duplicates", "keep")
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "merged to all: 6 trials, pending"
    assert done.out.splitlines()[-1] == "left out 4 trials without a result"
    done = command("studies", "merge", "less", "rich", "x@y@sqlite:///there.db")  # it is deterministic
    assert "left out 3 trials whose configuration is there already" in done.out
    assert names_in(hub) == ["rich", "all", "less"]
    command("studies", "merge", "n", "rich", "--duplicates", "some").refuses("'auto', 'keep' or 'drop'")
    command("studies", "merge", "all", "rich").refuses("'all' exists")


def test_merge_names_the_difference(command: Command, hub: Path) -> None:
    with closing(open_storage(hub)) as storage:
        Study(Space(x=Float(0, 1)), directions={"loss": "minimize"}, storage=storage, name="other")
    command("studies", "merge", "all", "rich", "other").refuses("different objectives: loss (minimize), gain")


def test_export(command: Command, hub: Path) -> None:
    done = command("studies", "export", "rich", "t.csv")
    assert (done.code, done.out) == (0, "5 trials written to t.csv\n")
    assert hub.with_name("t.csv").read_text().startswith("number,values_loss,values_gain,")
    command("studies", "export", "rich", "t.csv").refuses("there already. Take another name, or replace it")
    assert command("studies", "export", "rich", "t.csv", "--force").code == 0
    command("studies", "export", "rich", "t.xlsx").refuses("stands for no format")
    command("studies", "export", "rich", "t", "--format", "xlsx").refuses("csv, parquet or jsonl")
    command("studies", "export", "rich", "no/t.csv").refuses("there is no folder 'no'")
    hub.with_name("link.csv").symlink_to("t.csv")
    command("studies", "export", "rich", "link.csv").refuses("a link")


def test_export_to_standard_output(command: Command, hub: Path) -> None:
    done = command("studies", "export", "rich", "-")
    assert done.code == 0
    assert len(done.out.splitlines()) == 6
    assert ",'=tree," in done.out
    assert ",=tree," in command("studies", "export", "rich", "-", "--raw").out
    lines = command("studies", "export", "rich", "-", "--format", "jsonl").out.splitlines()
    assert [json.loads(line).get("format") for line in lines] == ["modelwright-study"] + [None] * 5


def test_export_and_import_again(command: Command, hub: Path) -> None:
    assert command("studies", "export", "rich", "t.jsonl").code == 0
    command("studies", "import", "t.jsonl").refuses("'rich' exists")
    done = command("studies", "import", "t.jsonl", "--name", "back")
    assert (done.code, done.out) == (0, "imported back: 5 trials, pending\n")
    assert done.err == "note: running this study loads module:function\n"
    with closing(open_storage(hub)) as storage:
        assert everything(storage, "back")["trials"] == everything(storage, "rich")["trials"]
    hub.with_name("broken.jsonl").write_text(hub.with_name("t.jsonl").read_text()[:-30])
    command("studies", "import", "broken.jsonl", "--name", "b").refuses("line 6: expected JSON")
    assert names_in(hub) == ["rich", "back"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_export_and_import_a_table_again(command: Command, hub: Path, kind: str) -> None:
    assert command("studies", "export", "rich", f"t.{kind}").code == 0
    done = command("studies", "import", f"t.{kind}", "--name", "back", "--log", "lr")
    assert (done.code, done.out) == (0, "imported back: 5 trials, pending\n")
    assert "note: ranges and choices are those that the trials have" in done.err
    with closing(open_storage(hub)) as storage:
        before, after = Study.load("rich", storage=storage), Study.load("back", storage=storage)
        assert [trial.params for trial in after.trials] == [trial.params for trial in before.trials]
        assert [trial.values for trial in after.trials] == [trial.values for trial in before.trials]
        assert after.directions == before.directions
    wrong = command("studies", "import", f"t.{kind}", "--name", "x", "--value", "values_loss")
    wrong.refuses("--value is for a table of results, and this is a table that `studies export` wrote.")


def test_an_exported_table_is_one_of_results_if_the_user_says_so(command: Command, hub: Path) -> None:
    command("studies", "export", "rich", "t.csv")
    line = ["studies", "import", "t.csv", "--name", "x", "--value", "values_loss", "--param", "params_lr"]
    assert command(*line).code == 0
    with closing(open_storage(hub)) as storage:
        assert Study.load("x", storage=storage).space.names == ("params_lr",)


def test_import_from_optuna(command: Command, hub: Path) -> None:
    path = hub.with_name("optuna.db")
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript((ASSETS / "optuna-5.sql").read_text())
    log = str(ASSETS / "optuna-3.log")
    assert command("studies", "import", "optuna.db", "--list").out == "one\ntwo\n"
    command("studies", "import", "optuna.db").refuses("got 2: 'one', 'two'. Name one with --study.")
    assert command("studies", "import", "optuna.db", "--study", "one").out.startswith(
        "imported one: 8 trials"
    )
    command("studies", "import", log, "--study", "one").refuses("'one' exists")
    assert command("studies", "import", log, "--study", "one", "--name", "three").code == 0
    command("studies", "import", log, "--study", "one", "--value", "x").refuses(
        "--value is for a table of results, and this is a file of Optuna."
    )
    assert names_in(hub) == ["rich", "one", "three"]


def test_import_a_table(command: Command, hub: Path) -> None:
    hub.with_name("grid.csv").write_text("lr,depth,loss\n0.1,3,1.5\n0.001,5,\n")
    done = command("studies", "import", "grid.csv", "--value", "loss", "--log", "lr", "--missing", "waiting")
    assert (done.code, done.out) == (0, "imported grid: 2 trials, pending\n")
    with closing(open_storage(hub)) as storage:
        study = Study.load("grid", storage=storage)
        assert study.space == Space(lr=Float(0.001, 0.1, log=True), depth=Int(3, 5))
        assert [trial.state.value for trial in study.trials] == ["complete", "waiting"]
    command("studies", "import", "grid.csv").refuses("Give --value COLUMN")
    command("studies", "import", "grid.csv", "--study", "x").refuses("--study is for a file of Optuna")
    command("studies", "import", "missing.csv", "--value", "loss").refuses("there is no file 'missing.csv'")
    command("studies", "import", ".").refuses("'.' is no regular file")
    command("studies", "import", "grid.csv", "--value", "loss", "--storage", "memory://").refuses("memory")
    command("studies", "import", "grid.csv", "--value", "lost").refuses("Did you mean 'loss'")


def test_import_a_table_into_a_given_space(command: Command, hub: Path) -> None:
    hub.with_name("grid.csv").write_text("lr,loss\n0.1,1.5\n5,2\n")
    space = {"parameters": {"lr": {"type": "float", "low": 0.001, "high": 1, "log": True}}}
    hub.with_name("space.json").write_text(json.dumps(space))
    line = ["studies", "import", "grid.csv", "--value", "loss", "--space", "space.json"]
    command(*line).refuses("has 1 bad row(s): line 3:")
    hub.with_name("space.json").write_text("{")
    command(*line).refuses("'space.json' is not JSON")
    hub.with_name("space.json").unlink()
    command(*line).refuses("there is no file 'space.json'")


def test_rename(command: Command, hub: Path) -> None:
    done = command("studies", "rename", "rich", "wealthy")
    assert (done.code, done.out) == (0, "rich is called wealthy now\n")
    assert names_in(hub) == ["wealthy"]
    assert (
        command("studies", "copy", "wealthy", "--name", "copied").out.splitlines()[1].startswith("1 file, ")
    )
    command("studies", "rename", "copied", "wealthy").refuses("wealthy")
    command("studies", "rename", "copied", "").refuses("1 to 200 printable characters")


def test_trim(command: Command, hub: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    done = command("studies", "trim", "rich", "--keep-best", "0")
    assert done.code == 1
    assert "Trim 3 trials of 'rich': the reports, 1 artifact and 1 file (7 B)?" in done.out
    assert list(hub.with_suffix(".files").rglob("*.bin"))
    done = command("studies", "trim", "rich", "--keep-best", "0", "--yes")
    assert done.out == "rich: trimmed 3 trials, 1 artifact forgotten, 1 file removed, 7 B freed\n"
    assert not list(hub.with_suffix(".files").rglob("*.bin"))
    assert command("studies", "trim", "rich", "--keep-best", "-1").code == 2
    assert command("studies", "trim", "rich").code == 2


def test_a_full_disk_leaves_no_half_copy(hub: Path) -> None:
    """A limit on the size of files stands for the disk."""
    with closing(open_storage(hub)) as storage:
        study = Study(Space(x=Float(0, 1)), storage=storage, name="big")
        assert study.folder is not None
        study.folder.mkdir(parents=True)
        with (study.folder / "huge").open("wb") as file:
            file.truncate(100_000_000)
    done = subprocess.run(
        [sys.executable, "-m", "modelwright", "studies", "copy", "big", "--name", "half"],
        cwd=hub.parent,
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=_small_files,
    )
    assert done.returncode == 2, done.stderr
    assert "File too large" in done.stderr
    assert names_in(hub) == ["rich", "big"]
    assert not list(hub.with_suffix(".files").glob("half*"))


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_full_disk_leaves_no_half_export(hub: Path, kind: str) -> None:
    space = Space(x=Float(0, 1))
    noise = random.Random(1)
    trials = [
        AdoptedTrial(Trial(n, TrialState.WAITING, {"x": 0.5}, user_attrs={"a": noise.randbytes(50).hex()}), n)
        for n in range(3000)
    ]
    with closing(open_storage(hub)) as storage:
        write_snapshot(storage, StudySnapshot(StudySpec("large", space), [space.to_json()], trials))
    for name, force in ((f"new.{kind}", []), (f"old.{kind}", ["--force"])):
        path = hub.with_name(name)
        if force:
            path.write_text("as it was")
        done = subprocess.run(
            [sys.executable, "-m", "modelwright", "studies", "export", "large", name, *force],
            cwd=hub.parent,
            capture_output=True,
            text=True,
            timeout=60,
            preexec_fn=lambda: _small_files(100_000),
        )
        assert done.returncode == 2, done.stderr
        assert "File too large" in done.stderr
        assert path.read_text() == "as it was" if force else not path.exists()
    assert not [path for path in hub.parent.iterdir() if path.name.startswith(".")]


def _small_files(most: int = 20_000_000) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
