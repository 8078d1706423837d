# SPDX-License-Identifier: BSD-2-Clause
"""The monitor: its commands by GDB, and typed at a line of its own."""
import importlib.machinery
import importlib.util
import os
import re

import pytest
from emulator import TOP, Patience, free_port
from terminal import PROMPT, Terminal
from test_gdb import Debugged
from test_probes import expect_end, probe_esp

full = pytest.mark.full

# What a guest that is in its NMI handler, or has interrupts off, may answer some times.
REFUSED = "inject: the event cannot be delivered now\n"
TRIES = 50


def trace_report():
    """The script as a module."""
    loader = importlib.machinery.SourceFileLoader("report", os.path.join(TOP, "scripts/trace-report"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("report", loader))
    loader.exec_module(module)
    return module


@pytest.mark.seconds(25)
@pytest.mark.parametrize("where,cpus", [("qemu", 2), pytest.param("vtx", 2, marks=full),
                                        pytest.param("svm", 1, marks=full)])
def test_commands_of_gdb(vm, where, cpus):
    """What `monitor` says is what GDB sees, and exits of the quick way are in the trace. COM1 is the guest's alone."""
    guest = Debugged(vm, where, cpus, "rounds 5", **{"serial-mode": "pass", "log": "info"})
    try:
        gdb = guest.attach_to_debuggee()
        # Whichever CPU noticed the debugger: the monitor's commands are about the thread that is looked at.
        for cpu in [*range(1, cpus), 0]:
            gdb.do(f"thread {cpu + 1}")
            # GDB names the thread when it reads something of it, which it may have read before.
            gdb.do("maintenance flush register-cache")
            assert f"rip {gdb.value('$cs'):04x}:{gdb.value('$rip'):016x}\n" in gdb.do("monitor regs")
            assert gdb.do("monitor cpu") == f"cpu {cpu}\n"
            assert f"\n* cpu {cpu} " in "\n" + gdb.do("monitor cpus")
        # Without a thread of GDB's: of its own, until GDB names the next one.
        if cpus > 1:
            rip = gdb.value("$rip")
            assert gdb.do("monitor cpu 1") == "cpu 1\n"
            assert gdb.do("monitor cpu") == "cpu 1\n"
            gdb.do("maintenance flush register-cache")
            assert gdb.value("$rip") == rip
            gdb.do("monitor cpu 0")
        assert re.search(r"^Solovisor \S+ on (VT-x|AMD-V), %d CPUs$" % cpus, gdb.do("monitor version"),
                         re.M)
        rip = gdb.value("$rip")
        assert f"rip {gdb.value('$cs'):04x}:{rip:016x}\n" in gdb.do("monitor regs")
        said = gdb.do("monitor cpus")
        assert len(re.findall(r"^[* ] cpu \d+ ", said, re.M)) == cpus and f"{rip:016x}" in said
        knob = gdb.value("(long)&knob")
        assert gdb.do(f"monitor x {knob:#x}") == f"{knob:016x}: 0000000000000001\n"
        said = gdb.do(f"monitor walk {knob:#x}")
        assert re.search(r"^4-level paging\n(  P\w+ +at .*\n)+  \w+ -> gpa 0*%x, " % knob, said)
        assert re.search(r"^(EPT|NPT)\n(  .*P\w+ +at .*\n)+  \w+ -> hpa 0*%x, " % knob, said, re.M)
        assert "hidden: all ones" in gdb.do("monitor maps")
        assert "cpu 0: APIC ID 0x0, guest starts at" in gdb.do("monitor log")
        assert not guest.machine.seen("guest starts")
        assert gdb.do("monitor cont") == "cont: GDB runs the guest: use its own commands\n"
        assert gdb.do("monitor frob") == "there is no such command; `help` lists them\n"
        assert gdb.do(f"monitor track {knob:#x} 8") == ""
        gdb.do("monitor trace on")
        gdb.do("set var knob=7")
        said = gdb.do("monitor track")
        assert re.match(rf"0*{knob:x}-\w+: 1 writes, the last one by cpu \d at 0*{knob:x}: 8 bytes, 07", said)
        gdb.do("monitor track off")
        gdb.do("set var attached=1")
        gdb.do("hbreak debuggee_end")
        assert "debuggee_end" in gdb.go(seconds=120)
        gdb.do("monitor trace off")
        dump = trace_report().parse(gdb.do("monitor trace dump"))
        assert dump.cpus == cpus
        cpuids = [exit for exit in dump.exits if exit.kind == "CPUID" and exit.cpu == 0]
        assert cpuids and all(0 < abs(exit.rip - rip) < 0x10000 or exit.rip == rip for exit in cpuids)
        assert "leaf=0.0 eax=" in cpuids[-1].detail and cpuids[-1].cycles > 0
        count = int(re.search(r"^CPUID +(\d+)", gdb.do("monitor stats"), re.M).group(1))
        assert count >= len(cpuids)
        gdb.do("delete")
        assert "detached" in gdb.do("detach")
        expect_end(guest.machine)
    finally:
        guest.end()


# --- on a line of its own ---------------------------------------------------------------------------

@pytest.fixture(name="terminals")
def fixture_terminals():
    opened = []
    yield opened
    for terminal in opened:
        terminal.close()


def expect_guest(machine):
    """Its three addresses."""
    found = machine.expect(r"MONITORED: count=0x(\w+) work=0x(\w+) text=0x(\w+)\n", 240)
    return [int(word, 16) for word in found.groups()]


def start(vm, terminals, where, cpus, **config):
    """A machine with the guest of these tests, the terminal at its second line, and the guest's addresses."""
    port = free_port()
    esp = probe_esp("monitored", **{"serial": "com2", "serial-mode": "own", **config})
    if where == "qemu":
        machine = vm.qemu(esp, cpus=cpus, timeout=300, extra=[
            "-serial", f"tcp:127.0.0.1:{port},server=on,wait=off,nodelay=on"])
    else:
        machine = vm.bochs(esp, vendor=where, cpus=cpus, timeout=600, gdb=port)
    terminal = Terminal(machine, port)
    terminals.append(terminal)
    addresses = expect_guest(machine)
    terminal.begin(config.get("serial-mode") == "share")
    return machine, terminal, addresses


def value_at(terminal, address):
    said = terminal.do(f"x {address:#x}")
    return int(re.fullmatch(rf"0*{address:x}: (\w{{16}})\n", said).group(1), 16)


def rip_of(terminal, cpu=0):
    return int(re.search(r"^rip \w+:(\w+)$", terminal.do(f"regs {cpu}"), re.MULTILINE).group(1), 16)


def look(terminal, cpus, count, work, text):
    """Commands that only look."""
    assert re.search(r"^Solovisor \S+ on (VT-x|AMD-V), %d CPUs$" % cpus, terminal.do("version"),
                     re.MULTILINE)
    assert "poweroff" in terminal.do("help")
    assert terminal.do("help walk").startswith("walk [gva|gpa] ADDR")
    said = terminal.do("cpus")
    assert len(re.findall(r"^[* ] cpu \d+ ", said, re.MULTILINE)) == cpus
    assert work <= rip_of(terminal) + 0x1000 < work + 0x10000
    assert re.search(r"^cr0 .* PE .*PG", terminal.do("sregs"), re.MULTILINE)
    assert terminal.do(f"x/s {text:#x}") == f'{text:016x}: "what the monitor is to find"\n'
    assert "77 68 61 74  what\n" in terminal.do(f"x/4xb gpa {text:#x}")
    first = value_at(terminal, count)
    # A busy host may give its CPU no time between two of them.
    assert any(value_at(terminal, count) > first for _ in range(50)), "the guest does not run between two commands"
    said = terminal.do(f"walk {count:#x}")
    assert re.search(r"^4-level paging\n(  P\w+ +at .*\n)+  \w+ -> gpa 0*%x, " % count, said)
    assert re.search(r"^(EPT|NPT)\n(  .*P\w+ +at .*\n)+  \w+ -> hpa 0*%x, " % count, said,
                     re.MULTILINE)
    said = terminal.do("maps")
    assert "hidden: all ones" in said and " rwx " in said
    hidden = re.search(r"^(\w+)-\w+ .*hidden", said, re.MULTILINE).group(1)
    assert "ff ff ff ff" in terminal.do(f"x/4xb gpa 0x{hidden}") or \
        "no memory" in terminal.do(f"x/4xb gpa 0x{hidden}")
    assert "no memory" not in terminal.do(f"x/4xb hpa 0x{hidden}")
    assert re.match(r"#0  \w+  frame", terminal.do("bt"))
    assert terminal.do("msr 0x1b") == "msr 0x1b is 0x00000000fee00900\n"


def refuse(terminal, absent_msr):
    """One line why, and nothing changed."""
    for line, why in (("frob", "there is no such command; `help` lists them"),
                      ("regs 99", "regs: there is no such CPU"),
                      ("x", "x: a number is missing"),
                      ("x/3q 0", "x: the format is a count, x d u c or s, and b h w or g"),
                      (f"msr {absent_msr:#x}", "msr: #GP: there is no such MSR"),
                      ("cont", "cont: the guest is not stopped"),
                      ("step", "step: the guest is not stopped"),
                      ("watch 0x1000 0", "watch: the range is empty, or goes beyond the end"),
                      ("track 0xfee00000 8", "track: a part of it is no RAM of the guest's, or "
                                             "there is no more room to track"),
                      ("delete 3", "delete: there is none of that number"),
                      ("inject 14 0x12345", "inject: an error code has 16 bits"),
                      ("trace maybe", "trace: on, off, or dump")):
        assert terminal.do(line) == why + "\n"


def edit(terminal):
    """Completion, history, cursor and control keys."""
    terminal.type("vers\t")
    terminal.expect("ion ")
    terminal.type("\r")
    terminal.expect("Solovisor")
    terminal.expect(re.escape(PROMPT))
    terminal.type("\x1b[A\r")
    terminal.expect("Solovisor")
    terminal.expect(re.escape(PROMPT))
    terminal.type("rsion\x01ve\x05\r")
    terminal.expect("Solovisor")
    terminal.expect(re.escape(PROMPT))
    terminal.type("t\t")
    terminal.expect("rac")
    terminal.type("\x15nonsense\x03")
    terminal.expect(r"\^C\r\n")
    terminal.expect(re.escape(PROMPT))


def until(terminal, command, is_good):
    """What it says in the end: between two commands a slow guest may not have come to anything."""
    patience = Patience(30)
    while True:
        said = terminal.do(command)
        if is_good(said):
            return said
        assert patience.tick() > 0, said


def newest_exits(terminal):
    """Forty that have happened since this was called, and a few."""
    assert terminal.do("trace on") == "the trace is on\n"
    until(terminal, "trace",
          lambda said: int(re.search(r": (\d+) exits kept", said).group(1)) >= 50)
    assert terminal.do("trace off") == "the trace is off\n"
    dump = trace_report().parse(terminal.do("trace dump 40", 120))
    assert len(dump.exits) == 40
    return dump.exits


def measure(terminal, work):
    """Exits, counted and recorded."""
    def cpuids(said):
        return int(re.search(r"^CPUID +(\d+)", said, re.MULTILINE).group(1))

    first = cpuids(terminal.do("stats"))
    until(terminal, "stats", lambda said: cpuids(said) > first)
    found = [exit for exit in newest_exits(terminal) if exit.kind == "CPUID"]
    assert found and all(work <= exit.rip < work + 0x1000 for exit in found if exit.cpu == 0)
    assert "leaf=0.0 eax=" in found[0].detail and found[0].cycles > 0
    terminal.type("stats live\r")
    for _ in range(2):
        terminal.expect(r"exits: \d+/s on \d CPUs; a key ends this")
        terminal.expect(r"CPUID +#+ +\d+/s")
    terminal.type("q")
    terminal.expect_prompt()


def watch(terminal, count, work):
    """Stops, steps and writes."""
    assert terminal.do(f"track {count:#x} 8") == ""
    said = until(terminal, "track", lambda said: ": 0 writes" not in said)
    assert re.match(rf"0*{count:x}-\w+: \d+ writes, the last one by cpu 0 at 0*{count:x}: \d bytes,",
                    said)
    terminal.do("track off")
    assert terminal.do("track") == "nothing is tracked\n"
    assert "the guest is stopped" in terminal.do("stop")
    first = value_at(terminal, count)
    assert value_at(terminal, count) == first, "the guest runs"
    here = rip_of(terminal)
    terminal.type("step 3\r")
    said = terminal.expect_prompt()
    assert re.search(r"cpu 0: RIP \w+:\w+\n", said)
    assert rip_of(terminal) != here
    assert terminal.do(f"break {work:#x}") == f" 0: execution of {work:016x}\n"
    terminal.type("cont\r")
    terminal.expect(rf"cpu 0: breakpoint: RIP \w+:0*{work:x}\r\n")
    terminal.expect_prompt()
    assert rip_of(terminal) == work
    assert terminal.do("delete 0") == ""
    first = value_at(terminal, count)
    assert terminal.do(f"watch {count:#x} 8") == f" 0: writes to {count:016x}, 8 bytes\n"
    terminal.type("cont\r")
    terminal.expect(rf"cpu 0: one of the writes to 0*{count:x}: RIP")
    terminal.expect_prompt()
    assert value_at(terminal, count) == first + 1
    assert terminal.do("delete all") == ""
    terminal.type("cont\r")
    terminal.expect_prompt()
    patience = Patience(30)
    while value_at(terminal, count) <= first + 1:
        assert patience.tick() > 0


@pytest.mark.seconds(35)
@pytest.mark.parametrize("where, cpus", [("qemu", 2), pytest.param("vtx", 1, marks=full), pytest.param("vtx", 2, marks=full)])
def test_typed_commands(vm, terminals, where, cpus):
    machine, terminal, (count, work, text) = start(vm, terminals, where, cpus, log="info")
    look(terminal, cpus, count, work, text)
    # Of the other vendor's virtualization, or this one's: the guest has neither.
    refuse(terminal, 0xc0010117 if where == "qemu" else 0x480)
    edit(terminal)
    measure(terminal, work)
    watch(terminal, count, work)
    assert "cpu 0: APIC ID 0x0, guest starts at" in terminal.do("log", with_log=True)
    assert terminal.do("inject nmi") == ""
    machine.expect("MONITORED: NMI", 60)
    interrupt(terminal)
    machine.expect("MONITORED: interrupt", 60)
    assert expect_end(machine) == 2


def interrupt(terminal):
    """The second of the events that end the guest."""
    for _ in range(TRIES):
        if terminal.do("inject 0x91") != REFUSED:
            return
    assert False, "the guest never takes interrupts"


@pytest.mark.seconds(15)
def test_shared_line(vm, terminals):
    """One line for the guest and the monitor; Ctrl-] gives the keyboard to and fro."""
    machine = vm.qemu(probe_esp("monitored", **{"serial-mode": "share", "log": "info"}), cpus=2, timeout=300)
    addresses = expect_guest(machine)
    terminal = Terminal(machine)
    terminals.append(terminal)
    terminal.type("version\r")
    assert "on AMD-V, 2 CPUs" not in terminal.begin(shared=True), "the guest's keys came to the monitor"
    look(terminal, 2, *addresses)
    assert terminal.do("inject nmi") == ""
    machine.expect("MONITORED: NMI", 60)
    interrupt(terminal)
    machine.expect("MONITORED: interrupt", 60)
    terminal.type("\x1d")
    assert expect_end(machine) == 2


@full
@pytest.mark.seconds(20)
@pytest.mark.parametrize("where,cpus", [("qemu", 2), ("vtx", 1)])
def test_shared_second_line(vm, terminals, where, cpus):
    """Two lines: the guest prints on one, the other is its own and the monitor's."""
    machine, terminal, addresses = start(vm, terminals, where, cpus, **{"serial-mode": "share", "log": "info"})
    look(terminal, cpus, *addresses)
    edit(terminal)
    assert terminal.do("inject nmi") == ""
    machine.expect("MONITORED: NMI", 60)
    terminal.type("\x1d")
    terminal.expect("the keyboard is the guest's")
    terminal.type("version\r")
    assert "CPUs" not in terminal.begin(shared=True), "the guest's keys came to the monitor"
    interrupt(terminal)
    machine.expect("MONITORED: interrupt", 60)
    assert expect_end(machine) == 2


@pytest.mark.seconds(15)
def test_only_line(vm, terminals):
    """One line, and it is the hypervisor's: what the guest prints goes nowhere, the rest of it is as always."""
    machine = vm.qemu(probe_esp("monitored", **{"serial": "com1", "serial-mode": "own", "log": "info"}), cpus=2, timeout=300)
    machine.expect("cpu 0: APIC ID 0x0, guest starts at", 150)
    terminal = Terminal(machine)
    terminals.append(terminal)
    terminal.begin()
    assert "on AMD-V, 2 CPUs\n" in terminal.do("version")
    # The firmware is still at work; then nothing exits but the one CPUID of the guest's loop.
    patience = Patience(60)
    while len({exit.rip for exit in newest_exits(terminal) if exit.kind != "kick"}) != 1:
        assert patience.tick() > 0
    assert len(re.findall(r"^[* ] cpu \d+ ", terminal.do("cpus"), re.MULTILINE)) == 2
    assert "hidden: all ones" in terminal.do("maps")
    assert terminal.do("inject nmi") == ""
    interrupt(terminal)
    assert machine.wait_end(60) == 0
    assert not machine.seen("MONITORED|PROBE|LAUNCH")


@pytest.mark.seconds(15)
def test_poweroff_and_reset(vm, terminals):
    machine, terminal, _ = start(vm, terminals, "qemu", 1)
    terminal.type("poweroff\r")
    assert machine.wait_end(60) == 0
    machine, terminal, _ = start(vm, terminals, "qemu", 2)
    terminal.type("reset\r")
    assert machine.wait_end(60) == 0
