# SPDX-License-Identifier: BSD-2-Clause
"""Probes: EFI programs that look at the machine from ring 0 (tests/guests/lib/probe.h)."""
import re

import pytest
from chains import BOOT, CONFIG, PROGRAM, config_text, dos, guest, linux_esp
from emulator import SOLOVISOR, Esp

full = pytest.mark.full


def probe_esp(name, arguments="", before=(), hosted=True, **config):
    esp = Esp().file(BOOT, guest("launch")).file(PROGRAM, SOLOVISOR)
    esp.file(f"/{name}.efi", guest(name))
    # The hypervisor's own lines would cut those of the probe into pieces.
    esp.text(CONFIG, config_text(**{"log": "error", **config}))
    lines = [*before, *([dos(PROGRAM)] if hosted else []), f"\\{name}.efi {arguments}".strip()]
    return esp.text("/launch.txt", "\n".join(lines) + "\n:poweroff\n")


def start(vm, machine, cpus, esp, **options):
    """`machine` is "qemu", "vtx" or "svm", the latter two in Bochs."""
    if machine == "qemu":
        return vm.qemu(esp, cpus=cpus, timeout=200, **options)
    return vm.bochs(esp, vendor=machine, cpus=cpus, timeout=400)


def expect_end(machine, timeout=180):
    """Nothing was bad; returns how much was good."""
    try:
        good, bad = machine.expect(r"^PROBE: end good=(\d+) bad=(\d+)\n", timeout).groups()
    finally:
        bad_lines = [match.group() for match in machine.seen("^PROBE: .* BAD.*$|PANIC.*$")]
    assert bad == "0" and not bad_lines, "\n".join(bad_lines)
    return int(good)


def run(vm, where, cpus, name, arguments="", hosted=True, options=None, **config):
    machine = start(vm, where, cpus, probe_esp(name, arguments, hosted=hosted, **config),
                    **(options or {}))
    if hosted:
        machine.expect(rf"Solovisor \S+ {cpus} CPU", 120)
    good = expect_end(machine)
    # The firmware goes on as well.
    machine.expect(r"LAUNCH: :poweroff", 30)
    return machine, good


MACHINES = [("qemu", 1), ("qemu", 2), pytest.param("qemu", 4, marks=full), ("vtx", 2),
            ("svm", 1), pytest.param("vtx", 1, marks=full), pytest.param("svm", 2, marks=full)]


@pytest.mark.seconds(15)
@pytest.mark.parametrize("where,cpus", MACHINES)
def test_hidden_memory(vm, where, cpus):
    """All ones to read, reserved, and whatever is written there is gone."""
    machine, good = run(vm, where, cpus, "hidden", "lax" if where == "qemu" and cpus > 1 else "")
    match = machine.seen(r"^PROBE: area=(0x[0-9a-f]+) bytes=(\d+)$")[0]
    said = machine.seen(r"Solovisor \S+ \d CPUs?, (\d+) KiB at (0x[0-9a-f]+)$")[0]
    assert match.group(1) == said.group(2)
    assert int(match.group(2)) == int(said.group(1)) * 1024
    assert int(said.group(1)) <= 8192
    assert good >= 50


@pytest.mark.seconds(10)
def test_hidden_writes_are_logged_once_a_second(vm):
    """10,000 writes within a second by the machine's own clock: one line; two seconds later another."""
    machine, _ = run(vm, "qemu", 1, "hidden", "flood 10000", options={"icount": True}, log="warn")
    lines = machine.seen(r"solovisor: cpu 0: write to the hypervisor's memory at 0x[0-9a-f]+ "
                         r"goes nowhere \((\d+) before\)$")
    assert [line.group(1) for line in lines] == ["0", "10000"]


@pytest.mark.seconds(8)
def test_hidden_memory_in_linux(vm):
    """Linux's own map of the memory calls it reserved."""
    machine = vm.qemu(linux_esp(do="iomem,poweroff"), cpus=1, timeout=100)
    said = machine.expect(r"Solovisor \S+ \d CPU, (\d+) KiB at 0x([0-9a-f]+)$", 60)
    base, size = int(said.group(2), 16), int(said.group(1)) * 1024
    machine.expect("GUEST: /proc/iomem begin", 60)
    machine.expect("GUEST: /proc/iomem end", 30)
    reserved = [(int(first, 16), int(last, 16) + 1) for first, last in
                re.findall(r"^ *([0-9a-f]+)-([0-9a-f]+) : Reserved$", machine.text, re.MULTILINE)]
    assert any(first <= base and base + size <= end for first, end in reserved), reserved
    assert machine.wait_end(30) == 0


