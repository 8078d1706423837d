# SPDX-License-Identifier: BSD-2-Clause
"""Linux under Solovisor on AMD-V in QEMU: every way to start it, every number of CPUs."""
import itertools
import os
import subprocess

import pytest
from chains import PROGRAM, expect_linux, guest, linux_esp, skip_countdown
from emulator import KERNEL_CLOUD, KERNEL_GENERIC, SOLOVISOR, TOP, Esp

KERNELS = {"cloud": KERNEL_CLOUD, "generic": KERNEL_GENERIC}
STARTERS = ("shell-grub", "shell", "grub", "launch", "entry", "direct")

# Most pairs of two factors: starter, host, CPUs, kernel.
PAIRS = (
    ("shell-grub", "next", 2, "generic"), ("shell", "linux", 4, "cloud"),
    ("grub", "next", 4, "cloud"), ("grub", "linux", 1, "generic"),
    ("launch", "linux", 2, "cloud"), ("entry", "next", 2, "cloud"), ("direct", "linux", 2, "generic"),
)
ALL = [combination for combination in itertools.product(STARTERS, ("next", "linux"), (1, 2, 4),
                                                        ("cloud", "generic"))
       if combination[:2] != ("direct", "next")]


def started(machine, starter):
    if starter in ("shell", "shell-grub"):
        skip_countdown(machine)
    if starter == "entry":
        machine.expect(r"ENTRY: BootOrder with \d more: Success", 60)


def boot(vm, starter, host, cpus, kernel, do="checksum,warnings,poweroff", **options):
    esp = linux_esp(starter=starter, host=host, kernel=KERNELS[kernel], do=do)
    if starter == "entry":
        options.update(reboot=True, ordered=False)
    machine = vm.qemu(esp, cpus=cpus, timeout=300, **options)
    started(machine, starter)
    machine.expect(rf"Solovisor \S+ {cpus} CPUs?, \d+ KiB at 0x[0-9a-f]+$", 90)
    return machine


def check(starter, host, cpus, kernel, vm):
    machine = boot(vm, starter, host, cpus, kernel)
    expect_linux(machine, cpus)
    machine.expect(r"GUEST: warnings=0$", 20)
    assert machine.wait_end(30) == 0


@pytest.mark.seconds(14)
@pytest.mark.parametrize("starter,host,cpus,kernel", PAIRS)
def test_linux(vm, starter, host, cpus, kernel):
    check(starter, host, cpus, kernel, vm)


@pytest.mark.full
@pytest.mark.seconds(14)
@pytest.mark.parametrize("starter,host,cpus,kernel", [c for c in ALL if c not in PAIRS])
def test_linux_rest(vm, starter, host, cpus, kernel):
    check(starter, host, cpus, kernel, vm)


@pytest.mark.seconds(25)
@pytest.mark.parametrize("cpus,kernel", [
    (2, "cloud"), pytest.param(1, "cloud", marks=pytest.mark.full),
    pytest.param(4, "cloud", marks=pytest.mark.full),
    pytest.param(4, "generic", marks=pytest.mark.full)])
def test_reboot(vm, cpus, kernel):
    """A reboot comes back up under Solovisor."""
    machine = boot(vm, "launch", "next", cpus, kernel, "checksum,reboot", reboot=True)
    expect_linux(machine, cpus)
    machine.expect(r"GUEST: reboot$", 20)
    machine.expect(rf"Solovisor \S+ {cpus} CPU", 90)
    expect_linux(machine, cpus)
    assert machine.running


@pytest.mark.seconds(12)
def test_hotplug(vm):
    """Linux takes its CPUs off and on again."""
    machine = boot(vm, "launch", "next", 4, "cloud", "hotplug,hotplug,checksum,warnings,poweroff")
    expect_linux(machine, 4, do=("hotplug", "hotplug", "checksum"))
    machine.expect(r"GUEST: warnings=0$", 20)
    assert machine.wait_end(30) == 0


