# SPDX-License-Identifier: BSD-2-Clause
"""The emulated instructions against the CPU (tests/guests/emulate.c)."""
import pytest
from test_probes import expect_end, probe_esp

full = pytest.mark.full


def start(vm, where, arguments):
    esp = probe_esp("emulate", arguments)
    if where == "qemu":
        return vm.qemu(esp, cpus=1, timeout=1000)
    return vm.bochs(esp, vendor=where, cpus=1, timeout=1000)


@pytest.mark.parametrize("where,cases,seed", [
    pytest.param("qemu", 5000, 1, marks=pytest.mark.seconds(12)),
    pytest.param("vtx", 500, 1, marks=pytest.mark.seconds(30)),
    *[pytest.param("qemu", 50000, seed, marks=[full, pytest.mark.seconds(100)])
      for seed in (2, 3, 4, 5)],
    *[pytest.param("vtx", 25000, seed, marks=[full, pytest.mark.seconds(100)])
      for seed in (2, 3)],
    pytest.param("svm", 5000, 2, marks=[full, pytest.mark.seconds(60)])])
def test_emulation(vm, where, cases, seed):
    """Registers, flags, memory and faults are the CPU's own."""
    machine = start(vm, where, f"cases {cases} seed {seed} "
                    + ("qemu" if where == "qemu" else "bochs"))
    expect_end(machine, 900)
    match = machine.seen(r"^PROBE: cases=(\d+) faults=(\d+) remade=\d+ emulated=(\d+)$")[0]
    done, faults, emulated = (int(text) for text in match.groups())
    assert done == cases
    # Neither all nor none of them end with an exception, and nearly none is left to the CPU.
    assert cases // 20 < faults < cases // 3
    assert emulated > cases * 3 // 4
