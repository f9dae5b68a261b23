"""Tasks on a Dask cluster, each in a fresh process on one of its workers.

`executor` is the coordinator's side and decides everything; `cluster` is its line to the scheduler; `sharing`
knows which workers see its folders; `remote` runs on the workers; `orders` is what they say to each other.
What a task says goes up as events of a topic that belongs to the executor; what goes down is called on the
worker. The end of a task is the result of its future. `docs/design/dask.md` has the reasons.
"""

from modelwright.execution.dask.executor import DaskExecutor

__all__ = ["DaskExecutor"]
