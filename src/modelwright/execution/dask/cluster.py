"""The coordinator's line to a cluster: nothing here waits in the coordinator's thread.

What happens is put on one queue, whatever thread of the client it comes from. What goes to the workers is
sent by a thread of its own, which also looks which workers there are; both may be held up by a network.
"""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading
import time
from collections import defaultdict
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from modelwright._base.optional import require
from modelwright.errors import ExecutionError, InputError
from modelwright.execution.dask.orders import Down, Order, Report, key_of
from modelwright.execution.dask.remote import deliver, look_around, run_task

__all__ = ["Cluster", "Gone", "Member", "Message", "Over", "Workers", "check_client"]

_LOOK_S = 0.5  # how often the workers are counted
_BEAT_S = 5.0  # how often tasks hear that their coordinator is there
_CONNECT_S = 10.0
_LINES = 8  # batches that are under way at a time


@dataclass(frozen=True, slots=True)
class Message:
    """A task said something, the `number`-th thing."""

    job: str
    number: int
    wants_reply: bool
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Over:
    """The future of a task has ended: with a report, or with why there is none."""

    job: str
    report: Report | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Workers:
    """The workers there are: address -> threads."""

    threads: dict[str, int]


@dataclass(frozen=True, slots=True)
class Member:
    """A worker: its threads, the memory that Dask allows it, and whether it sees a marker of ours."""

    address: str
    threads: int
    memory_mb: float
    sees: bool


@dataclass(frozen=True, slots=True)
class Gone:
    """The scheduler does not answer."""

    why: str


Happening = Message | Over | Workers | Gone | None


