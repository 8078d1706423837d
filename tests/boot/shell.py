# SPDX-License-Identifier: BSD-2-Clause
"""The UEFI Shell of a machine, typed into."""
from chains import PROGRAM, dos
from emulator import SHELL, SOLOVISOR, Esp

SOLOVISOR_COMMAND = dos(PROGRAM)


def shell_esp():
    return Esp().file("/EFI/BOOT/BOOTX64.EFI", SHELL).file(PROGRAM, SOLOVISOR)


class Shell:
    """At the Shell's prompt, on fs0:."""

    def __init__(self, machine, timeout=60):
        self.machine = machine
        machine.expect("Press ESC in", timeout)
        machine.send("\r")
        machine.expect("Shell>", 30)
        self.run("fs0:")

    def run(self, command, pattern=None, timeout=30):
        """Type a command; returns the match of what it must print."""
        match = None
        self.machine.send(command + "\r")
        if pattern:
            match = self.machine.expect(pattern, timeout)
        self.machine.expect(r"FS0:\\>", timeout)
        return match

    def status(self):
        """What the last command returned, an EFI status without its error bit."""
        return int(self.run("echo status-%lasterror%", r"^status-0x([0-9A-Fa-f]+)\n").group(1), 16)

    def start(self, pattern, status, options="", timeout=60):
        """Start Solovisor: what it prints and returns.  The Shell works afterwards."""
        match = self.run(f"{SOLOVISOR_COMMAND} {options}".strip(), pattern, timeout)
        assert self.status() == status
        return match

    def power_off(self):
        self.machine.send("reset -s\r")
        assert self.machine.wait_end(30) == 0
