# SPDX-License-Identifier: BSD-2-Clause
"""`make run`: what it does after the building, on a terminal."""
import os
import subprocess

import pexpect
import pytest
from chains import guest
from emulator import BUILD, KERNEL_GENERIC, RUN, TOP, Patience

# What each kind of GUEST comes to.
GUESTS = {
    "default": ("", r"GUEST: kernel=\S+-cloud-amd64"),
    "kernel": (KERNEL_GENERIC, r"GUEST: kernel=\S+-\d+-amd64"),
    "program": (guest("acpi_tables"), r"ACPI: this firmware has tables already"),
}


class Terminal:
    """scripts/run as the Makefile calls it, on a terminal of its own."""

    def __init__(self, name, path, cpus):
        image = os.path.join(RUN, name + ".img")
        options = ["--guest", path]
        subprocess.run([os.path.join(TOP, "scripts/mkimage"), "run", image, *options], check=True)
        self.log = open(os.path.join(BUILD, "logs", name + ".terminal"), "wb")
        self.child = pexpect.spawn(os.path.join(TOP, "scripts/run"),
                                   [image, "--name", name, "--cpus", str(cpus), "--mem", "512",
                                    *options],
                                   cwd=TOP, logfile=self.log, timeout=1)

    def expect(self, pattern, seconds):
        patience = Patience(seconds)
        while self.child.expect([pattern, pexpect.TIMEOUT]):
            assert patience.tick() > 0, f"no {pattern!r} in {self.child.before[-2000:]}"

    def end(self):
        self.child.close(force=True)
        self.log.close()


@pytest.mark.seconds(15)
@pytest.mark.parametrize("kind", ["kernel", "program",
                                  pytest.param("default", marks=pytest.mark.full)])
def test_guest_on_a_terminal(kind):
    """GUEST=path: it runs under Solovisor, gets what is typed, and Ctrl-A X ends it."""
    path, said = GUESTS[kind]
    os.makedirs(RUN, exist_ok=True)
    terminal = Terminal(f"run-{kind}", path, 2)
    try:
        terminal.expect(r"AMD-V, QEMU, 2 CPUs; Ctrl-A X leaves", 10)
        terminal.expect(r"Solovisor \S+ 2 CPUs, \d+ KiB", 90)
        terminal.expect(said, 120)
        if kind != "program":
            terminal.expect("# ", 30)
            terminal.child.send("echo from-the-$(echo shell)\r")
            terminal.expect("from-the-shell", 30)
        terminal.child.send("\x01x")
        terminal.expect(pexpect.EOF, 30)
        terminal.child.wait()
        assert terminal.child.exitstatus == 0
    finally:
        terminal.end()
