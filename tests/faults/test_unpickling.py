"""Nothing that comes from a database, a file or the network is unpickled, by the code and as it runs."""

from __future__ import annotations

import ast
import pickle
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from modelwright import Float, Space, Study

SOURCE = Path(__file__).parents[2] / "src" / "modelwright"

# Functions travel so between a run and the processes that it has started itself, and only there.
OWN_PROCESSES = ("execution/local/", "execution/dask/")
BANNED = {"pickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}


def uses(tree: ast.AST) -> Iterator[str]:
    """Yield each import of a library that unpickles, and each call that may."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (item.name for item in node.names if item.name.partition(".")[0] in BANNED)
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in BANNED:
            yield str(node.module)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = node.func.value
            if isinstance(owner, ast.Name) and (owner.id, node.func.attr) == ("np", "load"):
                safe = [item for item in node.keywords if item.arg == "allow_pickle"]
                if not safe or ast.unparse(safe[0].value) != "False":
                    yield ast.unparse(node)
            elif ast.unparse(node.func) in ("torch.load", "pd.read_pickle", "yaml.load"):
                yield ast.unparse(node)


def test_g13_no_module_may_unpickle_but_those_of_own_processes() -> None:
    found = {
        path.relative_to(SOURCE).as_posix(): list(uses(ast.parse(path.read_text(encoding="utf-8"))))
        for path in SOURCE.rglob("*.py")
    }
    assert len(found) > 200
    unpickling = {name: names for name, names in found.items() if names}
    assert {name for name in unpickling if not name.startswith(OWN_PROCESSES)} == set()
    assert unpickling, "the reader of imports finds nothing at all"


WATCHED = """
import sys
found = []
sys.addaudithook(lambda event, args: found.append(args) if event == "pickle.find_class" else None)
import pickle
pickle.loads(pickle.dumps(print))
assert found, "the hook does not see unpickling"
found.clear()
import warnings
warnings.simplefilter("ignore")
from contextlib import closing
from modelwright import Study
from modelwright.cli.main import main
from modelwright.errors import ModelwrightError
from modelwright.server.run import serving
from modelwright.storage import open_existing
from modelwright.storage.http import HTTPStorage

def command(*words):
    try:
        main(words)
    except SystemExit as left:
        print(words[:2], left.code, file=sys.stderr)

url = "sqlite:///ledger.db"
study = Study.load("good", storage=url)
study.run(lambda trial: trial.params["x"], trials=6, executor="inline")
study.close()
command("studies", "list", "--storage", url)
for name in ("good", "bad"):
    command("studies", "show", name, "--storage", url)
    command("trials", "list", name, "--storage", url)
    command("studies", "export", name, f"{name}.jsonl", "--storage", url)
command("studies", "import", "good.jsonl", "--storage", "sqlite:///other.db")
command("studies", "import", "pickled.jsonl", "--storage", "sqlite:///other.db")
token = "a-token-of-the-tests-0123456789"
with closing(open_existing(url)) as file, serving(file, token) as address:
    with closing(HTTPStorage(address, token)) as storage:
        for study in storage.studies():
            storage.changes(study.id, 0)
            storage.events(study.id)
print(found)
"""


def test_g13_nothing_of_a_ledger_is_unpickled(tmp_path: Path) -> None:
    """Python itself reports each class that a pickle asks for."""
    path = tmp_path / "ledger.db"
    for name in ("good", "bad"):
        study = Study(Space(x=Float(0, 1)), storage=path, name=name, seed=1, optimizer="random")
        study.run(lambda trial: trial.params["x"], trials=3, executor="inline")
        study.close()
    bomb = pickle.dumps(print)
    (tmp_path / "pickled.jsonl").write_bytes(bomb)
    with closing(sqlite3.connect(path)) as raw, raw:
        for column in ("params", "user_attrs", "metrics", "values_json"):
            raw.execute(f"UPDATE trials SET {column} = ? WHERE study_id = 2 AND number = 1", [bomb])
        raw.execute("UPDATE events SET payload = ? WHERE study_id = 2 AND revision = 3", [bomb])
    done = subprocess.run(
        [sys.executable, "-c", WATCHED], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]", done.stdout
    assert "Traceback" not in done.stderr
