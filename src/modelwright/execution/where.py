"""Which executor, and which cluster, trials run on: values that can be kept and sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelwright.errors import InputError
from modelwright.execution import make_executor
from modelwright.execution.base import Executor, Resources

if TYPE_CHECKING:
    from modelwright.execution.dask import DaskExecutor

__all__ = ["CLUSTER_AWAY", "Where"]

CLUSTER_AWAY = ("E_ADDRESS", "E_CLUSTER_AWAY")
"""Codes of errors that say that a scheduler does not answer."""


@dataclass(frozen=True, slots=True)
class Where:
    """A place for trials, as a command line or an estimator names it.

    Parameters
    ----------
    executor : {"local", "dask"}, default="local"
        Processes of this machine, or a Dask cluster.
    address : str, default=""
        Of the scheduler of the cluster.

    Raises
    ------
    InputError
        Another executor; a cluster without an address, or an address without a cluster.

    Examples
    --------
    >>> Where("dask", "tcp://10.0.0.1:8786").is_cluster
    True
    """

    executor: str = "local"
    address: str = ""

    def __post_init__(self) -> None:
        if self.executor not in ("local", "dask"):
            raise InputError(
                f"expected executor to be 'local' or 'dask', got {self.executor!r:.60}.", code="E_NAME"
            )
        if self.is_cluster and not self.address:
            raise InputError(
                "expected the address of a scheduler with the executor 'dask', got none.",
                hint="Give the one that the scheduler prints when it starts, like tcp://10.0.0.1:8786.",
                code="E_ADDRESS",
            )
        if self.address and not self.is_cluster:
            raise InputError(
                f"expected an address with the executor 'dask' alone, got {self.address!r:.60} with "
                f"{self.executor!r}.",
                code="E_ADDRESS",
            )

    @property
    def is_cluster(self) -> bool:
        """Whether trials run on other machines than this one."""
        return self.executor == "dask"

    def open(
        self, slots: Sequence[Resources], *, helper_slots: int = 0, preload: Sequence[str] = ()
    ) -> Executor:
        """Return the executor.

        Raises
        ------
        InputError
            There is no scheduler at the address.
        MissingDependencyError
            The library of the cluster is not installed.
        """
        options: dict[str, Any] = {"address": self.address} if self.is_cluster else {}
        return make_executor(
            self.executor, slots=slots, helper_slots=helper_slots, preload=preload, **options
        )

    def room(self) -> tuple[int, float]:
        """Return how many trials the cluster takes at a time, and the memory in MB that each may have.

        Raises
        ------
        InputError
            There is no scheduler at the address.
        ExecutionError
            The cluster has no workers.
        """
        executor: DaskExecutor = self.open([Resources()])  # type: ignore[assignment]
        try:
            return executor.room()
        finally:
            executor.close()

    def check(self) -> None:
        """Check that the cluster answers, if there is one; errors as of `open`."""
        if self.is_cluster:
            self.open([Resources()]).close()
