# SPDX-License-Identifier: BSD-2-Clause
"""scripts/kernel-symbols: from System.map or kallsyms to names in gdb."""
import os
import subprocess

import pytest
from emulator import TOP

SCRIPT = os.path.join(TOP, "scripts/kernel-symbols")
MAP = """\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _text
ffffffff81000000 T startup_64
ffffffff81000070 t helper
ffffffff81001000 D some_data
ffffffffc0001000 t in_a_module\t[module]
a line of a shell
"""


def ask(path, *commands):
    arguments = [word for command in (f"file {path}", *commands) for word in ("-ex", command)]
    return subprocess.run(["gdb", "-q", "-nx", "-batch", *arguments], capture_output=True, text=True,
                          check=False, timeout=60).stdout


@pytest.mark.seconds(5)
@pytest.mark.parametrize("slide", [0, 0x1200000])
def test_gdb_finds_the_names(tmp_path, slide):
    source, path = tmp_path / "System.map", tmp_path / "kernel.elf"
    source.write_text(MAP)
    done = subprocess.run([SCRIPT, source, path, "--slide", hex(slide)], capture_output=True, text=True,
                          check=True)
    assert done.stdout.startswith("4 symbols from ")
    said = ask(path, "info address helper", f"info symbol {0xffffffff81000084 + slide:#x}",
               "info address in_a_module")
    assert f"Symbol \"helper\" is at {0xffffffff81000070 + slide:#x}" in said
    assert "helper + 20 in section .text" in said
    assert "in_a_module" not in said


def test_hidden_addresses_are_refused(tmp_path):
    source = tmp_path / "kallsyms"
    source.write_text("0000000000000000 T startup_64\n")
    done = subprocess.run([SCRIPT, source, tmp_path / "out"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "hides their addresses" in done.stderr