@pytest.mark.seconds(15)
@pytest.mark.parametrize("where,cpus,shown", [
    ("qemu", 2, "named"), ("qemu", 1, "hidden"), ("qemu", 2, "bare"),
    ("vtx", 2, "named"), ("svm", 1, "hidden"),
    pytest.param("qemu", 4, "named", marks=full), pytest.param("vtx", 1, "hidden", marks=full),
    pytest.param("vtx", 2, "bare", marks=full), pytest.param("svm", 1, "bare", marks=full),
    pytest.param("svm", 1, "named", marks=full)])
def test_instructions(vm, where, cpus, shown):
    """What is intercepted or hidden looks as it should, and as it does bare."""
    arguments = shown + (" lax" if where == "qemu" else "")
    if where != "qemu" and cpus > 1:
        arguments += " unbroken"
    config = {} if shown == "bare" else {"cpuid": shown}
    run(vm, where, cpus, "insns", arguments, hosted=shown != "bare", **config)


@pytest.mark.seconds(12)
@pytest.mark.parametrize("where,hosted", [
    ("qemu", True), ("vtx", True), ("qemu", False),
    pytest.param("vtx", False, marks=full), pytest.param("svm", True, marks=full),
    pytest.param("svm", False, marks=full)])
def test_task_switches(vm, where, hosted):
    """What each task finds is what the manuals say, bare and hosted."""
    _, good = run(vm, where, 1, "task", hosted=hosted)
    assert good >= 2 * 80


@pytest.mark.seconds(20)
@pytest.mark.parametrize("where,cpus,arguments", [
    ("qemu", 2, "rounds 100"), ("qemu", 2, "x2apic rounds 100"), ("qemu", 4, "rounds 5"),
    ("vtx", 2, "rounds 10 patient lossy"),
    pytest.param("qemu", 4, "rounds 100", marks=full),
    pytest.param("qemu", 4, "x2apic rounds 100", marks=full),
    pytest.param("vtx", 2, "x2apic rounds 100 patient lossy", marks=full),
    pytest.param("vtx", 4, "rounds 20 patient lossy", marks=full)])
def test_startup(vm, where, cpus, arguments):
    """INIT and SIPI, out of whatever the CPU is doing, each SIPI starting it once."""
    run(vm, where, cpus, "startup", arguments)


@pytest.mark.seconds(10)
@pytest.mark.parametrize("where,arguments,hosted", [
    ("qemu", "", True), ("qemu", "x2apic", True), ("vtx", "rounds 10 patient", True),
    pytest.param("qemu", "", False, marks=full), pytest.param("qemu", "x2apic", False, marks=full),
    pytest.param("vtx", "x2apic rounds 10 patient", True, marks=full),
    pytest.param("vtx", "rounds 10 patient", False, marks=full)])
def test_init_forgets_interrupts(vm, where, arguments, hosted):
    """What is pending in a CPU's APIC when an INIT comes does not come after the restart."""
    run(vm, where, 2, "pending", arguments, hosted)


@pytest.mark.seconds(8)
@pytest.mark.parametrize("where,cpu", [
    ("qemu", ""), pytest.param("qemu", "phys-bits=46", marks=full)])
def test_far_addresses(vm, where, cpu):
    """100,000 random addresses drain no pool."""
    run(vm, where, 1, "far", "touches 100000", options={"cpu": cpu})


@pytest.mark.seconds(8)
@pytest.mark.parametrize("where,cpus,arguments", [
    ("qemu", 1, ""), ("qemu", 2, "other"), pytest.param("vtx", 1, "", marks=full),
    pytest.param("vtx", 2, "other", marks=full), pytest.param("svm", 1, "", marks=full)])
def test_triple_fault(vm, where, cpus, arguments):
    """The guest's triple fault shows its state and resets the machine."""
    machine = start(vm, where, cpus, probe_esp("reset", arguments))
    machine.expect("PROBE: a triple fault now", 120)
    number = 1 if arguments else 0
    machine.expect(rf"solovisor: cpu {number}: triple fault in the guest, the machine resets", 30)
    machine.expect(rf"cpu {number} guest state: rip [0-9a-f]+", 10)
    machine.expect(r"idtr 0000000000000000", 10)
    if where == "qemu":
        assert machine.wait_end(30) == 0
    else:
        # Bochs says so. Its OVMF does not come up again, bare neither: it waits on an ACPI timer without a port.
        machine.wait_until(lambda: machine.bochs_log().count("Reset(HARDWARE) called") > 1, 60)
