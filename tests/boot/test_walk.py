# SPDX-License-Identifier: BSD-2-Clause
"""The walker of guest page tables against the CPU (tests/guests/walk.c): random tables, case after case."""
import re

import pytest
from test_probes import expect_end, probe_esp

MODES = {"qemu": ["32-bit", "32-bit-pse", "pae", "4-level", "5-level"],
         "vtx": ["32-bit", "32-bit-pse", "pae", "4-level"],
         "svm": ["32-bit", "32-bit-pse", "pae", "4-level"]}


DIGEST_CASES = 200


def start(vm, where, arguments, seconds):
    """
    First some cases bare, then all under the hypervisor. Memory above 4 GiB in QEMU; two CPUs
    there, as one alone has XCHG read and then write.
    """
    bare = [f"\\walk.efi cases {DIGEST_CASES} bare"]
    if where == "qemu":
        esp = probe_esp("walk", f"{arguments} qemu", before=bare)
        return vm.qemu(esp, cpus=2, mem=5120, timeout=seconds)
    esp = probe_esp("walk", f"{arguments} bochs", before=bare)
    return vm.bochs(esp, vendor=where, mem=2048, timeout=seconds)


def digests(machine):
    return [line.groups() for line in machine.seen(r"^PROBE: digest (\S+) ([0-9a-f]+)$")]


def counts(machine):
    """What the probe counted in each mode, the last time: {mode: {word: number}}."""
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
    assert expect_end(machine, 120) == 1 + len(MODES[where])
    bare = digests(machine)
    machine.expect(r"^Solovisor \S+ \d CPU", 120)
    assert expect_end(machine, 800) >= 9 + len(MODES[where])
    # What the CPU does against the manuals, it does bare as well.
    assert bare and digests(machine)[len(bare):] == bare
    seen = counts(machine)
    assert list(seen) == MODES[where]
    for mode, count in seen.items():
        assert count["cases"] == cases, mode
        # Enough of each outcome, or the comparison says little.
        assert count["translated"] > cases / 4, (mode, count)
        assert min(count["absent"], count["rights"]) > cases / 8, (mode, count)
        assert mode == "32-bit" or count["reserved"] > cases / 20, (mode, count)
        assert where != "qemu" or "level" not in mode or count["key"] > cases / 50, (mode, count)
