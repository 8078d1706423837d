# SPDX-License-Identifier: BSD-2-Clause
"""Debian's gdb on the hypervisor's own serial line: the machines' second one, as a socket."""
import os
import re
import select
import signal
import socket
import threading
import time

import pexpect
from emulator import BUILD, LOGS, Patience

PROMPT = r"\(gdb\) "


class Relay:
    """Between the emulator, which has to be connected to all the time, and whoever comes and goes."""

    def __init__(self, port):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.machine_port = port
        self.over = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _connect(self):
        while not self.over:
            try:
                return socket.create_connection(("127.0.0.1", self.machine_port), timeout=5)
            except OSError:
                time.sleep(0.1)
        return None

    def _run(self):
        machine, peer = self._connect(), None
        while not self.over and machine is not None:
            ready, _, _ = select.select([self.server, machine] + ([peer] if peer else []), [], [], 0.2)
            if self.server in ready:
                if peer:
                    peer.close()
                peer, _ = self.server.accept()
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                continue
            for source, target in ((machine, peer), (peer, machine)):
                if source not in ready or source is None:
                    continue
                try:
                    data = source.recv(4096)
                    if not data and source is machine:
                        return
                    if not data:
                        peer.close()
                        peer = None
                        break
                    if target is not None:
                        target.sendall(data)
                except OSError:
                    if source is machine:
                        return
                    peer = None
                    break

    def close(self):
        self.over = True
        self.thread.join(2)
        self.server.close()


# What was sent before may take the line a while.
ASKED_MAX = 12


class Raw:
    """Packets, or what is none, without gdb."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data):
        self.socket.sendall(data)

    def ask(self, text):
        """The answer to a packet, which is sent again if it is not acknowledged."""
        packet = b"$" + text + b"#%02x" % (sum(text) & 0xff)
        for _ in range(ASKED_MAX):
            self._drain()
            self.send(packet)
            got = self._until(re.compile(rb"\+\$([^#$]*)#[0-9a-f]{2}$"), 10)
            if got is not None:
                self.send(b"+")
                return got
        raise AssertionError(f"no answer to {text!r}")

    def _drain(self):
        while select.select([self.socket], [], [], 0.3)[0]:
            if not self.socket.recv(65536):
                return

    def _until(self, pattern, seconds):
        data, patience = b"", Patience(seconds)
        while patience.tick() > 0:
            if not select.select([self.socket], [], [], 0.2)[0]:
                continue
            data += self.socket.recv(65536)
            found = pattern.search(data)
            if found:
                return found.group(1)
        return None

    def close(self):
        self.socket.close()


class Gdb:
    """gdb's command line."""

    def __init__(self, name, port):
        self.port = port
        os.makedirs(LOGS, exist_ok=True)
        self.log = open(os.path.join(LOGS, name + ".gdb"), "w", encoding="utf-8")
        self.child = pexpect.spawn("gdb", ["-q", "-nx"], encoding="utf-8", logfile=self.log, timeout=1,
                                   env=dict(os.environ, TERM="dumb", LC_ALL="C"))
        self.wait()
        for setting in ("pagination off", "confirm off", "width 0", "remotetimeout 60", "style enabled off",
                        "architecture i386:x86-64", "osabi none"):
            self.do("set " + setting)

    def wait(self, seconds=60):
        """What was printed up to the next prompt."""
        patience = Patience(seconds)
        while self.child.expect([PROMPT, pexpect.TIMEOUT]):
            assert patience.tick() > 0, f"gdb: {self.child.before[-2000:]}"
        return self.child.before.replace("\r", "")

    def do(self, command, seconds=60):
        self.child.sendline(command)
        return self.wait(seconds).split("\n", 1)[-1]

    def attach(self, seconds=60):
        said = self.do(f"target remote 127.0.0.1:{self.port}", seconds)
        assert "Remote debugging using" in said and "timed out" not in said.lower(), said
        return said

    def symbols(self, name, symbol, address):
        """Of a guest program, where `symbol` is at `address`."""
        path = os.path.join(BUILD, "obj", "guests", name + ".so")
        offset = self.value(f"(long)&{symbol}", f"file {path}")
        self.do("file")
        self.do(f"add-symbol-file {path} -o {address - offset:#x}")

    def value(self, expression, first=None):
        if first:
            self.do(first)
        said = self.do(f"printf \"value=%llx\\n\", (unsigned long long)({expression})")
        found = re.search(r"value=([0-9a-f]+)", said)
        assert found, said
        return int(found.group(1), 16)

    def go(self, command="continue", seconds=60):
        return self.do(command, seconds)

    def interrupt(self, seconds=60):
        """After `start`."""
        self.child.sendintr()
        return self.wait(seconds)

    def start(self, command="continue"):
        self.child.sendline(command)
        self.child.expect(r"Continuing\.")

    def vanish(self):
        """Without a word; gdb that is ended in any other way detaches."""
        self.child.kill(signal.SIGKILL)

    def end(self):
        self.child.close(force=True)
        self.log.close()
