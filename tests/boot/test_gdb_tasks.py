# SPDX-License-Identifier: BSD-2-Clause
"""gdb's step over a hardware task switch, and its watchpoint on what the switch reads; tests/guests/switches.c is the guest."""
import pytest
from emulator import BUILD
from test_gdb import TF, debugged, registers  # noqa: F401
from test_probes import expect_end, probe_esp

full = pytest.mark.full

# As tests/guests/switches/cases.h has them.
BASE, TESTED, SEL_B = 0x3000000, 0x10000, 0x20
TSS_A, TSS_B, CODE = BASE + 0x3000, BASE + 0x3100, BASE + 0x8000
EFLAGS, EAX = 0x24, 0x28


# No row of Bochs with several CPUs: they meet the guest's own breakpoint on an instruction for ever (docs/emulators.md).
@full
@pytest.mark.seconds(60)
@pytest.mark.parametrize("where,cpus,arguments", [
    ("qemu", 1, "lax"), ("qemu", 2, "lax"), ("vtx", 1, "bochs"), ("svm", 1, "bochs no-vm86 lax-gate")])
def test_task_switches(debugged, where, cpus, arguments):  # noqa: F811
    """The step ends at the incoming task's first instruction, and the outgoing task has saved no TF of the debugger's."""
    esp = probe_esp("switches", arguments, gdb="com2", log="info", **{"gdb-wait": "yes"})
    guest = debugged(where, cpus, esp=esp)
    guest.machine.expect(r"cpu 0: .*guest starts at", 150)
    gdb = guest.attach()
    task = CODE + gdb.value("(long)&switch_task - (long)&switch_start", f"file {BUILD}/obj/guests/switches.so")
    gdb.do("file")
    gdb.do(f"hbreak *{TESTED:#x}")
    assert "Breakpoint 1, " in gdb.go(seconds=200)
    assert gdb.do("x/5xb $rip").split(":")[1].split()[0] == "0xea"
    gdb.do("stepi")
    after = registers(gdb, "rip", "tr", "eflags")
    assert after["rip"] == task and after["tr"] == SEL_B and after["eflags"] & TF == 0
    assert gdb.value(f"*(unsigned int *){TSS_A + EFLAGS:#x}") & TF == 0
    # The same again, of which the hypervisor's own step is a part. QEMU traps in the middle (docs/emulators.md).
    assert "Breakpoint 1, " in gdb.go(seconds=60)
    if where != "qemu":
        gdb.do(f"awatch *(unsigned int *){TSS_B + EAX:#x}")
        said = gdb.go(seconds=60)
        assert "Hardware access (read/write) watchpoint 2" in said
        after = registers(gdb, "rip", "tr")
        assert after["rip"] == task and after["tr"] == SEL_B
    gdb.do("delete")
    gdb.do("detach")
    assert expect_end(guest.machine) > 20
