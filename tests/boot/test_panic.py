# SPDX-License-Identifier: BSD-2-Clause
"""A fault in the hypervisor itself: everything to serial, and every CPU stopped."""
import os
import re
import socket
import subprocess
import time

import pytest

from chains import linux_esp
from emulator import BUILD, EmulatorError, free_port

CORE_VIRT_BASE = 0xffffffff80000000
UD2 = bytes([0x0f, 0x0b])


class GdbRemote:
    """As much of the GDB remote protocol as it takes to look at and change a stopped QEMU."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def _byte(self):
        if not self.buffer:
            self.buffer = self.socket.recv(4096)
            assert self.buffer, "QEMU has closed the connection"
        byte, self.buffer = self.buffer[:1], self.buffer[1:]
        return byte

    def ask(self, text):
        data = text.encode()
        self.socket.sendall(b"$" + data + b"#%02x" % (sum(data) & 0xff))
        answer = b""
        while self._byte() != b"$":
            pass
        while (byte := self._byte()) != b"#":
            answer += byte
        self._byte(), self._byte()
        self.socket.sendall(b"+")
        return answer.decode()

    def use_physical(self, on):
        """Whether addresses are physical ones."""
        assert self.ask(f"Qqemu.PhyMemMode:{int(on)}") == "OK"

    def read(self, address, size):
        return bytes.fromhex(self.ask(f"m{address:x},{size:x}"))

    def write(self, address, data):
        assert self.ask(f"M{address:x},{len(data):x}:{data.hex()}") == "OK"

    def instruction_pointers(self):
        """RIP of each CPU."""
        pointers = []
        answer = self.ask("qfThreadInfo")
        while answer != "l":
            for thread in answer[1:].split(","):
                assert self.ask("Hg" + thread) == "OK"
                registers = self.ask("g")
                pointers.append(int.from_bytes(bytes.fromhex(registers[256:272]), "little"))
            answer = self.ask("qsThreadInfo")
        return pointers

    def go(self):
        """Let the machine run on, and leave."""
        assert self.ask("D") == "OK"
        self.socket.close()


def symbol(name):
    listing = subprocess.run(["nm", "-S", os.path.join(BUILD, "core.elf")], check=True,
                             capture_output=True, text=True).stdout
    match = re.search(rf"^(\w+) (\w+) [tT] {name}$", listing, re.MULTILINE)
    assert match, f"no function {name} in the core"
    return int(match[1], 16), int(match[2], 16)


def expect_quiet_shell(machine):
    """The guest's last characters would be among those of the hypervisor's first line: one UART."""
    machine.expect("built-in shell", 100)
    machine.expect("/ # ", 60)


@pytest.mark.seconds(25)
def test_fault_in_the_hypervisor_stops_all_cpus(vm):
    port = free_port()
    machine = vm.qemu(linux_esp(do="shell"), cpus=2, gdb=port, timeout=120)
    base = int(machine.expect(r"KiB at (0x[0-9a-f]+): image", 60)[1], 16)
    expect_quiet_shell(machine)
    gdb = GdbRemote(port)
    handler, _ = symbol("cpuid_execute")
    gdb.use_physical(True)
    gdb.write(base + handler - CORE_VIRT_BASE, UD2)
    gdb.go()
    machine.send("cpuid\r")
    machine.expect("PANIC: exception 6", 60)
    machine.expect("all CPUs stopped", 60)
    assert machine.seen(r"solovisor: rip ffffffff8[0-9a-f]{7} rsp")
    expect_all_stopped(port)
    # What a test that fails says of its machine: both CPUs, and more than once.
    stop, _ = symbol("hv_stop_cpu")
    with pytest.raises(EmulatorError, match=rf"--- CPU 1\nRIP={stop >> 12:013x}.*HLT=.\nstate: .*\.state"):
        machine.expect("this is never said", 1)


def expect_all_stopped(port):
    """Every CPU is in hv_stop_cpu(), or gets there."""
    stop, stop_bytes = symbol("hv_stop_cpu")
    for _ in range(120):
        gdb = GdbRemote(port)
        pointers = gdb.instruction_pointers()
        gdb.go()
        if all(stop <= pointer < stop + stop_bytes for pointer in pointers):
            return
        time.sleep(0.5)  # another CPU may just be on its way there
    pytest.fail(f"CPUs are still at {', '.join(f'{pointer:#x}' for pointer in pointers)}")


# APM: "VMCB Layout, Control Area".
VMCB_INTERCEPTS, VMCB_ASID, VMCB_NESTED_PAGING, VMCB_NESTED_CR3 = 0x0c, 0x58, 0x90, 0xb0
INTERCEPT_CPUID, INTERCEPT_HLT = 1 << 18, 1 << 24
EXIT_HLT = 0x78


def find_vmcbs(gdb, base, size):
    """The control blocks in the hypervisor's memory: address and intercepts, where CPUID is one."""
    found = []
    for page in range(base, base + size, 4096):
        block = gdb.read(page, VMCB_NESTED_CR3 + 8)
        asid, nested = block[VMCB_ASID], block[VMCB_NESTED_PAGING]
        root = int.from_bytes(block[VMCB_NESTED_CR3:], "little")
        intercepts = int.from_bytes(block[VMCB_INTERCEPTS:][:4], "little")
        # Those of the stub in which a CPU waits for its SIPI have fewer.
        if (0 < asid < 16 and nested == 1 and root % 4096 == 0 and base <= root < base + size
                and intercepts & INTERCEPT_CPUID):
            found.append((page, intercepts))
    return found


@pytest.mark.seconds(25)
def test_unexpected_exit_is_dumped(vm):
    """An intercept that nobody has asked for: the guest's state, the control block, the way there."""
    port = free_port()
    machine = vm.qemu(linux_esp(do="shell"), cpus=2, gdb=port, timeout=200)
    match = machine.expect(r"memory: (\d+) KiB at (0x[0-9a-f]+): image", 60)
    expect_quiet_shell(machine)
    gdb = GdbRemote(port)
    gdb.use_physical(True)
    vmcbs = find_vmcbs(gdb, int(match[2], 16), int(match[1]) * 1024)
    assert len(vmcbs) == 2
    for address, intercepts in vmcbs:
        assert not intercepts & INTERCEPT_HLT
        gdb.write(address + VMCB_INTERCEPTS,
                           (intercepts | INTERCEPT_HLT).to_bytes(4, "little"))
    gdb.go()
    # Nothing is typed: the next tick that wakes the guest ends in the next HLT.
    number = machine.expect(rf"PANIC: cpu (\d): .*: reason {EXIT_HLT:x} info", 60)[1]
    machine.expect("all CPUs stopped", 60)
    for line in (rf"cpu {number} guest state: rip ffffffff[0-9a-f]{{8}} rflags [0-9a-f]+",
                 "rax [0-9a-f]{16} rcx", "cr0 8[0-9a-f]{7} cr2 [0-9a-f]+ cr3 [0-9a-f]+",
                 "cs   0010 base 0{16}", "gdtr fffffe[0-9a-f]{10}",
                 rf"VMCB [0-9a-f]+: exit {EXIT_HLT:x} info", "intercepts cr", "nested control 1 "):
        assert machine.seen("solovisor: " + line), line
    expect_all_stopped(port)
