# SPDX-License-Identifier: BSD-2-Clause
"""The hypervisor's memory from outside, in QEMU: what must never change once a guest runs.

    memory = HypervisorMemory(machine.monitor, "build/core.elf", base, size)    where the log says it is
    memory.parts()      {"text": ..., "rodata": ..., "tables": ...}: check sums
"""
import hashlib
import os
import struct
import subprocess
import tempfile

PAGE = 4096
IMAGE = 0xffffffff80000000
PRESENT, LARGE, NX = 1, 1 << 7, 1 << 63
MARKS = 0x60  # accessed and dirty
FRAME = 0x000ffffffffff000
HOST_WORDS = 39  # struct page_table


class HypervisorMemory:
    def __init__(self, monitor, elf, base, size):
        self.base, self.size = base, size
        self.symbols = self._symbols(elf)
        self.monitor = monitor

    @staticmethod
    def _symbols(elf):
        text = subprocess.run(["nm", elf], check=True, capture_output=True, text=True).stdout
        return {name: int(address, 16) for address, _, name in map(str.split, text.splitlines())}

    def _read(self):
        """All of the reservation."""
        handle, path = tempfile.mkstemp()
        os.close(handle)
        try:
            self.monitor.command("pmemsave", val=self.base, size=self.size, filename=path)
            with open(path, "rb") as file:
                return file.read()
        finally:
            os.unlink(path)

    def _section(self, dump, name):
        start, end = (self.symbols[f"core_{name}_{edge}"] - IMAGE for edge in ("start", "end"))
        return dump[start:end]

    def _root(self, dump):
        """Of the host's own tables: the one pointer to a page in `struct page_table host`."""
        at = self.symbols["host"] - IMAGE
        words = struct.unpack_from(f"<{HOST_WORDS}Q", dump, at)
        return next(word - IMAGE for word in words
                    if word > IMAGE and word < IMAGE + self.size and word % PAGE == 0)

    def _walk(self, dump, offset, level, digest):
        for index, entry in enumerate(struct.unpack_from("<512Q", dump, offset)):
            if not entry & PRESENT:
                continue
            digest.update(struct.pack("<QQQ", level, index, entry & ~MARKS))
            if level > 0 and not entry & LARGE:
                self._walk(dump, (entry & FRAME) - self.base, level - 1, digest)

    def parts(self):
        dump = self._read()
        sums = {name: hashlib.sha256(self._section(dump, name)).hexdigest()
                for name in ("text", "rodata")}
        digest = hashlib.sha256()
        self._walk(dump, self._root(dump), 3, digest)
        sums["tables"] = digest.hexdigest()
        return sums
