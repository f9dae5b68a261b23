"""Servers that restart, freeze or are full, with many workers at a time: all of them go on."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import Any

import pytest
from tcp_proxy import TcpProxy

from modelwright.errors import StorageUnavailableError
from modelwright.storage import Storage, open_storage


def outlast(outpost: Any, drones: list[Any], trials: int) -> None:
    """Check that all workers have done all trials at the first attempt."""
    assert [drone.end() for drone in drones] == [0] * len(drones), [drone.error for drone in drones]
    assert [said for drone in drones for said in drone.all("unavailable") + drone.all("refused")] == []
    assert outpost.results(drones, "accepted", "duplicate") == list(range(trials))
    assert {trial.attempts for trial in outpost.storage.trials(outpost.id)} == {1}
    outpost.audit()


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_f22_f23_a_server_that_goes_away(outpost: Any, until: Any, how: str) -> None:
    outpost.create(trials=120)
    drones = outpost.drones(8, "--work", 0.05)
    until(lambda: len(outpost.results(drones)) >= 30)
    getattr(outpost.server, how)()
    time.sleep(1)
    outpost.server.start()
    outlast(outpost, drones, 120)


def test_f28_a_server_that_freezes(outpost: Any, until: Any) -> None:
    outpost.create(trials=80)
    drones = outpost.drones(6, "--work", 0.05)
    until(lambda: len(outpost.results(drones)) >= 20)
    outpost.server.freeze()
    time.sleep(2)
    outpost.server.thaw()
    outlast(outpost, drones, 80)


def test_f29_more_workers_than_connections(narrow_outpost: Any) -> None:
    narrow_outpost.create(trials=100)
    outlast(narrow_outpost, narrow_outpost.drones(20, "--work", 0.05), 100)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["a frozen server", "a silent network"])
def test_g11_no_call_waits_for_more_than_30_s(outpost: Any, fault: str) -> None:
    """With the settings as they are delivered, but for the patience, which would try again."""
    outpost.create(trials=1)
    with ExitStack() as stack:
        proxy = stack.enter_context(TcpProxy(("127.0.0.1", outpost.server.port)))
        url = outpost.url.replace(f":{outpost.server.port}/", f":{proxy.port}/")
        connected, idle = (stack.enter_context(closing(open_storage(url, timeout_s=0))) for _ in range(2))
        idle._db._give_back()  # it has to connect anew
        connected.studies()
        stack.callback(proxy.heal)
        if fault == "a frozen server":
            outpost.server.freeze()
            stack.callback(outpost.server.thaw)
        else:
            proxy.go_silent()
        with ThreadPoolExecutor() as pool:
            waits = [pool.submit(gives_up_after_s, storage, outpost.id) for storage in (connected, idle)]
            found = [wait.result() for wait in waits]
    print(found)
    assert max(found) < 30 + 10, "30 s are the promise, and this machine may be busy"
    assert outpost.storage.study("study").issued == 0


def gives_up_after_s(storage: Storage, study_id: int) -> float:
    began = time.monotonic()
    with pytest.raises(StorageUnavailableError):
        storage.claim(study_id, "w", "c", 60)
    return time.monotonic() - began
