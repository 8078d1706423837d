# SPDX-License-Identifier: BSD-2-Clause
"""GDB below the guest: Debian's gdb on the hypervisor's own serial line, QEMU for AMD-V and Bochs for VT-x."""
import re

import pytest
from chains import PROGRAM, dos
from emulator import free_port
from gdb_session import Gdb, Relay
from test_probes import expect_end, probe_esp

full = pytest.mark.full
WRITES = 20


class Debugged:
    """A machine with a debuggee, and gdb at the other end of its second serial line."""

    def __init__(self, vm, where, cpus, arguments="", **config):
        port = free_port()
        esp = probe_esp("debuggee", arguments, gdb="com2", **config)
        self.where = where
        self.name = vm.name
        self.relay = Relay(port)
        if where == "qemu":
            second = ["-chardev", f"socket,id=second,host=127.0.0.1,port={port},server=on,wait=off",
                      "-serial", "chardev:second"]
            self.machine = vm.qemu(esp, cpus=cpus, timeout=300, extra=second)
        else:
            self.machine = vm.bochs(esp, vendor=where, cpus=cpus, gdb=port, timeout=600)
        self.sessions = []

    def attach(self):
        gdb = Gdb(f"{self.name}.{len(self.sessions)}", self.relay.port)
        self.sessions.append(gdb)
        gdb.said = gdb.attach()
        return gdb

    def attach_to_debuggee(self, seconds=150):
        """With its symbols; it waits for us."""
        main = int(self.machine.expect(r"^DEBUGGEE: main=0x([0-9a-f]+)$", seconds).group(1), 16)
        gdb = self.attach()
        gdb.symbols("debuggee", "efi_main", main)
        assert "efi_main" in gdb.do("info threads")
        return gdb

    def end(self):
        for gdb in self.sessions:
            gdb.end()
        self.relay.close()


@pytest.fixture
def debugged(vm):
    machines = []

    def start(*arguments, **options):
        machines.append(Debugged(vm, *arguments, **options))
        return machines[-1]

    yield start
    for machine in machines:
        machine.end()


def registers(gdb, *names):
    said = gdb.do("info registers " + " ".join(names))
    return {name: int(value, 16) for name, value in re.findall(r"^(\w+)\s+(0x[0-9a-f]+)", said, re.M)}


@pytest.mark.seconds(40)
@pytest.mark.parametrize("where,cpus", [("qemu", 4), ("vtx", 2), pytest.param("qemu", 1, marks=full),
                                        pytest.param("svm", 2, marks=full)])
def test_session(debugged, where, cpus):
    """Breakpoints, backtrace, registers, memory, watchpoints; the guest sees what was changed, and goes on to its end."""
    guest = debugged(where, cpus, "rounds 20 writers")
    gdb = guest.attach_to_debuggee()
    assert gdb.do("info threads").count("CPU ") == cpus

    # A function on the way to another, with what called it; a variable that it uses is another now.
    gdb.do("break debuggee_inner")
    gdb.do("set var knob=7")
    gdb.do("set var attached=1")
    assert "Breakpoint 1, debuggee_inner (a=a@entry=11, b=7)" in gdb.go()
    frames = re.findall(r"^#\d+ .*?(debuggee_\w+|efi_main) \(", gdb.do("bt 4"), re.M)
    assert frames[:2] == ["debuggee_inner", "debuggee_middle"] and "efi_main" in frames
    code = gdb.do("x/8xb debuggee_inner")
    assert "0xcc" not in code
    assert "Value returned is $1 = 40" in gdb.go("finish")

    # A register is another when the guest goes on.
    gdb.do("hbreak debuggee_here")
    assert "Breakpoint 2, " in gdb.go()
    assert registers(gdb, "rax")["rax"] == 0x1111
    gdb.do("set var $rax=0x2222")

    # Who writes, and what; each write once.
    count = min(cpus, 4)
    for cpu in range(count):
        assert f"watchpoint {cpu + 3}: watched[{cpu}]" in gdb.do(f"watch watched[{cpu}]")
    for _ in range(count * 2):
        said = gdb.go(seconds=120)
        cpu = int(re.search(r"watchpoint \d: watched\[(\d)\]", said).group(1))
        old, new = (int(value) for value in re.search(r"Old value = (\d+)\nNew value = (\d+)", said).groups())
        assert new == old + 1 and "debuggee_write" in said
        assert re.search(rf"Thread {cpu + 1} hit", said)
    gdb.do("delete")

    gdb.do("break debuggee_end")
    assert "debuggee_end" in gdb.go(seconds=120)
    assert [gdb.value(f"watched[{cpu}]") for cpu in range(count)] == [WRITES] * count
    assert "detached" in gdb.do("detach")
    expect_end(guest.machine)
    assert guest.machine.seen(r"^DEBUGGEE: outer=40$") and guest.machine.seen(r"^DEBUGGEE: register=0x2222$")


@pytest.mark.seconds(20)
@pytest.mark.parametrize("where,cpus", [("qemu", 2), ("vtx", 1), pytest.param("svm", 1, marks=full)])
def test_before_the_first_instruction(debugged, where, cpus):
    """gdb-wait: nothing of the guest has run; physical memory; it goes on as if nobody had looked."""
    guest = debugged(where, cpus, **{"gdb-wait": "yes", "log": "info"})
    address = int(guest.machine.expect(r"cpu 0: .*guest starts at 0x([0-9a-f]+)", 150).group(1), 16)
    gdb = guest.attach()
    assert registers(gdb, "rip")["rip"] == address
    assert registers(gdb, "efer")["efer"] & 0x500 == 0x500
    assert gdb.do("info threads").count("CPU ") == cpus
    virtual = gdb.do("x/4xb $rip")
    gdb.do("monitor phys")
    assert gdb.do("x/4xb $rip") == virtual  # the firmware maps all memory where it is
    gdb.do("monitor virt")
    gdb.do("stepi")
    assert registers(gdb, "rip")["rip"] != address
    assert not guest.machine.seen("LAUNCH: " + re.escape(dos(PROGRAM)))
    gdb.do("detach")
    guest.machine.expect(r"^DEBUGGEE: main=", 150)
