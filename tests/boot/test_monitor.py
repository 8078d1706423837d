# SPDX-License-Identifier: BSD-2-Clause
"""The monitor: its commands by GDB."""
import importlib.machinery
import importlib.util
import os
import re

import pytest
from emulator import TOP
from test_gdb import Debugged
from test_probes import expect_end

full = pytest.mark.full


def trace_report():
    """The script as a module."""
    loader = importlib.machinery.SourceFileLoader("report", os.path.join(TOP, "scripts/trace-report"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("report", loader))
    loader.exec_module(module)
    return module


@pytest.mark.seconds(25)
@pytest.mark.parametrize("where,cpus", [("qemu", 2), ("vtx", 2), pytest.param("svm", 1, marks=full)])
def test_commands_of_gdb(vm, where, cpus):
    """What `monitor` says is what GDB sees, and exits of the quick way are in the trace."""
    guest = Debugged(vm, where, cpus, "rounds 5")
    try:
        gdb = guest.attach_to_debuggee()
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
        assert gdb.do("monitor cont") == "cont: GDB runs the guest: use its own commands\n"
        assert gdb.do("monitor frob") == "there is no such command; `help` lists them\n"
        assert gdb.do(f"monitor track {knob:#x} 8") == ""
        gdb.do("monitor trace on")
        gdb.do("set var knob=7")
        said = gdb.do("monitor track")
        assert re.match(rf"0*{knob:x}-\w+: 1 writes, the last one by cpu 0 at 0*{knob:x}: 8 bytes, 07", said)
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
