# SPDX-License-Identifier: BSD-2-Clause
"""ACPI S3: the machine sleeps and wakes up under the hypervisor."""
import importlib.machinery
import importlib.util
import os
import re
import shutil
import subprocess

import pytest
from chains import CONFIG, PROGRAM, config_text, dos, guest, linux_esp
from emulator import FIRMWARE, INITRAMFS, RUN, SOLOVISOR, TOP, Esp
from test_gdb import debugged, registers  # noqa: F401

SLEEP = os.path.join(TOP, "tests", "guests", "linux", "sleep")


def cpio():
    """An empty archive, as scripts/mkinitramfs writes them."""
    path = os.path.join(TOP, "scripts", "mkinitramfs")
    loader = importlib.machinery.SourceFileLoader("mkinitramfs", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("mkinitramfs", loader))
    loader.exec_module(module)
    return module.Cpio()


def read(path):
    with open(path, "rb") as file:
        return file.read()


def initramfs_with_rtcwake():
    """The usual initramfs, and a second archive behind it: this host's rtcwake, what it is linked with, and our script."""
    program = shutil.which("rtcwake", path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert program, "rtcwake (util-linux) is not here"
    listing = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    archive = cpio()
    archive.add("tests/rtcwake", 0o100755, read(program))
    archive.add("tests/sleep", 0o100755, read(SLEEP))
    folders = set()
    for library in re.findall(r"(/\S+) \(0x", listing):
        folder = os.path.dirname(library)
        while folder != "/" and folder not in folders:
            folders.add(folder)
            folder = os.path.dirname(folder)
    for folder in sorted(folders):
        archive.add(folder[1:], 0o040755)
    for library in re.findall(r"(/\S+) \(0x", listing):
        archive.add(library[1:], 0o100755, read(library))
    os.makedirs(RUN, exist_ok=True)
    path = os.path.join(RUN, "initramfs-sleep.cpio")
    with open(f"{path}.{os.getpid()}", "wb") as file:
        file.write(read(INITRAMFS) + archive.bytes())
    os.replace(f"{path}.{os.getpid()}", path)
    return path


def sleep_in_linux(vm, host, cpus, rounds, config=None, **options):
    esp = linux_esp(host=host, do="run:sleep,warnings,poweroff", cmdline=f"sv.sleeps={rounds}", config=config)
    esp.file("/initrd.cpio", initramfs_with_rtcwake())
    machine = vm.qemu(esp, cpus=cpus, timeout=120 + 20 * rounds, **options)
    if host:
        machine.expect(rf"Solovisor \S+ {cpus} CPUs?,", 90)
    name = "SolovisorHV" if host else "TCGTCGTCGTCG"
    machine.expect(rf"GUEST: hypervisor={name}$", 90)
    for number in range(1, rounds + 1):
        machine.expect(rf"GUEST: sleep {number} ok cpus={cpus}$", 60)
    machine.expect(rf"GUEST: slept {rounds}$", 30)
    machine.expect(r"GUEST: warnings=0$", 30)
    assert machine.wait_end(30) == 0
    return machine


@pytest.mark.seconds(25)
@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=[pytest.mark.full, pytest.mark.seconds(80)])])
@pytest.mark.parametrize("cpus", [2, pytest.param(1, marks=pytest.mark.full),
                                  pytest.param(4, marks=pytest.mark.full)])
def test_rtcwake(vm, cpus, rounds):
    """Each time the hypervisor has the machine back, with all CPUs, before Linux runs."""
    machine = sleep_in_linux(vm, "next", cpus, rounds)
    lines = machine.seen(rf"solovisor: awake after S3: {cpus} CPUs, the guest goes on at 0x")
    assert len(lines) == rounds
    assert not machine.seen(r"solovisor: .*(PANIC|not all CPUs|still awake)")


@pytest.mark.full
@pytest.mark.seconds(25)
def test_rtcwake_bare(vm):
    """What the emulated machine does by itself."""
    sleep_in_linux(vm, None, 2, 2)


@pytest.mark.full
@pytest.mark.seconds(60)
def test_breakpoints_outlive_sleep(debugged):  # noqa: F811
    """gdb has debug registers when the machine goes to sleep, and meets what is in them behind it, on each CPU."""
    esp = linux_esp(do="shell", cmdline="nokaslr", config={"gdb": "com2"})
    esp.file("/initrd.cpio", initramfs_with_rtcwake())
    guest = debugged("qemu", 2, esp=esp)
    machine = guest.machine
    machine.expect(r"^/ # $", 200)
    machine.send("grep -E ' (start_secondary|thaw_processes)$' /proc/kallsyms\r")
    symbols = {}
    while len(symbols) < 2:
        address, name = machine.expect(r"^([0-9a-f]{16}) \w (\w+)$", 30).groups()
        symbols[name] = int(address, 16)
    gdb = guest.attach()
    for name in ("start_secondary", "thaw_processes"):
        gdb.do(f"hbreak *{symbols[name]:#x}")
    machine.send("/tests/rtcwake -u -d rtc0 -m mem -s 2\r")
    assert "Thread 2 hit Breakpoint 1, " in gdb.go(seconds=200)
    assert registers(gdb, "rip")["rip"] == symbols["start_secondary"]
    machine.expect(r"solovisor: awake after S3: 2 CPUs", 10)
    assert "hit Breakpoint 2, " in gdb.go(seconds=200)
    assert registers(gdb, "rip")["rip"] == symbols["thaw_processes"]
    gdb.do("delete")
    gdb.do("detach")
    machine.send("grep -c ^processor /proc/cpuinfo; echo cou''nted; poweroff -f\r")
    machine.expect(r"^2\ncounted$", 60)
    assert machine.wait_end(60) == 0


