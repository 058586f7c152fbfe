"""Phases of a prover."""

import time

import pytest

from zkbench.bench.timers import PhaseTimer


def test_a_phase_gets_the_time_of_its_blocks() -> None:
    timer = PhaseTimer()
    for _ in range(2):
        with timer.phase("commit"):
            time.sleep(0.01)
    assert 0.02 <= timer.totals()["commit"] < 0.2


def test_an_inner_phase_stops_the_outer_one() -> None:
    timer = PhaseTimer()
    start = time.perf_counter()
    with timer.phase("lookups"):
        time.sleep(0.01)
        with timer.phase("sumchecks"):
            time.sleep(0.03)
    elapsed = time.perf_counter() - start
    totals = timer.totals()
    assert totals["sumchecks"] >= 0.03
    assert 0.01 <= totals["lookups"] < 0.03
    assert sum(totals.values()) <= elapsed


def test_a_phase_closes_when_its_block_raises() -> None:
    timer = PhaseTimer()
    with pytest.raises(KeyError), timer.phase("opening"):
        raise KeyError
    with timer.phase("commit"):
        time.sleep(0.02)
    assert timer.totals()["opening"] < 0.02


def test_the_device_is_waited_for_at_every_change_of_phase() -> None:
    calls: list[str] = []
    timer = PhaseTimer(lambda: calls.append("wait"))
    with timer.phase("commit"), timer.phase("lookups"):
        pass
    assert len(calls) == 4


def test_device_work_is_charged_to_the_phase_that_launched_it() -> None:
    launched: list[float] = []

    def synchronise() -> None:
        while launched:
            time.sleep(launched.pop())

    timer = PhaseTimer(synchronise)
    with timer.phase("commit"):
        launched.append(0.02)
    with timer.phase("opening"):
        pass
    assert timer.totals()["commit"] >= 0.02
    assert timer.totals()["opening"] < 0.02


def test_an_unknown_phase_is_refused() -> None:
    with pytest.raises(ValueError, match="no phase 'proving'; phases: witness, commit"):
        PhaseTimer().phase("proving")


def test_totals_come_in_the_order_of_a_proof() -> None:
    timer = PhaseTimer()
    for name in ("opening", "commit"):
        with timer.phase(name):
            pass
    assert list(timer.totals()) == ["commit", "opening"]
