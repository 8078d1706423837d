# SPDX-License-Identifier: BSD-2-Clause
"""GDB below the guest: Debian's gdb on the hypervisor's own serial line, QEMU for AMD-V and Bochs for VT-x."""
import random
import re
import time

import pytest
from chains import PROGRAM, dos, expect_linux, linux_esp
from emulator import free_port
from gdb_session import Gdb, Raw, Relay
from test_probes import expect_end, probe_esp

full = pytest.mark.full
WRITES = 20
# RFLAGS
TF, IF, RF = 0x100, 0x200, 0x10000


class Debugged:
    """A machine with a debuggee, and gdb at the other end of its second serial line."""

    def __init__(self, vm, where, cpus, arguments="", esp=None, extra=(), timeout=300, **config):
        port = free_port()
        esp = esp or probe_esp("debuggee", arguments, gdb="com2", **config)
        self.where = where
        self.name = vm.name
        self.relay = Relay(port)
        if where == "qemu":
            second = ["-chardev", f"socket,id=second,host=127.0.0.1,port={port},server=on,wait=off",
                      "-serial", "chardev:second", *extra]
            self.machine = vm.qemu(esp, cpus=cpus, timeout=timeout, extra=second)
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
        # Perhaps in a function that is inlined there.
        assert "efi_main" in gdb.do("thread apply all bt 2")
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
        # GDB names no thread where there is but one.
        assert cpus == 1 or re.search(rf"Thread {cpu + 1} hit", said)
    gdb.do("delete")

    gdb.do("break debuggee_end")
    assert "debuggee_end" in gdb.go(seconds=120)
    assert [gdb.value(f"watched[{cpu}]") for cpu in range(count)] == [WRITES] * count
    assert "detached" in gdb.do("detach")
    expect_end(guest.machine)
    assert guest.machine.seen(r"^DEBUGGEE: outer=40$") and guest.machine.seen(r"^DEBUGGEE: register=0x2222$")


@full
@pytest.mark.seconds(60)
@pytest.mark.parametrize("where,cpus", [("qemu", 4), pytest.param("vtx", 4, marks=pytest.mark.seconds(400))])
def test_watch_of_what_all_write(debugged, where, cpus):
    """A variable that all CPUs write at the same time: each write is a stop of its writer's, none is lost, and none comes twice."""
    guest = debugged(where, cpus, "rounds 2 writers")
    gdb = guest.attach_to_debuggee()
    gdb.do("break debuggee_write_together")
    gdb.do("set var attached=1")
    assert "debuggee_write_together" in gdb.go(seconds=120)
    gdb.do("delete")
    gdb.do("watch written_by_all")
    counts = [0] * cpus
    for number in range(cpus * WRITES):
        said = gdb.go(seconds=120)
        thread = int(re.search(r"Thread (\d+) hit .*watchpoint \d+: written_by_all\n", said).group(1))
        assert f"Old value = {number}\nNew value = {number + 1}\n" in said
        counts[thread - 1] += 1
    assert counts == [WRITES] * cpus
    gdb.do("delete")
    gdb.do("detach")
    expect_end(guest.machine)


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


@pytest.mark.seconds(20)
@pytest.mark.parametrize("where,cpus", [("qemu", 2), pytest.param("qemu", 1, marks=full), pytest.param("vtx", 1, marks=full),
                                        pytest.param("vtx", 2, marks=full), pytest.param("svm", 1, marks=full)])
def test_interrupt_with_interrupts_off(debugged, where, cpus):
    """Ctrl-C while each CPU spins with interrupts off, and exits for nothing: where it is, what it waits for, and on."""
    guest = debugged(where, cpus, "rounds 5 spin")
    gdb = guest.attach_to_debuggee()
    gdb.do("set var attached=1")
    gdb.start()
    guest.machine.expect(r"^DEBUGGEE: spins$", 150)
    # The last CPU to spin says that all do before it begins, so that the first look may be early.
    assert "received signal SIGINT" in gdb.interrupt()
    counts = [gdb.value(f"spun[{cpu}]") for cpu in range(cpus)]
    gdb.start()
    time.sleep(0.5)
    assert "received signal SIGINT" in gdb.interrupt()
    for cpu in range(cpus):
        gdb.do(f"thread {cpu + 1}")
        assert re.match(r"#0 .*debuggee_spin \(argument=", gdb.do("bt 1"))
        assert registers(gdb, "eflags")["eflags"] & IF == 0
        assert gdb.value(f"spun[{cpu}]") > counts[cpu], "the guest did not run in between"
    gdb.do("set var released=0x77")
    gdb.do("break debuggee_end")
    assert "debuggee_end" in gdb.go(seconds=120)
    gdb.do("detach")
    expect_end(guest.machine)
    assert guest.machine.seen(r"^DEBUGGEE: released=119$")


