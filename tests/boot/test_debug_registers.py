# SPDX-License-Identifier: BSD-2-Clause
"""gdb's breakpoints in the CPUs' debug registers, and the guest's own: each has them for itself."""
import re

import facts
import pytest
from test_gdb import debugged, registers  # noqa: F401
from test_probes import expect_end, probe_esp

full = pytest.mark.full
ROUNDS = 200_000


def one_exception(bare, hosted):
    """QEMU's trap of a step and that of a breakpoint on data come as one; the rest is as it was."""
    def plain(text):
        return re.sub(r"dr6=ffff[04]ff[01]", "dr6", text.replace("db@handler ", "")).replace("f=10102", "f=102")
    return bare is not None and hosted is not None and plain(bare) == plain(hosted)


def tells_less(bare, hosted):
    """Of those that are not enabled, one is not told of: its register is the debugger's."""
    texts = [re.sub(r"dr6=\w+", "dr6", text or "") for text in (bare, hosted)]
    old, new = (int((re.findall(r"dr6=(\w+)", text or "") or ["0"])[0], 16) for text in (bare, hosted))
    return texts[0] == texts[1] and new & ~old == 0 and bin(old & ~new & 0xf).count("1") == 1 and old & ~0xf == new & ~0xf


LENT = [facts.table.Allowed("facts_debug-flat", "qemu-*", "*.step.64.0",
                            "docs/emulators.md: a step and a breakpoint on data are two exceptions, and told of again",
                            one_exception),
        facts.table.Allowed("facts_debug-flat", "qemu-*", "combined.*", "DR6 need not tell of those", tells_less)]


def exits(gdb):
    return sum(int(count) for count in re.findall(r"^\D.*?\s{2,}(\d+)\s+\d+\s+\d*\s*$", gdb.do("monitor stats"), re.M))


def at(gdb):
    return registers(gdb, "rip")["rip"]


def own_lines(machine, prefix):
    return [match.group(1) for match in machine.seen(rf"DEBUGGEE: {prefix} (.*)$")]


@pytest.mark.seconds(25)
@pytest.mark.parametrize("where,cpus", [("qemu", 2), pytest.param("vtx", 1, marks=full), pytest.param("svm", 1, marks=full)])
def test_lent(debugged, where, cpus):  # noqa: F811
    guest = debugged(where, cpus, f"rounds 5 registers hot {ROUNDS}", log="warn")
    gdb = guest.attach_to_debuggee()

    # On the page of a loop: none of its instructions exits.
    gdb.do("hbreak debuggee_hot")
    gdb.do("set var attached=1")
    assert "debuggee_hot" in gdb.go()
    gdb.do("delete")
    before = exits(gdb)
    assert before > 0
    gdb.do("hbreak *(long)&debuggee_hot_end")
    assert "Breakpoint 2, " in gdb.go()
    assert at(gdb) == gdb.value("&debuggee_hot_end")
    assert exits(gdb) - before < ROUNDS // 20
    gdb.do("delete")

    # Reads, not the write between them; then all of them. Behind the instruction.
    assert "Hardware read watchpoint 3: looked" in gdb.do("rwatch looked")
    said = gdb.go()
    assert "Hardware read watchpoint 3: looked\n\nValue = 5" in said and at(gdb) == gdb.value("&debuggee_first"), said
    said = gdb.go()
    assert "Value = 6" in said and at(gdb) == gdb.value("&debuggee_third"), said
    gdb.do("delete")
    gdb.do("set var looked=5")
    gdb.do("awatch looked")
    for label, text in (("first", "Value = 5"), ("second", "Old value = 5\nNew value = 6"), ("third", "Value = 6")):
        said = gdb.go()
        assert text in said and at(gdb) == gdb.value(f"&debuggee_{label}"), said
    gdb.do("delete")

    # By the hypervisor, for INS and OUTS: in the midst of a repetition, and behind the write.
    gdb.do("set var string_data[1]=7")
    gdb.do("awatch string_data[1]")
    said = gdb.go()
    assert "Value = 7" in said and at(gdb) == gdb.value("&debuggee_outs"), said
    assert registers(gdb, "rcx")["rcx"] == 2
    said = gdb.go()
    assert "Old value = 7" in said and "New value = 255" in said and at(gdb) == gdb.value("&debuggee_ins_end"), said
    gdb.do("delete")

    # Where the guest has its own, and on what it watches itself.
    gdb.do("hbreak own_target")
    gdb.do("awatch own_data")
    gdb.do("break debuggee_end")
    stops = []
    while "debuggee_end" not in stops:
        said = gdb.go()
        stops += [function or data for function, data in
                  re.findall(r"Breakpoint \d+, (?:0x[0-9a-f]+ in )?(\w+) \(|watchpoint \d+: (\w+)", said)]
    # It is read, and then written; where both have met the write, QEMU tells of one, the guest's.
    met = ["own_data"] if where == "qemu" else ["own_data", "own_data"]
    assert stops == ["own_target", *met, "debuggee_end"]
    # For a moment the guest has had all four.
    assert gdb.do("monitor log").count("the guest uses the debug registers: none is left for the breakpoint") == 1
    assert "detached" in gdb.do("detach")
    if where == "svm":
        # DR6 tells nothing of what is met: where both watch what is read, the guest, which watches writes, is told as well.
        guest.machine.expect(r"^PROBE: end good=1 bad=1\n", 180)
        own = [line.replace("events=2", "events=1") for line in own_lines(guest.machine, "with")]
        assert own == own_lines(guest.machine, "without") != []
        return
    expect_end(guest.machine)
    assert own_lines(guest.machine, "with") == own_lines(guest.machine, "without") != []


@full
@pytest.mark.seconds(40)
def test_facts_are_the_same(debugged):  # noqa: F811
    """facts_debug with the registers lent for a breakpoint that nobody comes to: as without the hypervisor."""
    name, where = "facts_debug-flat", "qemu-1"
    probe = facts.table.PROBES[name]
    bare = facts.run(name, where, hosted=False, log="debug-registers-bare")
    esp = probe_esp(probe.program, f"{probe.arguments} {probe.qemu_words}".strip(), gdb="com2",
                    **{"gdb-wait": "yes", "log": "info"})
    guest = debugged("qemu", 1, esp=esp)
    guest.machine.expect("cpu 0: .*guest starts at", 150)
    gdb = guest.attach()
    gdb.do("hbreak *0xffff900000001000")
    gdb.start()
    guest.machine.expect(facts.END.pattern, 200)
    hosted = facts.parse(guest.machine.text)
    result = facts.compare(name, where, bare, hosted, facts.table.ALLOWED + LENT, find_stale=False)
    assert result.ok, "\n" + result.text()
