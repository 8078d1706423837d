# SPDX-License-Identifier: BSD-2-Clause
"""Linux under Solovisor in Bochs: VT-x with one CPU and with two, AMD-V with one."""
import pytest
from chains import expect_linux, linux_esp
from emulator import KERNEL_CLOUD, KERNEL_GENERIC

full = pytest.mark.full


# Debian's cloud kernel is packed with LZ4, which takes seconds; the generic one's XZ a minute.
@pytest.mark.seconds(80)
@pytest.mark.parametrize("vendor,cpus,host,starter,kernel", [
    ("vtx", 2, "next", "launch", "cloud"),
    ("svm", 1, "next", "launch", "cloud"),
    pytest.param("vtx", 1, "next", "launch", "cloud", marks=full),
    pytest.param("vtx", 1, "linux", "launch", "generic", marks=full),
    pytest.param("vtx", 2, "linux", "launch", "cloud", marks=full),
    pytest.param("vtx", 2, "next", "launch", "generic", marks=full),
    pytest.param("vtx", 1, "next", "shell-grub", "cloud", marks=full),
    pytest.param("svm", 1, "linux", "launch", "generic", marks=full)])
def test_linux(vm, vendor, cpus, host, starter, kernel):
    esp = linux_esp("bochs", starter=starter, host=host, do="checksum,warnings,poweroff",
                    kernel={"cloud": KERNEL_CLOUD, "generic": KERNEL_GENERIC}[kernel],
                    # Its own lines would cut the guest's into pieces on the slow serial line.
                    config={"log": "error"})
    machine = vm.bochs(esp, vendor=vendor, cpus=cpus, timeout=600)
    if starter == "launch":
        machine.expect(rf"ACPI: tables for {cpus} CPUs .*: Success", 120)
    machine.expect(rf"Solovisor \S+ {cpus} CPU", 120)
    expect_linux(machine, cpus, timeout=400)
    machine.expect(r"GUEST: warnings=0\n", 30)
    machine.expect(r"GUEST: poweroff", 30)
    # With several CPUs Bochs sleeps while all of them idle: the way to power-off takes minutes.
    if cpus == 1:
        machine.wait_end(120)