# --- steps -------------------------------------------------------------------------------------

EXECUTED = re.compile(rb"^Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/", re.M)
VISIT = """define visit
set $i = 0
while $i < $arg0
stepi
printf "at=%lx\\n", $rip
set $i = $i + 1
end
end"""


def without_repetitions(addresses):
    """An instruction that exits is tried again, and one with REP is its own successor."""
    return [address for at, address in enumerate(addresses) if at == 0 or addresses[at - 1] != address]


@full
@pytest.mark.seconds(420)
def test_steps_are_what_is_executed(debugged, tmp_path):
    """One instruction after the other through a loop that a timer interrupts: what QEMU says that it executes."""
    steps = 1000
    log = tmp_path / "executed"
    guest = debugged("qemu", 2, "rounds 40", timeout=900,
                     extra=["-D", str(log), "-dfilter", "0x100000+0x7ff00000"])
    gdb = guest.attach_to_debuggee()
    gdb.do("break debuggee_wound")
    gdb.do("set var attached=1")
    assert "debuggee_wound" in gdb.go()
    gdb.do("delete")
    for line in VISIT.split("\n")[:-1]:
        gdb.child.sendline(line)
    gdb.do("end")
    monitor = guest.machine.monitor
    monitor.do("one-insn-per-tb on")
    monitor.do("log exec,nochain")
    visited = [gdb.value("$rip")]
    visited += [int(at, 16) for at in re.findall(r"^at=([0-9a-f]+)", gdb.do(f"visit {steps}", 800), re.M)]
    monitor.do("log none")
    monitor.do("one-insn-per-tb off")
    assert len(visited) == steps + 1
    low, high = gdb.value("&_text"), gdb.value("&efi_main") + 0x10000
    assert len({at for at in visited if low <= at < high}) > 40
    executed = [int(at, 16) for at in EXECUTED.findall(log.read_bytes())]
    executed = [at for at in executed if low <= at < high]
    # On AMD-V the hypervisor delivers a stepped INT3 itself: the CPU never executes it.
    int3 = gdb.value("&debuggee_int3")
    assert int3 in visited and int3 not in executed
    visited = [at for at in visited[:-1] if at != int3]
    # What follows a load of SS is executed with it: the trap of the step is held back.
    after_ss = gdb.value("&debuggee_after_ss")
    assert after_ss in executed and after_ss not in visited
    executed = [at for at in executed if at != after_ss]
    assert without_repetitions(executed) == without_repetitions(visited)
    # Neither the guest nor its timer has been harmed.
    gdb.do("detach")
    expect_end(guest.machine)
    assert int(guest.machine.seen(r"^DEBUGGEE: ticks=(\d+)$")[0].group(1)) > 0


@full
@pytest.mark.seconds(30)
@pytest.mark.parametrize("where,cpus", [("qemu", 2), ("vtx", 1), ("svm", 1)])
def test_steps_of_what_waits(debugged, where, cpus):
    """A step over HLT and MWAIT ends behind it at once, whether an interrupt is there or not; one over IRET where it leads."""
    guest = debugged(where, cpus, "rounds 5 sleep")
    gdb = guest.attach_to_debuggee()
    gdb.do("set var attached=1")
    for name in ("sti_hlt", "hlt", "mwait", "iret"):
        at = gdb.value(f"&debuggee_{name}")
        gdb.do(f"hbreak *{at:#x}")
        assert "Breakpoint " in gdb.go()
        assert gdb.value("$rip") == at
        gdb.do("delete")
        gdb.do("stepi")
        assert gdb.value("$rip") == gdb.value(f"&debuggee_{name}_end")
        assert registers(gdb, "eflags")["eflags"] & (TF | IF) == IF
    gdb.do("detach")
    expect_end(guest.machine)
    assert int(guest.machine.seen(r"^DEBUGGEE: ticks=(\d+)$")[0].group(1)) > 0


# --- a bad line --------------------------------------------------------------------------------

def corrupted(source):
    """What is no packet, or one that has suffered on its way: none is valid."""
    text = source.choice([b"g", b"m1000,40", b"M1000,4:deadbeef", b"Z0,1000,1", b"c", b"s", b"k", b"vCont;c", b"D",
                          b"G" + b"00" * 300, b"qSupported:swbreak+", b"P10=0000000000000000", b"X1000,4:abcd"])
    packet = b"$" + text + b"#%02x" % (sum(text) & 0xff)
    kind = source.choice([0, 1, 2, 3, 4] * 8 + [5])  # the last one takes long
    if kind == 0:  # another bit in it
        at = source.randrange(1, len(packet) - 3) if len(packet) > 5 else 1
        wrong = packet[at] ^ 1 << source.randrange(7)
        if wrong in b"$#}\x03" or packet[at] in b"#":
            wrong = packet[at] ^ 0x80
        return packet[:at] + bytes([wrong]) + packet[at + 1:]
    if kind == 1:  # cut off, and the next one begins
        return packet[:source.randrange(1, len(packet) - 1)]
    if kind == 2:  # another sum
        return packet[:-2] + b"%02x" % ((sum(text) + source.randrange(1, 256)) & 0xff)
    if kind == 3:  # noise
        return bytes(source.choice(range(256)) for _ in range(source.randrange(1, 40))).translate(None, b"$\x03")
    if kind == 4:  # no sum at all
        return packet[:-2] + source.choice([b"zz", b"$", b"#", b""])
    text = b"m" * source.randrange(4097, 4400)
    return b"$" + text + b"#%02x" % ((sum(text) + 1) & 0xff)


