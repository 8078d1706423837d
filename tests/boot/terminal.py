# SPDX-License-Identifier: BSD-2-Clause
"""Somebody at the monitor: pexpect on a serial line of the hypervisor's."""
import os
import re
import socket
import time

import pexpect
import pexpect.fdpexpect
import pexpect.spawnbase
from emulator import LOGS, Patience

PROMPT = "solovisor> "
ANSWERED = re.escape("\x1b[K")


class Console(pexpect.spawnbase.SpawnBase):
    """A machine's first serial line for pexpect, as it is: what it sends is in its log as it comes."""

    def __init__(self, machine, **options):
        super().__init__(**options)
        self.machine = machine
        self.file = open(machine.log_path, "rb")

    def read_nonblocking(self, size=1, timeout=None):
        end = time.monotonic() + (self.timeout if timeout in (None, -1) else timeout)
        data = self.file.read(size)
        while not data:
            if time.monotonic() >= end:
                raise pexpect.TIMEOUT("nothing more on the console")
            time.sleep(0.02)
            data = self.file.read(size)
        text = self._decoder.decode(data, final=False)
        self._log(text, "read")
        return text

    def send(self, keys):
        self.machine.send(keys)

    def close(self):
        self.file.close()


def connect(port):
    for _ in range(300):
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the emulator does not listen")


class Terminal:
    """The other end of the monitor's line: a TCP port, or without one the machine's console."""

    def __init__(self, machine, port=None):
        os.makedirs(LOGS, exist_ok=True)
        self.log = open(os.path.join(LOGS, machine.name + ".monitor"), "w", encoding="utf-8")
        options = {"encoding": "latin-1", "timeout": 1, "logfile": self.log}
        if port is None:
            self.line = Console(machine, **options)
        else:
            self.socket = connect(port)
            self.line = pexpect.fdpexpect.fdspawn(self.socket.fileno(), **options)

    def expect(self, pattern, seconds=60):
        """What came before the pattern, as text without carriage returns."""
        patience = Patience(seconds)
        while self.line.expect([pattern, pexpect.TIMEOUT]):
            assert patience.tick() > 0, f"no {pattern!r} in {self.line.before[-2000:]!r}"
        return self.line.before.replace("\r", "")

    def expect_prompt(self, seconds=60):
        said = self.expect(re.escape(PROMPT), seconds)
        self.expect(ANSWERED, seconds)
        return said

    def type(self, keys):
        self.line.send(keys)

    def begin(self, shared=False):
        """Whoever types sees the prompt; on a shared line, once the keyboard is the monitor's. What came before that."""
        said = ""
        if shared:
            self.type("\x1d")
            said = self.expect("the keyboard is the hypervisor's")
        self.type("\r")
        return said + self.expect_prompt()

    def do(self, command, seconds=60, with_log=False):
        """What a command prints."""
        self.type(command + "\r")
        self.expect(re.escape(command) + "\r\n", seconds)
        said = self.expect_prompt(seconds)
        # Lines of the log may come at any time.
        return said if with_log else re.sub(r"^solovisor: .*\n", "", said, flags=re.MULTILINE)

    def close(self):
        self.line.close()
        self.log.close()
