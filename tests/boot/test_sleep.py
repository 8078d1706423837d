# SPDX-License-Identifier: BSD-2-Clause
"""ACPI S3: the machine sleeps and wakes up under the hypervisor."""
import importlib.machinery
import importlib.util
import os
import re
import shutil
import subprocess

import pytest
from chains import linux_esp
from emulator import INITRAMFS, RUN, TOP

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


def sleep_in_linux(vm, host, cpus, rounds, **options):
    esp = linux_esp(host=host, do="run:sleep,warnings,poweroff", cmdline=f"sv.sleeps={rounds}")
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
@pytest.mark.parametrize("rounds", [2, pytest.param(20, marks=pytest.mark.full)])
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
