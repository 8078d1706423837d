# SPDX-License-Identifier: BSD-2-Clause
"""gdb's steps by lines: the hypervisor goes on by itself as long as the guest is within one."""
import re
import time

import pytest
from terminal import Terminal
from test_gdb import debugged  # noqa: F401
from test_monitor import fixture_terminals  # noqa: F401
from test_probes import expect_end

full = pytest.mark.full


def go_to(gdb, instruction):
    """To where that is in debuggee_work."""
    at = re.search(rf"^ +0x([0-9a-f]+) .*\t{instruction}", gdb.do("disassemble debuggee_work"), re.M)
    gdb.do(f"tbreak *0x{at.group(1)}")
    assert "reakpoint " in gdb.go()
    assert gdb.value("$rip") == int(at.group(1), 16)


def packets(gdb, command):
    """What a command makes gdb send to go on, and what it says at the end."""
    gdb.do("set debug remote 1")
    said = gdb.go(command)
    gdb.do("set debug remote 0")
    return re.findall(r"Sending packet: \$(vCont;[^#?]*)#", said), said


@pytest.mark.seconds(30)
@pytest.mark.parametrize("where,cpus", [
    ("qemu", 2), *(pytest.param(*machine, marks=full) for machine in (("qemu", 1), ("vtx", 1), ("vtx", 2), ("svm", 1), ("svm", 2)))])
def test_steps_by_lines(debugged, where, cpus):  # noqa: F811
    """All iterations of a REP MOVSB are one step; breakpoints, interrupts and Ctrl-C end one in its middle."""
    guest = debugged(where, cpus, "rounds 5 spin")
    gdb = guest.attach_to_debuggee()
    gdb.do("break debuggee_wound")
    gdb.do("set var attached=1")
    assert "debuggee_wound" in gdb.go()
    gdb.do("delete")
    go_to(gdb, "rep movsb")
    # 16 iterations, and no packet between them.
    sent, said = packets(gdb, "next")
    assert len(sent) == 1 and sent[0].startswith("vCont;r"), sent
    assert gdb.value("$rcx") == 0 and "pushfq" in said

    # A breakpoint in the middle of a line, of either kind.
    after_ss = gdb.value("&debuggee_after_ss")
    for command in ("tbreak", "thbreak"):
        go_to(gdb, "cli")
        gdb.do(f"{command} *{after_ss - 4:#x}")
        sent, said = packets(gdb, "next")
        assert sent[0].startswith("vCont;r") and "reakpoint " in said
        assert gdb.value("$rip") == after_ss - 4

    # A line without an end.
    gdb.start()
    guest.machine.expect(r"^DEBUGGEE: spins$", 150)
    assert "received signal SIGINT" in gdb.interrupt()
    gdb.do("thread 1")
    counts = [gdb.value(f"spun[{cpu}]") for cpu in range(cpus)]
    gdb.child.sendline("next")
    time.sleep(1)
    assert "received signal SIGINT" in gdb.interrupt()
    assert re.match(r"#0 .*debuggee_spin \(argument=", gdb.do("bt 1"))
    # What the manual says to do with one; to gdb it ends where the function does as well.
    gdb.do("thread 1")
    gdb.do("set var released=0x77")
    assert "spin_on_all () at" in gdb.go("advance debuggee_end", 120)
    for cpu in range(cpus):
        assert gdb.value(f"spun[{cpu}]") > counts[cpu] + 3
    gdb.do("detach")
    expect_end(guest.machine)
    assert guest.machine.seen(r"^DEBUGGEE: released=119$")


@full
@pytest.mark.seconds(30)
@pytest.mark.parametrize("where,cpus", [("qemu", 1), ("qemu", 2), ("vtx", 1), ("vtx", 2)])
def test_monitor_beside_a_step(debugged, terminals, where, cpus):  # noqa: F811
    """Commands of the monitor, on the other line, while gdb steps: gdb does not notice, and a step is one instruction."""
    guest = debugged(where, cpus, "rounds 5 spin", **{"serial-mode": "share", "log": "info"})
    gdb = guest.attach_to_debuggee()
    gdb.do("set var attached=1")
    gdb.start()
    guest.machine.expect(r"^DEBUGGEE: spins$", 150)
    assert "received signal SIGINT" in gdb.interrupt()
    gdb.do("thread 1")
    spun = gdb.value("&spun[0]")
    terminal = Terminal(guest.machine)
    terminals.append(terminal)
    terminal.begin(shared=True)
    gdb.child.sendline("next")
    counts = [int(terminal.do(f"x {spun:#x}").split()[1], 16) for _ in range(20)]
    assert counts == sorted(counts) and counts[-1] > counts[0] + 3
    assert "received signal SIGINT" in gdb.interrupt()

    # The loop's instructions in their order, and then with commands in between.
    around = []
    while not around or gdb.value("$rip") != around[0]:
        around.append(gdb.value("$rip"))
        gdb.do("stepi")
    for i in range(30):
        gdb.child.sendline("stepi")
        terminal.do("version")
        gdb.wait()
        assert gdb.value("$rip") == around[(i + 1) % len(around)]
    gdb.do("set var released=0x77")
    gdb.do("detach")
    terminal.type("\x1d")
    expect_end(guest.machine)
