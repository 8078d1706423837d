# SPDX-License-Identifier: BSD-2-Clause
"""Changing the guest-physical map under a running guest: write tracking and memory types."""
import pytest
from test_probes import expect_end, probe_esp, run

full = pytest.mark.full
# What changing one page may cost the CPU that does it, in instructions, on a machine with 4 CPUs.
COST = 20_000
# Marks in page tables that the guest-physical map forbids to write (docs/emulators.md).
BLIND = {"vtx": " blind"}


@pytest.mark.seconds(40)
@pytest.mark.parametrize("where,cpus,writes,seconds", [
    ("qemu", 4, 20_000, 180), ("vtx", 2, 2_000, 300),
    pytest.param("qemu", 4, 1_000_000, 3600, marks=[full, pytest.mark.seconds(1200)]),
    pytest.param("qemu", 1, 20_000, 180, marks=full),
    pytest.param("vtx", 2, 20_000, 900, marks=full), pytest.param("svm", 2, 2_000, 300, marks=full)])
def test_track(vm, where, cpus, writes, seconds):
    """Every byte that is written is notified once, whoever writes it and however."""
    toggles = 200 if where == "qemu" and cpus > 1 else 10
    esp = probe_esp("track", f"writes {writes} toggles {toggles}")
    if where == "qemu":
        machine = vm.qemu(esp, cpus=cpus, timeout=seconds + 60)
    else:
        machine = vm.bochs(esp, vendor=where, cpus=cpus, timeout=seconds + 60)
    expect_end(machine, seconds)
    said = machine.seen(r"^PROBE: writes=(\d+) crossing=(\d+)$")[0]
    assert int(said.group(1)) == writes


@pytest.mark.seconds(12)
@pytest.mark.parametrize("where,cpus,rounds", [
    ("qemu", 2, 20), ("vtx", 2, 20), pytest.param("qemu", 4, 500, marks=full),
    pytest.param("qemu", 1, 20, marks=full), pytest.param("vtx", 1, 200, marks=full),
    pytest.param("svm", 1, 20, marks=full), pytest.param("svm", 2, 100, marks=full)])
def test_tracked_tables(vm, where, cpus, rounds):
    """Page tables in tracked frames: what CPUs and hypervisor mark is noted, and all instructions get done."""
    machine, _ = run(vm, where, cpus, "tables", f"rounds {rounds}" + BLIND.get(where, ""))
    unseen = int(machine.seen(r"^PROBE: unseen=(\d+)$")[0].group(1))
    assert (unseen != 0) == (where in BLIND)


@pytest.mark.seconds(40)
@pytest.mark.parametrize("cpus", [2, pytest.param(1, marks=full)])
def test_memory_types(vm, cpus):
    """EPT follows the MTRRs once for each new map, written by one CPU or by all at once."""
    run(vm, "vtx", cpus, "track", "types")


@pytest.mark.seconds(30)
def test_track_cost(vm):
    """
    With -icount QEMU runs the CPUs in turn and the TSC counts what all of them execute: that is the caller's cost, its
    waiting, and what the three others do for the flush, which is more than the budget asks for.
    """
    machine = vm.qemu(probe_esp("track", "cost"), cpus=4, icount=True, timeout=200)
    expect_end(machine)
    said = machine.seen(r"^PROBE: cost add=(\d+) remove=(\d+)$")[0]
    assert int(said.group(1)) <= COST
    assert int(said.group(2)) <= COST
