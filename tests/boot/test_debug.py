# SPDX-License-Identifier: BSD-2-Clause
"""
The debug build (make DEBUG=1): its model of who may hold an old translation (mm/flush_model.h) stops the machine where
a flush is missing, which no emulator shows by itself.
"""
import fcntl
import os
import subprocess

import pytest
from chains import PROGRAM, expect_linux, linux_esp
from emulator import BUILD, TOP
from test_probes import expect_end, probe_esp

full = pytest.mark.full
DEBUG = os.path.join(BUILD, "debug", "solovisor.efi")


@pytest.fixture(scope="module", autouse=True)
def debug_build():
    # Another process may run another test of this module.
    with open(os.path.join(BUILD, "debug.lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = subprocess.run(["make", "-s", "-j2", "DEBUG=1", "BUILD=build/debug", "build/debug/solovisor.efi"],
                              cwd=TOP, check=False, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.seconds(30)
@pytest.mark.parametrize("where,cpus,probe,arguments", [
    ("qemu", 2, "track", "writes 4000 toggles 50"),
    pytest.param("qemu", 4, "track", "writes 20000 toggles 200", marks=full),
    pytest.param("vtx", 2, "track", "writes 500 toggles 10", marks=full),
    pytest.param("vtx", 2, "track", "types", marks=full),
    pytest.param("qemu", 2, "tables", "rounds 20", marks=full),
    pytest.param("qemu", 4, "startup", "rounds 5", marks=full)])
def test_flush_model(vm, where, cpus, probe, arguments):
    """Maps that change under CPUs that use them: nobody relies on what a CPU has not seen."""
    esp = probe_esp(probe, arguments).file(PROGRAM, DEBUG)
    if where == "qemu":
        machine = vm.qemu(esp, cpus=cpus, timeout=240)
    else:
        machine = vm.bochs(esp, vendor=where, cpus=cpus, timeout=400)
    expect_end(machine, 200)


@full
@pytest.mark.seconds(20)
@pytest.mark.parametrize("cpus", [2, 4])
def test_linux_of_the_debug_build(vm, cpus):
    """Linux from its start to the end, with INIT and SIPI on the way."""
    esp = linux_esp(do="checksum,warnings,poweroff").file(PROGRAM, DEBUG)
    machine = vm.qemu(esp, cpus=cpus, timeout=300)
    expect_linux(machine, cpus)
    machine.expect(r"GUEST: warnings=0$", 20)
    assert machine.wait_end(30) == 0