def make_image(kind, path, *arguments):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    done = subprocess.run([os.path.join(TOP, "scripts", "mkimage"), kind, path, *arguments],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return path


@pytest.mark.seconds(14)
@pytest.mark.parametrize("cpus", [2, pytest.param(1, marks=pytest.mark.full),
                                  pytest.param(4, marks=pytest.mark.full)])
def test_usb_stick(vm, cpus, request, tmp_path):
    """`make usb` writes an image that boots from a stick on xHCI."""
    image = make_image("usb", str(tmp_path / "solovisor.img"))
    machine = vm.qemu(image, attach="usb", cpus=cpus, one_core=True, timeout=300)
    expect_shell_of_linux(machine, cpus)


@pytest.mark.seconds(20)
@pytest.mark.parametrize("medium,cpus", [
    ("cd", 2), pytest.param("usb", 1, marks=pytest.mark.full), pytest.param("cd", 1, marks=pytest.mark.full),
    pytest.param("cd", 4, marks=pytest.mark.full), pytest.param("usb", 4, marks=pytest.mark.full)])
def test_iso(vm, medium, cpus, tmp_path):
    """`make iso` writes what boots from a CD and, being hybrid, from a stick."""
    iso = make_image("iso", str(tmp_path / "solovisor.iso"))
    if medium == "cd":
        machine = vm.qemu(iso=iso, cpus=cpus, one_core=True, timeout=300)
    else:
        machine = vm.qemu(iso, attach="usb", cpus=cpus, one_core=True, timeout=300)
    expect_shell_of_linux(machine, cpus)


def expect_shell_of_linux(machine, cpus):
    expect_linux(machine, cpus, do=(), timeout=120)
    machine.expect("# $", 30)
    machine.send("echo from-the-$(echo shell)\n")
    machine.expect("from-the-shell", 30)
    machine.send("exit\n")
    assert machine.wait_end(30) == 0


@pytest.mark.seconds(12)
def test_return_to_grub(vm):
    """GRUB chainloads Solovisor, gets the machine back, and goes on as it likes."""
    esp = linux_esp(starter="grub", do="checksum,poweroff")
    name = PROGRAM.replace("/", "\\")
    esp.text("/grub.cfg", "echo GRUB: one\n"
             f"chainloader {PROGRAM}\nboot\necho GRUB: back\n"
             f"chainloader {PROGRAM}\nboot\necho GRUB: back again\n"
             + esp.entries["grub.cfg"][1].decode().split("boot\n", 1)[1])
    machine = vm.qemu(esp, cpus=2, timeout=200)
    machine.expect("GRUB: one", 60)
    machine.expect(r"Solovisor \S+ 2 CPUs", 30)
    machine.expect("GRUB: back", 30)
    machine.expect(r"solovisor: Solovisor \S+ is running already", 30)
    machine.expect("GRUB: back again", 30)
    expect_linux(machine, 2)
    assert machine.wait_end(30) == 0, name


@pytest.mark.seconds(8)
def test_guest_program(vm):
    """guest = <EFI path>: the program is started, and what it returns is passed on."""
    esp = Esp().file("/EFI/BOOT/BOOTX64.EFI", guest("launch")).file(PROGRAM, SOLOVISOR)
    esp.file("/acpi_tables.efi", guest("acpi_tables"))
    esp.text("/EFI/solovisor/solovisor.conf",
             "guest = /acpi_tables.efi\r\ncmdline = \"x next\"  # quoted\r\n")
    program = PROGRAM.replace("/", "\\")
    esp.text("/launch.txt", f"{program} guest=\\missing.efi\n{program}\n:poweroff\n")
    machine = vm.qemu(esp, cpus=2, timeout=100)
    machine.expect(r"solovisor: cannot load \\missing.efi: Not Found", 60)
    machine.expect(r"LAUNCH: \S+: Not Found", 10)
    machine.expect(r"Solovisor \S+ 2 CPUs", 30)
    machine.expect("ACPI: this firmware has tables already", 30)
    machine.expect(r"solovisor: \\acpi_tables.efi ended: .*\(the machine stays virtualized\)", 30)
    machine.expect(r"LAUNCH: \S+: Not Found", 10)
    assert machine.wait_end(30) == 0


@pytest.mark.seconds(14)
def test_boot_order_goes_on(vm):
    """A boot entry with load options; an entry that cannot be booted lies between it and Linux."""
    esp = linux_esp(starter="entry", do="poweroff")
    lines = esp.entries["entries.txt"][1].decode().splitlines()
    lines[0] += " log=debug cpuid=hidden"
    lines.insert(1, "\\there\\is\\nothing.efi")
    esp.text("/entries.txt", "\n".join(lines) + "\n")
    machine = vm.qemu(esp, cpus=2, timeout=200, reboot=True, ordered=False)
    started(machine, "entry")
    machine.expect(r"Solovisor \S+ 2 CPUs", 60)
    # Hidden, the machine looks as it is: QEMU names itself.
    expect_linux(machine, 2, "TCGTCGTCGTCG", ())
    assert machine.wait_end(30) == 0


@pytest.mark.seconds(16)
@pytest.mark.parametrize("cpus,firmware", [
    (1, 5), (2, 4), pytest.param(1, 4, marks=pytest.mark.full)])
def test_five_levels(vm, cpus, firmware):
    """5-level paging in Linux, and in the firmware, which a helper has switched to it."""
    esp = linux_esp(do="checksum,warnings,poweroff").file("/spoil.efi", guest("spoil"))
    if firmware == 5:
        esp.text("/launch.txt",
                 "\\spoil.efi five-levels\n" + esp.entries["launch.txt"][1].decode())
    machine = vm.qemu(esp, cpus=cpus, mem=768, cpu="la57=on", timeout=200)
    machine.expect(rf"{firmware}-level host, {firmware}-level guest map", 60)
    machine.expect(rf"Solovisor \S+ {cpus} CPU", 60)
    expect_linux(machine, cpus)
    machine.expect(r"GUEST: warnings=0$", 20)
    assert machine.wait_end(30) == 0
