# SPDX-License-Identifier: BSD-2-Clause
"""What the tests with whole machines share.

    def test_hello(vm):
        esp = Esp().file("/EFI/BOOT/BOOTX64.EFI", guest("hello"))
        machine = vm.qemu(esp, cpus=2)
        machine.expect("HELLO", 30)

Markers: seconds(N) how long a test takes (the longest are started first), alone (nothing beside
it), full (only with SV_FULL=1), soak (only in `make soak`, and nothing else there).
"""
import json
import os
import re
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "scripts"))
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from emulator import RUN, Bochs, Esp, Qemu  # noqa: E402

FULL = os.environ.get("SV_FULL", "") not in ("", "0")
SOAK = "SV_SOAK" in os.environ


def pytest_configure(config):
    for marker in ("seconds(n): about how long the test takes",
                   "alone: run with no other test beside it",
                   "full: only in the full run",
                   "soak: only in make soak"):
        config.addinivalue_line("markers", marker)


def pytest_collection_modifyitems(config, items):
    skipped = [item for item in items if SOAK != (item.get_closest_marker("soak") is not None)
               or (item.get_closest_marker("full") and not FULL)]
    if skipped:
        items[:] = [item for item in items if item not in skipped]
        config.hook.pytest_deselected(items=skipped)
    listing = os.environ.get("SV_COLLECT")
    if listing:
        with open(listing, "w", encoding="utf-8") as file:
            json.dump([{"id": os.path.relpath(item.path, TOP) + "::"
                        + item.nodeid.split("::", 1)[1],
                        "seconds": _argument(item, "seconds", 10),
                        "alone": item.get_closest_marker("alone") is not None}
                       for item in items], file)


def _argument(item, marker, default):
    """The largest, where a test's own marker and one of its parameters both say something."""
    return max([found.args[0] for found in item.iter_markers(marker)], default=default)


class Machines:
    """The machines of one test: named after it, started here, ended with it."""

    def __init__(self, name):
        self.name = name
        self.started = []
        self.images = []

    def _next_name(self):
        count = len(self.started)
        return self.name if count == 0 else f"{self.name}.{count + 1}"

    def image(self, esp):
        """The path of a disk image with the files of an Esp."""
        if not isinstance(esp, Esp):
            return esp
        os.makedirs(RUN, exist_ok=True)
        path = os.path.join(RUN, f"{self.name}.{len(self.images)}.img")
        self.images.append(path)
        return esp.write(path)

    def _start(self, kind, disk, options):
        if disk is not None:
            options["image"] = self.image(disk)
        machine = kind(self._next_name(), **options)
        self.started.append(machine)
        return machine.start()

    def qemu(self, disk=None, **options):
        """Start QEMU from an Esp or the path of an image; options as emulator.Qemu."""
        if isinstance(disk, Esp) and disk.starts_linux:
            options.setdefault("one_core", True)
        return self._start(Qemu, disk, options)

    def bochs(self, disk=None, **options):
        """Start Bochs from an Esp or the path of an image; options as emulator.Bochs."""
        return self._start(Bochs, disk, options)

    def start(self, emulator, disk=None, **options):
        return {"qemu": self.qemu, "bochs": self.bochs}[emulator](disk, **options)

    def end(self):
        for machine in self.started:
            machine.stop()
        for path in self.images:
            if os.path.exists(path):
                os.unlink(path)


@pytest.fixture
def vm(request):
    """Start machines for this test."""
    machines = Machines(re.sub(r"[^A-Za-z0-9_.-]+", "-", request.node.name).strip("-"))
    yield machines
    machines.end()


@pytest.fixture
def full():
    """Whether this is the full run."""
    return FULL
