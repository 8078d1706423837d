# SPDX-License-Identifier: BSD-2-Clause
"""Linux at work under Solovisor: stress, CPUs off and on, NMIs, another kernel, a crash, sleep.

What the kernel would print of a lost interrupt, a stuck CPU or an NMI that nobody sent fails the
test (the word `complaints`, tests/guests/linux/init), and so does any line of Solovisor's log at
level warn.  With host None the same runs bare: a message that comes then as well is not Solovisor's.
"""
import re
import time

import pytest
from chains import linux_esp
from emulator import INITRAMFS_KERNEL, INITRAMFS_STRESS, Qemu

# The guest's processes on one CPU are to wake at least so often, though the host is busy elsewhere.
WAKES_A_SECOND = 5
LONGEST_SLEEP_MS = 5000
TICKS_A_SECOND = 10

# A tick that was pending when the kernel before ended: no INIT comes to the CPU that starts the next one. The only
# complaint of bare runs; Linux's comment on it names this case.
LEFT_OVER = "Spurious LAPIC timer interrupt on cpu 0$"
# Bochs's AMD-V model, bare as well: no HWCR.TscFreqSel, and a TSC that runs apart from the PIT.
BOCHS_SVM = LEFT_OVER + "|TSC doesn't count with P0 frequency!$|Marking clocksource 'tsc-early' as unstable"

HOSTED_AND_BARE = ["next", pytest.param(None, marks=pytest.mark.full, id="bare")]


def boot(vm, host, do, part, cpus=4, cmdline="", emulator="qemu", **options):
    """A machine with 4 CPUs whose Linux does what `do` says; it has reached userspace."""
    parts = {"stress": {"/stress.cpio": INITRAMFS_STRESS},
             "kernel": {"/kernel.cpio": INITRAMFS_KERNEL}}[part]
    esp = linux_esp(emulator, host=host, do=do, cmdline=cmdline, parts=parts,
                    config={"log": "warn"})
    options = {"mem": 1024, "timeout": 400, **options}
    machine = vm.start(emulator, esp, cpus=cpus, **options)
    if host:
        machine.expect(rf"Solovisor \S+ {cpus} CPUs?, \d+ KiB", 120)
    machine.started_at = machine.position
    expect_userspace(machine, host, cpus)
    return machine


def expect_userspace(machine, host, cpus, timeout=120):
    name = "SolovisorHV" if host else r"(?!Solovisor)\S+"
    machine.expect(rf"GUEST: cpus={cpus}$", timeout)
    machine.expect(rf"GUEST: hypervisor={name}$", 30)


def expect_end(machine, allowed=None):
    """Power-off, after nothing that anybody would complain about."""
    machine.expect(r"GUEST: complaints=\d+$", 60)
    machine.expect(r"GUEST: poweroff$", 60)
    if isinstance(machine, Qemu):
        assert machine.wait_end(30) == 0
    expect_quiet(machine, allowed)


def expect_quiet(machine, allowed=None):
    text = machine.text[machine.started_at:]
    lines = re.findall(r"^.*(?:GUEST: complaint: |solovisor: ).*$", text, re.MULTILINE)
    assert not [line for line in lines if not (allowed and re.search(allowed, line))]


def counts(machine, name):
    """Each time the guest showed this line of /proc/interrupts: the counts of its CPUs."""
    return [[int(number) for number in match.group(1).split()]
            for match in machine.seen(rf"^GUEST: interrupts {name}((?: \d+)+)$")]


def differences(machine, name):
    first, last = counts(machine, name)
    return [after - before for before, after in zip(first, last)]


def stress(vm, host, seconds, rounds, timeout):
    """stress-ng for so many seconds and every CPU but the first off and on for so many rounds."""
    machine = boot(vm, host, f"run:load:stress:{seconds}:{rounds},checksum,complaints,poweroff",
                   "stress", timeout=timeout)
    machine.expect("GUEST: stress begin$", 60)
    # A line that is typed comes back only if the serial line's interrupts arrive.
    lines = 0
    while True:
        machine.send(f"{lines}\n")
        index, _ = machine.expect_any([rf"GUEST: echo {lines}$", "GUEST: stress end$"], timeout)
        if index:
            break
        lines += 1
    machine.expect(r"GUEST: stress status=0 cpus=4$", 60)
    machine.expect(r"GUEST: checksum ok cpus=4$", 60)
    expect_end(machine)
    check_stress(machine, seconds, rounds, lines)


def check_stress(machine, seconds, rounds, lines):
    assert lines >= seconds
    assert machine.seen(rf"^GUEST: hotplug rounds={rounds} failed=0 ")
    assert machine.seen("successful run completed")
    assert not machine.seen(r"^stress-ng: (?:fail|error)")
    pulses = machine.seen(r"^GUEST: pulse cpu=(\d+) wakes=(\d+) longest=(\d+)$")
    assert sorted(pulse.group(1) for pulse in pulses) == ["0", "1", "2", "3"]
    for pulse in pulses:
        assert int(pulse.group(2)) >= seconds * WAKES_A_SECOND, pulse.group()
        assert int(pulse.group(3)) <= LONGEST_SLEEP_MS, pulse.group()
    assert min(differences(machine, "LOC")) >= seconds * TICKS_A_SECOND
    assert min(differences(machine, "CAL")) > 0
    # Solovisor's own NMIs are not the guest's.
    for name in ("NMI", "SPU", "ERR", "MIS"):
        assert not any(differences(machine, name)), name