class Cluster:
    """A connection to a scheduler, made again where it may be.

    Parameters
    ----------
    address : str, optional
        Of the scheduler, such as ``"tcp://10.0.0.1:8786"``.
    client : distributed.Client, optional
        One that the caller has made and closes.

    Attributes
    ----------
    happenings : SimpleQueue
        What has happened; None wakes who waits for it.
    topic : str
        Of the messages from tasks.
    """

    def __init__(self, address: str | None, client: Any | None) -> None:
        self._distributed = require("distributed", extra="dask", feature="executor='dask'")
        self._address = address
        self._given = client
        self.topic = f"modelwright-{secrets.token_hex(8)}"
        self.happenings: SimpleQueue[Happening] = SimpleQueue()
        self._futures: dict[str, Any] = {}
        self._places: dict[str, str] = {}  # of running jobs: the worker
        self._down: SimpleQueue[tuple[str, str, Down] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._client = client if client is not None else self._connect()
        self._listen()
        self._closing = False
        self._sender = threading.Thread(target=self._send, name="dask sender", daemon=True)
        self._sender.start()

    def _connect(self) -> Any:
        try:
            self._knock()
            return self._distributed.Client(self._address, timeout=_CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError, ValueError) as error:
            raise InputError(
                f"there is no Dask scheduler at {self._address!r}: {str(error).rstrip('.')}.",
                hint="Give the address that the scheduler prints when it starts, like tcp://10.0.0.1:8786.",
                code="E_ADDRESS",
            ) from error

    def _knock(self) -> None:
        """See whether anybody listens: a client would try again and again before it says no."""
        host, port = self._distributed.comm.get_address_host_port(self._address)
        scheme, _ = self._distributed.comm.parse_address(self._address)
        if scheme in ("tcp", "tls"):
            socket.create_connection((host, port), timeout=_CONNECT_S).close()

    def _listen(self) -> None:
        self._client.subscribe_topic(self.topic, self._hear)

    def _hear(self, event: Any) -> None:
        job, said = event[1]
        for number, wants_reply, kind, text in said:
            self.happenings.put(Message(job, number, wants_reply, kind, text))

    def start(self, order: Order, worker: str) -> None:
        """Have a worker run a task, and no other: what is lost is tried again by the ledger's rules."""
        future = self._client.submit(
            run_task,
            order,
            key=key_of(order.job),
            workers=[worker],
            allow_other_workers=False,
            retries=0,
            pure=False,
        )
        with self._lock:
            self._futures[order.job] = future
            self._places[order.job] = worker
        future.add_done_callback(lambda done: self._over(order.job, done))

    def _over(self, job: str, future: Any) -> None:
        """Put down how a future ended; called in a thread of the client's."""
        try:
            self.happenings.put(Over(job, future.result(timeout=_CONNECT_S)))
        except BaseException as error:  # the worker died, the scheduler forgot it, the network failed
            self.happenings.put(Over(job, None, f"{type(error).__name__}: {error}".splitlines()[0]))

    def forget(self, job: str) -> None:
        """Let go of a task that is over, or that nothing more can come of."""
        with self._lock:
            future = self._futures.pop(job, None)
            self._places.pop(job, None)
        if future is not None:
            with contextlib.suppress(Exception):  # the scheduler may be gone
                future.release() if future.done() else future.cancel()

    def tell(self, job: str, message: Down) -> None:
        """Send a message down to a running task."""
        with self._lock:
            worker = self._places.get(job)
        if worker is not None:
            self._down.put((worker, job, message))

    def survey(self, patience_s: float, marker: str | None = None, token: str = "") -> list[Member]:
        """Ask all workers what they are, after waiting for the first one for up to `patience_s`.

        Raises
        ------
        ExecutionError
            One that answers lacks this package, or there is none.
        """
        with contextlib.suppress(TimeoutError):
            self._client.wait_for_workers(1, timeout=patience_s)
        answers = self._client.run(look_around, marker, token, on_error="return")
        for worker, answer in answers.items():
            if isinstance(answer, ImportError):
                raise ExecutionError(
                    f"the Dask worker {worker} cannot run trials: {answer}.",
                    hint='Install it there: pip install "modelwright[dask]", with what trials import.',
                    code="E_WORKER_LACKS",
                )
        found = [Member(*answer) for answer in answers.values() if not isinstance(answer, Exception)]
        if not found:
            raise ExecutionError(
                f"the Dask cluster has no workers, after {patience_s:g} s of waiting.",
                hint="Start some, such as: dask worker ADDRESS",
                code="E_NO_WORKERS",
            )
        return found

    def wait(self, timeout_s: float) -> Happening:
        """Return what happens next, None after `timeout_s`, or when woken."""
        with contextlib.suppress(Empty):
            return self.happenings.get(timeout=timeout_s) if timeout_s > 0 else self.happenings.get_nowait()
        return None

    def close(self) -> None:
        """Stop sending, and leave the cluster unless the client is the caller's."""
        self._closing = True
        self._down.put(None)
        self._sender.join(_CONNECT_S)
        with contextlib.suppress(Exception):
            if self._given is None:
                self._client.close(timeout=_CONNECT_S)
            else:
                self._client.unsubscribe_topic(self.topic)

    # The sender's thread -----------------------------------------------------------------------------

    def _send(self) -> None:
        """Send what is to go down, one batch at a time to each worker, and count the workers.

        A worker that is gone holds up the scheduler's answer for half a minute: each batch has a thread.
        """
        batches: defaultdict[str, dict[str, list[Down]]] = defaultdict(dict)
        out: dict[str, Future[Any]] = {}
        looked_at = beat_at = 0.0
        with ThreadPoolExecutor(_LINES, thread_name_prefix="dask line") as lines:
            while not self._closing:
                self._collect(batches, max(0.0, looked_at + _LOOK_S - time.monotonic()))
                now = time.monotonic()
                if now >= beat_at + _BEAT_S:
                    beat_at = now
                    for job, worker in self._running():
                        batches[worker].setdefault(job, [])
                for worker in [worker for worker in batches if worker not in out or out[worker].done()]:
                    out[worker] = lines.submit(self._deliver, worker, batches.pop(worker))
                if now >= looked_at + _LOOK_S:
                    self._look()
                    looked_at = time.monotonic()

    def _collect(self, batches: defaultdict[str, dict[str, list[Down]]], timeout_s: float) -> None:
        """Take what is to be sent, after waiting for the first of it, into `batches` by worker and job."""
        with contextlib.suppress(Empty):
            item = self._down.get(timeout=timeout_s) if timeout_s else self._down.get_nowait()
            while True:
                if item is not None:
                    worker, job, message = item
                    batches[worker].setdefault(job, []).append(message)
                item = self._down.get_nowait()

    def _deliver(self, worker: str, items: dict[str, list[Down]]) -> None:
        with contextlib.suppress(Exception):  # what is wrong with the worker shows when they are counted
            self._client.run(deliver, items, workers=[worker], on_error="ignore")
        self._down.put(None)  # there may be more for it by now

    def _look(self) -> None:
        try:
            self.happenings.put(Workers(dict(self._client.nthreads())))
        except Exception as error:
            self._lose(error)

    def _running(self) -> list[tuple[str, str]]:
        with self._lock:
            return list(self._places.items())

    def _lose(self, error: Exception) -> None:
        """Say that the scheduler is out of reach; take a new client where the old one has given up."""
        if self._closing:
            return
        why = f"{type(error).__name__}: {error}".strip().splitlines()[0]
        self.happenings.put(Gone(why))
        if self._given is not None or getattr(self._client, "status", "") == "running":
            return
        try:
            client = self._connect()
        except InputError:
            return  # the next look tries again
        old, self._client = self._client, client
        self._listen()
        with contextlib.suppress(Exception):
            old.close(timeout=1)


def check_client(client: Any | None) -> Any:
    """Return the client that a caller has given, or the one that was made last in this process.

    Raises
    ------
    InputError
        There is none, or it is one that does not wait.
    """
    if client is None:
        distributed = require("distributed", extra="dask", feature="executor='dask'")
        try:
            client = distributed.default_client()
        except ValueError:
            raise InputError(
                "executor='dask' does not know which cluster to use.",
                hint="Give address='tcp://...' or client=Client(...).",
            ) from None
    if getattr(client, "asynchronous", False):
        raise InputError(
            "expected a client of Dask that works synchronously, got an asynchronous one.",
            hint="Make it with Client(..., asynchronous=False).",
        )
    return client
