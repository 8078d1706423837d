# SPDX-License-Identifier: BSD-2-Clause
"""GDB at the first instruction of what is started under the hypervisor: GRUB, and a Linux kernel's EFI stub."""
import re

import pytest
from chains import BOOT, CONFIG, PROGRAM, config_text, dos, expect_linux, guest, linux_esp
from emulator import SOLOVISOR, Esp
from test_gdb import Debugged

full = pytest.mark.full

GRUB = "\\EFI\\grub\\grubx64.efi"
WAITING = {"gdb": "com2", "gdb-wait": "yes"}
# UEFI, "EFI System Table": its signature. EDK II begins what a handle points to with this.
SYSTEM_TABLE, HANDLE = int.from_bytes(b"IBI SYST", "little"), int.from_bytes(b"hndl", "little")


def grub_esp():
    """Solovisor, which loads GRUB and starts it."""
    esp = Esp().file(BOOT, guest("launch")).file(PROGRAM, SOLOVISOR)
    esp.text(CONFIG, config_text(guest=GRUB, serial="com1", **WAITING))
    esp.text("/launch.txt", dos(PROGRAM) + "\n:return\n")
    return esp.grub("echo GRUB: at work\nhalt\n", name=GRUB.replace("\\", "/"))


def stop_at_entry(guest, path):
    """The log says where it is before the guest's first instruction; a breakpoint there is met, and nothing has happened yet."""
    line = rf"^solovisor: {path} at 0x(\w+), \d+ KiB, entry point 0x(\w+)$"
    base, entry = (int(word, 16) for word in guest.machine.expect(line, 200).groups())
    gdb = guest.attach()
    assert gdb.value("$rip") != entry
    assert gdb.value(f"*(unsigned short *){base:#x}") == int.from_bytes(b"MZ", "little")
    gdb.do(f"break *{entry:#x}")
    assert "Breakpoint 1, " in gdb.go(seconds=120)
    assert gdb.value("$rip") == entry
    assert gdb.value("*(unsigned int *)$rcx") == HANDLE
    assert gdb.value("*(unsigned long *)$rdx") == SYSTEM_TABLE
    gdb.do("delete")
    gdb.do("stepi")
    assert gdb.value("$rip") != entry
    return gdb


@pytest.mark.seconds(20)
@pytest.mark.parametrize("where,cpus", [("qemu", 2), pytest.param("vtx", 1, marks=full)])
def test_entry_of_grub(vm, where, cpus):
    machine = Debugged(vm, where, cpus, esp=grub_esp())
    try:
        gdb = stop_at_entry(machine, re.escape(GRUB))
        assert not machine.machine.seen("GRUB")
        gdb.do("detach")
        machine.machine.expect("GRUB: at work", 120)
    finally:
        machine.end()


@full
@pytest.mark.seconds(60)
def test_entry_of_the_efi_stub(vm):
    machine = Debugged(vm, "qemu", 2, esp=linux_esp(host="linux", config=WAITING))
    try:
        gdb = stop_at_entry(machine, r"\\vmlinuz\.efi")
        assert not machine.machine.seen("EFI stub")
        gdb.do("detach")
        machine.machine.expect("EFI stub: ", 60)
        expect_linux(machine.machine, 2)
        assert machine.machine.wait_end(60) == 0
    finally:
        machine.end()
