# SPDX-License-Identifier: BSD-2-Clause
"""What the decoder's comparison needs beside its own program: libopcodes of Debian 13 and compiled code."""
import os
import subprocess

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, "build", "oracle")
ROOT = os.path.join(TOP, "build", "emulators")
LIBRARIES = os.path.join(ROOT, "usr/lib/x86_64-linux-gnu")

# tests/oracle/vectors.c for many CPUs; "-m16" at the end of a name means 16-bit code.
COMPILED = [
    ("sapphirerapids", "gcc -O3 -march=sapphirerapids -mprefer-vector-width=512"),
    ("sapphirerapids-clang", "clang -O3 -march=sapphirerapids -mprefer-vector-width=512"),
    ("skylake-avx512", "gcc -O3 -ffast-math -march=skylake-avx512"),
    ("haswell", "gcc -O3 -ffast-math -march=haswell"),
    ("bdver4", "gcc -O3 -march=bdver4"),
    ("unoptimized", "gcc -O0"),
    ("skylake-avx512-m32", "gcc -m32 -O3 -ffast-math -march=skylake-avx512"),
    ("pentium3-m32", "gcc -m32 -O2 -march=pentium3"),
    ("gcc-m16", "gcc -m16 -O2"),
    ("clang-m16", "clang -m16 -Os"),
]

# Code of Debian packages that the tests need anyway, by what is linked with it: the C library and LLVM.
SYSTEM_CODE = ["libc.so.6", "libLLVM-14.so.1"]


def newer(target, *sources):
    return os.path.exists(target) and all(
        os.path.getmtime(source) <= os.path.getmtime(target) for source in sources)


def run(command):
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(" ".join(command) + "\n" + done.stdout + done.stderr)


def binutils_command():
    """Build tests/oracle/opcodes.c; the shell command that runs it with the libraries that it wants."""
    source, program = "tests/oracle/opcodes.c", os.path.join(BUILD, "opcodes")
    os.makedirs(BUILD, exist_ok=True)
    if not newer(program, os.path.join(TOP, source), os.path.join(TOP, "scripts/oracle.py")):
        run(["gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Wno-unused-parameter",
             "-I" + os.path.join(ROOT, "usr/include"), "-o", program, source,
             os.path.join(LIBRARIES, "libopcodes.so"), "-Wl,--allow-shlib-undefined"])
    loader = os.path.join(ROOT, "usr/lib64/ld-linux-x86-64.so.2")
    return f"'{loader}' --library-path '{LIBRARIES}' '{program}'"


def compiled_files():
    """Objects of vectors.c, the core itself, and big libraries where the system has them."""
    source, files = "tests/oracle/vectors.c", []
    os.makedirs(BUILD, exist_ok=True)
    for name, command in COMPILED:
        target = os.path.join(BUILD, name + ".o")
        if not newer(target, os.path.join(TOP, source), os.path.join(TOP, "scripts/oracle.py")):
            run([*command.split(), "-ffreestanding", "-w", "-c", "-o", target, source])
        files.append(target)
    core = os.path.join(TOP, "build", "core.elf")
    system = [os.path.join("/usr/lib/x86_64-linux-gnu", name) for name in SYSTEM_CODE]
    return files + [file for file in [core, *system] if os.path.exists(file)]
