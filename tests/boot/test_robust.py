# SPDX-License-Identifier: BSD-2-Clause
"""The hypervisor under a guest that does everything at random (tests/guests/robust.c, docs/robustness.md)."""
import os
import re

import pytest
from emulator import BUILD
from hypervisor_memory import HypervisorMemory
from test_probes import expect_end, probe_esp

full = pytest.mark.full
MODES = 15
# An exit from virtual-8086 mode ends Bochs's AMD-V (docs/emulators.md): no instruction is executed there.
LEFT_OUT = {"svm": {"vm86", "vm86-pae"}}
# QEMU checks no limits: #SS does not come there.
VECTORS = {"qemu": (0, 1, 3, 6, 8, 11, 13, 14, 49), "bochs": (0, 1, 3, 6, 8, 11, 12, 13, 14, 49)}
UNCHANGED = ("image-unchanged", "host-tables-unchanged", "no-leaks", "hidden")
# Blocks whose line lost a character on its way; a difference is never among them.
DAMAGED_MAX = 2
FACT = re.compile(r"^FACT: (cpu\d\.steps\.\d+-\d+) = (0x[0-9a-f]+) #([0-9a-f]{2})$", re.MULTILINE)


def start(vm, where, cpus, arguments, hosted, seconds):
    esp = probe_esp("robust", arguments, hosted=hosted)
    if where != "qemu":
        return vm.bochs(esp, vendor=where, cpus=cpus, timeout=seconds)
    return vm.qemu(esp, cpus=cpus, one_core=True, timeout=seconds)


def facts(text):
    return {key: value for key, value, given in FACT.findall(text)
            if sum(f"FACT: {key} = {value}".encode()) & 0xff == int(given, 16)}


def run_steps(machine, where, hosted, seconds):
    """All steps; in QEMU the hypervisor's memory is read from outside before and after them."""
    memory = None
    if hosted:
        said = machine.expect(r"^Solovisor \S+ \d CPUs?, (\d+) KiB at 0x([0-9a-f]+)$", 120)
        size, base = int(said.group(1)) * 1024, int(said.group(2), 16)
    machine.expect(r"^FACT: begin robust$", 120)
    if hosted and where == "qemu":
        memory = HypervisorMemory(machine.monitor, os.path.join(BUILD, "core.elf"), base, size)
        before = memory.parts()
    machine.expect_any([r"^PROBE: all-steps ok$", r"PANIC.*$"], seconds)
    if memory:
        assert memory.parts() == before


def run(vm, where, cpus, arguments, hosted, seconds):
    """Until its end; nothing stopped, nothing was said, and the hypervisor's memory is what it was."""
    machine = start(vm, where, cpus, arguments, hosted, seconds + 240)
    run_steps(machine, where, hosted, seconds)
    expect_end(machine, 60)
    machine.expect(r"LAUNCH: :poweroff", 60)
    trouble = machine.seen(r"^.*(?:solovisor: |PANIC|BAD).*$")
    assert not trouble, "\n".join(line.group() for line in trouble[:20])
    for check in UNCHANGED if hosted else ():
        assert machine.seen(rf"^PROBE: {check} ok$"), check
    machine.stop()
    return machine


def compare(bare, hosted, blocks):
    expected, seen = facts(bare.text), facts(hosted.text)
    both = expected.keys() & seen.keys()
    assert len(both) >= blocks - DAMAGED_MAX, f"{len(both)} of {blocks} arrived"
    different = sorted(key for key in both if seen[key] != expected[key])
    assert not different, f"{len(different)} of {blocks}: {different[:20]}"


def row(where, cpus, count, every, seed, seconds, *marks):
    return pytest.param(where, cpus, count, every, seed, id=f"{where}-{cpus}-{count}-seed{seed}",
                        marks=[pytest.mark.seconds(seconds), *marks])


@pytest.mark.parametrize("where,cpus,count,every,seed", [
    row("qemu", 2, 20000, 1000, 1, 35), row("vtx", 1, 4000, 500, 1, 45),
    row("svm", 1, 20000, 500, 1, 150, full),
    *(row("qemu", 2, 250000, 5000, seed, 300, full) for seed in (2, 3, 4, 5)),
    *(row("vtx", 1, 50000, 1000, seed, 300, full) for seed in (2, 3, 4, 5))])
def test_robust(vm, where, cpus, count, every, seed):
    """Nothing stops or changes it, and what the random code sees is what it sees bare."""
    arguments = f"seed {seed} count {count} every {every}"
    left_out = LEFT_OUT.get(where, set())
    if left_out:
        arguments += " no-vm86"
    seconds = 120 + count // (200 if where == "qemu" else 50)
    bare = run(vm, where, cpus, arguments, False, seconds)
    hosted = run(vm, where, cpus, arguments + " wild", True, seconds)
    compare(bare, hosted, cpus * count // every)
    # Every mode, the usual exceptions, and halts that were ended.
    modes = {line.group(1): int(line.group(2))
             for line in hosted.seen(r"^PROBE: mode (\S+) (\d+)$")}
    assert len(modes) == MODES and left_out <= modes.keys()
    assert all((steps == 0) if mode in left_out else (steps > count // 200)
               for mode, steps in modes.items()), modes
    vectors = {int(line.group(1)): int(line.group(2))
               for line in hosted.seen(r"^PROBE: vector (\d+) (\d+)$")}
    wanted = VECTORS["qemu" if where == "qemu" else "bochs"]
    assert all(vectors.get(vector, 0) > 0 for vector in wanted), vectors
