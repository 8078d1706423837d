# SPDX-License-Identifier: BSD-2-Clause
"""The test machines themselves, without Solovisor: what fails here is not the hypervisor's fault."""
import pytest
from chains import expect_linux, guest, linux_esp
from emulator import Esp


@pytest.mark.seconds(12)
def test_bare_linux_qemu(vm):
    machine = vm.qemu(linux_esp(host=None, do="checksum,hotplug,warnings,poweroff"), cpus=2,
                      timeout=120)
    expect_linux(machine, 2, "TCGTCGTCGTCG", ("checksum", "hotplug"))
    machine.expect(r"GUEST: warnings=0$", 10)
    assert machine.wait_end(30) == 0


@pytest.mark.full
@pytest.mark.parametrize("starter", ["shell", "grub", "shell-grub"])
def test_bare_starters_qemu(vm, starter):
    machine = vm.qemu(linux_esp(starter=starter, host=None, do="poweroff"), timeout=120)
    expect_linux(machine, 1, "TCGTCGTCGTCG", ())
    assert machine.wait_end(30) == 0


@pytest.mark.full
@pytest.mark.seconds(120)
@pytest.mark.parametrize("vendor,cpus", [("vtx", 2), ("vtx", 1), ("svm", 1)])
def test_bare_linux_bochs(vm, vendor, cpus):
    machine = vm.bochs(linux_esp("bochs", host=None), vendor=vendor, cpus=cpus, timeout=900)
    machine.expect(rf"ACPI: tables for {cpus} CPUs .*: Success", 120)
    expect_linux(machine, cpus, "none", timeout=600)
    machine.expect(r"GUEST: poweroff", 30)
    # With several CPUs Bochs sleeps while all of them idle: the way to power-off takes minutes.
    if cpus == 1:
        machine.wait_end(120)


@pytest.mark.seconds(9)
def test_bare_launch_bochs(vm):
    esp = Esp().file("/EFI/BOOT/BOOTX64.EFI", guest("launch"))
    esp.file("/acpi_tables.efi", guest("acpi_tables"))
    esp.text("/launch.txt", "\\acpi_tables.efi\n\\acpi_tables.efi next\n:poweroff\n")
    machine = vm.bochs(esp, cpus=2, timeout=120)
    machine.expect(r"ACPI: tables for 2 CPUs .*: Success", 120)
    machine.expect(r"LAUNCH: \\acpi_tables.efi: Success", 10)
    machine.expect(r"ACPI: this firmware has tables already", 10)
    machine.expect(r"LAUNCH: \\acpi_tables.efi: Not Found", 10)
    machine.wait_end(30)
