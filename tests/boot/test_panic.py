# SPDX-License-Identifier: BSD-2-Clause
"""A fault in the hypervisor itself: everything to serial, and every CPU stopped."""
import os
import re
import socket
import subprocess
import time

import pytest

from chains import linux_esp
from emulator import BUILD, free_port

CORE_VIRT_BASE = 0xffffffff80000000
UD2 = bytes([0x0f, 0x0b])


class GdbRemote:
    """As much of the GDB remote protocol as it takes to look at and change a stopped QEMU."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
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

    def write_physical(self, address, data):
        assert self.ask("Qqemu.PhyMemMode:1") == "OK"
        assert self.ask(f"M{address:x},{len(data):x}:{data.hex()}") == "OK"
        assert self.ask("Qqemu.PhyMemMode:0") == "OK"

    def instruction_pointers(self):
        """RIP of each CPU."""
        threads = self.ask("qfThreadInfo")[1:].split(",")
        pointers = []
        for thread in threads:
            assert self.ask("Hg" + thread) == "OK"
            registers = self.ask("g")
            pointers.append(int.from_bytes(bytes.fromhex(registers[16 * 16:17 * 16]), "little"))
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


@pytest.mark.seconds(25)
def test_fault_in_the_hypervisor_stops_all_cpus(vm):
    port = free_port()
    machine = vm.qemu(linux_esp(do="shell"), cpus=2, gdb=port, timeout=120)
    base = int(machine.expect(r"KiB at (0x[0-9a-f]+): image", 60)[1], 16)
    machine.expect("built-in shell", 60)
    gdb = GdbRemote(port)
    handler, _ = symbol("cpuid_exit")
    gdb.write_physical(base + handler - CORE_VIRT_BASE, UD2)
    gdb.go()
    machine.send("cat /proc/cpuinfo; cpuid; grep . /sys/devices/system/cpu/online\r")
    machine.send("echo 0 > /sys/devices/system/cpu/cpu1/online\r")
    machine.send("echo 1 > /sys/devices/system/cpu/cpu1/online\r")
    machine.expect("PANIC: exception 6", 30)
    machine.expect("all CPUs stopped", 10)
    assert machine.seen(r"solovisor: rip ffffffff8[0-9a-f]{7} rsp")
    stop, stop_bytes = symbol("hv_stop_cpu")
    for _ in range(20):
        gdb = GdbRemote(port)
        pointers = gdb.instruction_pointers()
        gdb.go()
        if all(stop <= pointer < stop + stop_bytes for pointer in pointers):
            return
        time.sleep(0.5)  # another CPU may just be on its way there
    pytest.fail(f"CPUs are still at {', '.join(f'{pointer:#x}' for pointer in pointers)}")
