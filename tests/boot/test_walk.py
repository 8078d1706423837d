# SPDX-License-Identifier: BSD-2-Clause
"""The walker of guest page tables against the CPU (tests/guests/walk.c): random tables, case after case."""
import re

import pytest
from test_probes import expect_end, probe_esp

MODES = {"qemu": ["32-bit", "32-bit-pse", "pae", "4-level", "5-level"],
         "vtx": ["32-bit", "32-bit-pse", "pae", "4-level"],
         "svm": ["32-bit", "32-bit-pse", "pae", "4-level"]}


def start(vm, where, arguments, seconds):
    """Memory above 4 GiB in QEMU; two CPUs there, as one alone has XCHG read and then write."""
    if where == "qemu":
        return vm.qemu(probe_esp("walk", f"{arguments} qemu"), cpus=2, mem=5120, timeout=seconds)
    return vm.bochs(probe_esp("walk", f"{arguments} bochs"), vendor=where, mem=2048,
                    timeout=seconds)


def counts(machine):
    """What the probe counted in each mode: {mode: {word: number}}."""
    return {line.group(1): {word: int(number) for word, number in
                            re.findall(r" ([a-z0-9-]+)=(\d+)", line.group(2))}
            for line in machine.seen(r"^PROBE: mode=(\S+)( .*)$")}


@pytest.mark.parametrize("where,cases", [
    pytest.param("qemu", 1500, marks=pytest.mark.seconds(15)),
    pytest.param("vtx", 250, marks=pytest.mark.seconds(30)),
    pytest.param("svm", 250, marks=[pytest.mark.seconds(30), pytest.mark.full]),
    pytest.param("qemu", 20000, marks=[pytest.mark.seconds(120), pytest.mark.full]),
    pytest.param("vtx", 5000, marks=[pytest.mark.seconds(120), pytest.mark.full]),
    pytest.param("svm", 5000, marks=[pytest.mark.seconds(120), pytest.mark.full])])
def test_walk(vm, where, cases):
    """Success, address, page size, error code, CR2 and the marks left behind are the CPU's."""
    machine = start(vm, where, f"cases {cases}", 900)
    assert expect_end(machine, 800) >= 9 + len(MODES[where])
    seen = counts(machine)
    assert list(seen) == MODES[where]
    for mode, count in seen.items():
        assert count["cases"] == cases, mode
        # Enough of each outcome, or the comparison says little.
        assert count["translated"] > cases / 4, (mode, count)
        assert min(count["absent"], count["rights"]) > cases / 8, (mode, count)
        assert mode == "32-bit" or count["reserved"] > cases / 20, (mode, count)
        assert where != "qemu" or "level" not in mode or count["key"] > cases / 50, (mode, count)
