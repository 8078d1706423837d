# SPDX-License-Identifier: BSD-2-Clause
"""gdb's steps over SYSRET to CPL 3 and SYSCALL back, with the guest's own TF there and not, in SFMASK and not."""
import pytest
from test_debug_registers import at, own_lines
from test_gdb import RF, TF, debugged, registers  # noqa: F401
from test_probes import expect_end

full = pytest.mark.full


def break_at(gdb, address):
    gdb.do(f"thbreak *{address:#x}")
    assert "breakpoint " in gdb.go()
    assert at(gdb) == address


@full
@pytest.mark.seconds(40)
@pytest.mark.parametrize("where,cpus", [("qemu", 1), pytest.param("vtx", 1, marks=pytest.mark.seconds(100))])
def test_system_calls(debugged, where, cpus):  # noqa: F811
    """One step is one of them, whatever TF becomes; the guest sees the registers and traps that it sees without a debugger."""
    guest = debugged(where, cpus, "rounds 5 syscalls")
    gdb = guest.attach_to_debuggee()
    sysret, syscall, entry, handlers = (gdb.value(name) for name in ("sysret_at", "syscall_at", "entry_at", "&trial_entries"))
    gdb.do("set var attached=1")
    # What this machine traps on: QEMU by the TF behind the two, as CPUs do, Bochs by the one before.
    without = own_lines(guest.machine, "without")
    for (tf, mask), line in zip(((0, 0), (0, TF), (TF, 0), (TF, TF)), without, strict=True):
        assert line.startswith(f"tf={tf:x} mask={mask:x}:")
        break_at(gdb, sysret)
        before = registers(gdb, "eflags", "r11", "cs")
        assert before["eflags"] & TF == 0 and before["r11"] & TF == tf and before["cs"] & 3 == 0
        gdb.do("stepi")
        after = registers(gdb, "rip", "eflags", "r11", "cs", "rcx")
        assert after["rip"] == after["rcx"] == syscall and after["cs"] & 3 == 3
        assert after["r11"] == after["eflags"] == before["r11"]
        if " db@40," in line:  # the guest's trap, and back from it
            gdb.do("stepi")
            assert at(gdb) == handlers + 16
            break_at(gdb, syscall)
        before = registers(gdb, "eflags")
        gdb.do("stepi")
        after = registers(gdb, "rip", "eflags", "r11", "cs", "rcx")
        assert after["rip"] == entry and after["cs"] & 3 == 0 and after["rcx"] == syscall + 2
        assert after["r11"] & ~RF == before["eflags"] & ~RF and after["r11"] & TF == tf
        assert after["eflags"] & TF == tf & ~mask
        gdb.do("stepi")
        assert at(gdb) == (handlers + 16 if " db@80," in line else entry + 1)
    gdb.do("detach")
    expect_end(guest.machine)
    assert own_lines(guest.machine, "with") == without
