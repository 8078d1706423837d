# SPDX-License-Identifier: BSD-2-Clause
"""QEMU's own monitor, by QMP over a connected socket.

    monitor.command("pmemsave", val=0, size=4096, filename=path)
    monitor.do("info registers")            a line of the human monitor; its answer as text
    monitor.do("info lapic", cpu=1)         seen from that CPU
"""
import json

ANSWER_SECONDS = 60


class QemuMonitor:
    def __init__(self, socket):
        self.socket = socket
        self.socket.settimeout(ANSWER_SECONDS)
        self.file = None

    def _greet(self):
        """QEMU's greeting, and the command that has to be the first."""
        self.file = self.socket.makefile("rw", encoding="utf-8")
        self.file.readline()
        self._ask({"execute": "qmp_capabilities"})

    def _ask(self, request):
        self.file.write(json.dumps(request) + "\n")
        self.file.flush()
        while True:
            line = self.file.readline()
            if not line:
                raise OSError("QEMU's monitor has ended")
            answer = json.loads(line)
            if "error" in answer:
                raise OSError(f"{request['execute']}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def command(self, name, **arguments):
        if self.file is None:
            self._greet()
        return self._ask({"execute": name, "arguments": arguments})

    def do(self, line, cpu=0):
        return self.command("human-monitor-command", **{"command-line": line, "cpu-index": cpu})

    def close(self):
        if self.file is not None:
            self.file.close()
        self.socket.close()