# --- without an operating system: tests/guests/sleep.c ---------------------------------------------

def rom_with_s3():
    """The firmware for Bochs, with tests/boot/s3_rom.asm in front of its reset code."""
    rom = bytearray(read(os.path.join(FIRMWARE, "OVMF_2M.fd")))
    os.makedirs(RUN, exist_ok=True)
    path = os.path.join(RUN, f"s3_rom.{os.getpid()}.fd")
    subprocess.run(["nasm", "-f", "bin", "-Werror", "-o", path,
                    os.path.join(TOP, "tests", "boot", "s3_rom.asm")], check=True)
    code = read(path)
    assert rom[-0x4:-0x1] == b"\xe9\x09\xff", "OVMF begins in another way"
    assert rom[-0x8000:-0x8000 + len(code)] == b"\xff" * len(code), "the place is not free"
    rom[-0x8000:-0x8000 + len(code)] = code
    rom[-0x3:-0x1] = b"\x01\x80"
    with open(path, "wb") as file:
        file.write(rom)
    return path


def probe_machine(vm, emulator, vendor, cpus, hosted, lines):
    esp = Esp().file("/EFI/BOOT/BOOTX64.EFI", guest("launch")).file("/sleep.efi", guest("sleep"))
    esp.file("/acpi_tables.efi", guest("acpi_tables")).file(PROGRAM, SOLOVISOR)
    esp.text(CONFIG, config_text(guest="next", serial="com1", log="info"))
    start = [dos(PROGRAM)] if hosted else []
    script = [line for word in lines for line in (start if word == "solovisor" else [word])]
    esp.text("/launch.txt", "\n".join(["\\acpi_tables.efi", *script, ":poweroff"]) + "\n")
    if emulator == "qemu":
        return vm.qemu(esp, cpus=cpus, timeout=150)
    return vm.bochs(esp, vendor=vendor, cpus=cpus, timeout=400,
                    extra=[f"romimage: file={rom_with_s3()}, address=0xffe00000, options=none"])


MACHINES = [("bochs", "vtx", 2), ("qemu", "svm", 2),
            pytest.param("bochs", "svm", 1, marks=pytest.mark.full),
            pytest.param("bochs", "vtx", 1, marks=pytest.mark.full),
            pytest.param("qemu", "svm", 4, marks=pytest.mark.full)]


@pytest.mark.seconds(40)
@pytest.mark.parametrize("emulator,vendor,cpus", MACHINES)
@pytest.mark.parametrize("hosted", [True, pytest.param(False, marks=pytest.mark.full)])
def test_probe(vm, emulator, vendor, cpus, hosted):
    """Asleep and awake, three times; all CPUs are where they were before."""
    machine = probe_machine(vm, emulator, vendor, cpus, hosted,
                            ["solovisor", "\\sleep.efi rounds 3"])
    machine.expect("SLEEP: at 0x", 150)
    for number in range(1, 4):
        found = machine.expect(rf"SLEEP: awake {number:08x} cpu 0{{8}} name ([0-9a-f]{{8}}) "
                               rf"others {cpus - 1:08x} name ([0-9a-f]{{8}})", 60)
        if hosted:
            assert found.group(1) == "6f6c6f53", "the hypervisor's name begins with Solo"
            assert found.group(2) == "6f6c6f53" or cpus == 1
        else:
            assert "6f6c6f53" not in found.groups()
    machine.expect("SLEEP: end", 30)
    assert len(machine.seen(rf"solovisor: awake after S3: {cpus} CPUs")) == (3 if hosted else 0)
    machine.stop()


@pytest.mark.seconds(40)
@pytest.mark.parametrize("emulator,vendor,cpus", [
    pytest.param(*MACHINES[0], marks=pytest.mark.full), *MACHINES[1:]])
def test_stays_awake(vm, emulator, vendor, cpus):
    """A write that should put the machine to sleep and does not: every CPU comes back to what it was doing."""
    machine = probe_machine(vm, emulator, vendor, cpus, True,
                            ["\\sleep.efi prepare", "solovisor", "\\sleep.efi fail"])
    machine.expect(r"S3 was asked for, and the machine is still awake", 200)
    assert machine.expect(r"PROBE: end good=(\d+) bad=(\d+)", 60).group(2) == "0"
    machine.stop()