@pytest.mark.seconds(30)
@pytest.mark.parametrize("where,count", [("qemu", 100), pytest.param("qemu", 10_000, marks=full),
                                         pytest.param("vtx", 300, marks=full)])
def test_corrupted_packets(debugged, where, count):
    """They are refused or thrown away, whatever they are; the guest and the next session know nothing of it."""
    source = random.Random(count)
    # They are some 200 bytes each, at 115200 baud.
    guest = debugged(where, 2 if where == "qemu" else 1, "rounds 20", timeout=300 + count // 10)
    guest.machine.expect(r"^DEBUGGEE: main=", 150)
    guest.machine.position = 0
    raw = Raw(guest.relay.port)
    for number in range(count):
        raw.send(corrupted(source))
        if number % 50 == 0:
            # A packet among them is answered; while it is, the guest stands still.
            assert raw.ask(b"qC") == b"QC1"
            assert raw.ask(b"vMustReplyEmpty") == b""
    raw.ask(b"D")
    raw.close()
    gdb = guest.attach_to_debuggee()
    gdb.do("break debuggee_inner")
    gdb.do("set var attached=1")
    assert "debuggee_inner" in gdb.go()
    gdb.do("delete")
    gdb.do("detach")
    expect_end(guest.machine)


@pytest.mark.seconds(30)
def test_a_peer_that_vanishes(debugged):
    """In the middle of a packet, with breakpoints set: the next one begins anew."""
    guest = debugged("qemu", 2, "rounds 20")
    gdb = guest.attach_to_debuggee()
    gdb.do("hbreak debuggee_middle")
    gdb.do("set var attached=1")
    assert "debuggee_middle" in gdb.go()
    gdb.vanish()
    raw = Raw(guest.relay.port)
    raw.send(b"$m1000,")
    raw.close()
    gdb = guest.attach()
    assert "debuggee_outer" not in gdb.do("info breakpoints")
    gdb.do("detach")
    expect_end(guest.machine)


# --- Linux -------------------------------------------------------------------------------------

@full
@pytest.mark.seconds(90)
def test_linux_from_its_first_function(vm, debugged):
    """hbreak start_kernel, set while the firmware runs and nothing is mapped there; then where the second CPU comes up."""
    esp = linux_esp(do="shell", cmdline="nokaslr")
    machine = vm.qemu(esp, cpus=2, timeout=300)
    machine.expect("# ", 200)
    machine.send("grep -E ' (start_kernel|start_secondary|linux_banner)$' /proc/kallsyms\r")
    symbols = {}
    while len(symbols) < 3:
        address, name = machine.expect(r"^([0-9a-f]{16}) \w (\w+)$", 30).groups()
        symbols[name] = int(address, 16)
    machine.stop()

    guest = debugged("qemu", 2, esp=linux_esp(do="checksum,warnings,poweroff", cmdline="nokaslr",
                                              config={"gdb": "com2", "gdb-wait": "yes"}))
    guest.machine.expect(r"cpu 0: .*guest starts at", 150)
    gdb = guest.attach()
    gdb.do(f"hbreak *{symbols['start_kernel']:#x}")
    assert "Breakpoint 1, " in gdb.go(seconds=200)
    assert registers(gdb, "rip")["rip"] == symbols["start_kernel"]
    assert "Linux version" in gdb.do(f"x/s {symbols['linux_banner']:#x}")
    gdb.do("delete")
    gdb.do("stepi 20")
    assert 0 < abs(registers(gdb, "rip")["rip"] - symbols["start_kernel"]) < 1 << 28

    # Its debug registers are lent over INIT and SIPI.
    gdb.do(f"hbreak *{symbols['start_secondary']:#x}")
    assert "Thread 2 hit Breakpoint 2, " in gdb.go(seconds=200)
    assert registers(gdb, "rip")["rip"] == symbols["start_secondary"]
    gdb.do("delete")
    gdb.do("detach")
    expect_linux(guest.machine, 2)
    guest.machine.expect(r"GUEST: warnings=0$", 60)
    assert guest.machine.wait_end(60) == 0