@pytest.mark.seconds(50)
@pytest.mark.parametrize("host", HOSTED_AND_BARE)
def test_stress(vm, host):
    """All that stress-ng does to the CPUs, for 20 seconds."""
    stress(vm, host, 20, 3, timeout=400)


@pytest.mark.soak
@pytest.mark.seconds(1000)
@pytest.mark.parametrize("host", HOSTED_AND_BARE)
def test_soak(vm, host):
    """The same for 10 minutes, with every CPU switched off and on 100 times."""
    stress(vm, host, 600, 100, timeout=3600)


def expect_nmis(machine, cpus, rounds):
    """Each CPU but the one that asks got exactly the NMIs that were sent, and answered."""
    machine.expect(r"GUEST: nmi before( 0)+$", 60)
    machine.expect(rf"GUEST: nmi after 0{f' {rounds}' * (cpus - 1)}$", 120)
    machine.expect(rf"GUEST: nmi backtraces={rounds * (cpus - 1)}$", 10)


def wake(machine):
    """Press a key until the machine is awake again: one that comes before it sleeps is lost."""
    for _ in range(20):
        time.sleep(4)
        # Awake, it may come to its end at any moment.
        if machine.text.rfind("GUEST: freeze suspends") >= machine.position:
            return
        machine.send("\n")


@pytest.mark.seconds(35)
@pytest.mark.parametrize("host", HOSTED_AND_BARE)
def test_freeze_and_kexec(vm, host):
    """NMIs, suspend-to-idle, then a second kernel with its own initramfs, that does the same."""
    machine = boot(vm, host, "run:load:nmi:3,run:load:freeze,hotplug,checksum,complaints,"
                   "run:load:kexec:run+load+nmi+3:run+load+freeze:hotplug:checksum:complaints:poweroff",
                   "kernel")
    for kernel in ("first", "second"):
        expect_nmis(machine, 4, 3)
        machine.expect("GUEST: freeze$", 60)
        wake(machine)
        machine.expect(r"GUEST: freeze suspends=1$", 10)
        machine.expect(r"GUEST: hotplug ok cpus=4$", 60)
        machine.expect(r"GUEST: checksum ok cpus=4$", 60)
        if kernel == "first":
            machine.expect(r"GUEST: complaints=0$", 60)
            machine.expect("GUEST: kexec$", 60)
            expect_userspace(machine, host, 4)
    expect_end(machine, LEFT_OVER)


# The CPU that crashes, the CPUs that its successor may use, and those it then has: the boot CPU
# cannot be started again by INIT, and stays out if it is not the one that crashed.
CRASHES = [(0, 1, 1), (0, 4, 4), (2, 4, 3)]


@pytest.mark.seconds(70)
@pytest.mark.parametrize("host", HOSTED_AND_BARE)
@pytest.mark.parametrize("cpu,limit,cpus", [
    pytest.param(*crash, marks=pytest.mark.full) for crash in CRASHES])
def test_crash(vm, cpu, limit, cpus, host, full):
    """A crash with the other CPUs busy: NMIs stop them, the crash kernel restarts them."""
    mib = 16 if full else 4
    words = f"checksum:run+load+vmcore+{mib}:run+load+nmi+2:complaints:poweroff"
    machine = boot(vm, host, f"run:load:crash:{cpu}:{limit}:{words}", "kernel", mem=768,
                   cmdline="crashkernel=256M")
    machine.expect("GUEST: crash$", 60)
    expect_userspace(machine, host, cpus)
    machine.expect(rf"GUEST: checksum ok cpus={cpus}$", 60)
    machine.expect(r"GUEST: vmcore OSRELEASE=\S+$", 60)
    read = machine.expect(r"GUEST: vmcore bytes=(\d+) first=(\d+) last=(\d+)$", 200)
    size, first, last = (int(number) for number in read.groups())
    assert size > 256 << 20 and first == mib << 20 and last >= mib << 20
    expect_nmis(machine, cpus, 2)
    expect_end(machine, LEFT_OVER)


@pytest.mark.full
@pytest.mark.seconds(300)
@pytest.mark.parametrize("vendor,cpus", [("vtx", 1), ("vtx", 2), ("svm", 1)])
def test_kexec_bochs(vm, vendor, cpus):
    """A second kernel on VT-x, and on Bochs's AMD-V."""
    machine = boot(vm, "next", "run:load:kexec:checksum:complaints:poweroff", "kernel", cpus,
                   emulator="bochs", vendor=vendor, mem=512, timeout=900)
    machine.expect("GUEST: kexec$", 120)
    expect_userspace(machine, "next", cpus, 400)
    machine.expect(rf"GUEST: checksum ok cpus={cpus}$", 120)
    expect_end(machine, BOCHS_SVM if vendor == "svm" else LEFT_OVER)
