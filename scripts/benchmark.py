# SPDX-License-Identifier: BSD-2-Clause
"""What Solovisor costs, in instructions: behind `make bench` and tests/boot/test_bench.py.

Time stamp counters of emulators can count instructions: QEMU's with -icount and one CPU, Bochs's
always.  The figures do not depend on the host and are the same on every run, except that QEMU
counts the intercepted instruction with its exit as none and Bochs as one.

On the machine "qemu" it is AMD-V without NRIP save; "svm" and "vtx" are Bochs.
"""
import collections
import importlib.machinery
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from diskimage import GRUB_MODULES  # noqa: E402
from emulator import (BUILD, KERNEL_CLOUD, RUN, SOLOVISOR, TOP, Bochs, Esp,  # noqa: E402
                      Qemu)

MACHINES = ("qemu", "svm", "vtx")
TITLES = {"qemu": "AMD-V (QEMU, no NRIP save)", "svm": "AMD-V with NRIP save (Bochs)",
          "vtx": "VT-x (Bochs)"}
# Why one machine's budgets are above another's.
REASONS = {
    "qemu": "without NRIP save some 60 of each trapped instruction are the look at its bytes, by the\n"
            "guest's page tables; with NRIP save (see \"svm\") they are not there",
    "svm": "a write to the xAPIC page is looked at with NRIP save, too: 60 for its bytes, 35 for\n"
           "decoding, 30 for the register",
}
LOADER_BUDGET = 10_000_000
BOOT_BUDGET = 0.003

# What a probe of tests/guests/bench.c measures, and how much more than bare it may cost on each
# machine; None: not a figure that anybody promised.
PROBES = {
    "cpuid": ("CPUID", {"qemu": 300, "svm": 120, "vtx": 120}),
    "cpuid-prefixed": ("CPUID with prefixes 66 F3 48", {"qemu": 450, "svm": 120, "vtx": 120}),
    "cpuid-1": ("CPUID leaf 1", {}),
    "cpuid-7": ("CPUID leaf 7", {}),
    "rdmsr": ("RDMSR, trapped", {"qemu": 230, "svm": 160, "vtx": 160}),
    "wrmsr": ("WRMSR, trapped", {"qemu": 230, "svm": 160, "vtx": 160}),
    "wrmsr-apic-base": ("WRMSR of APIC_BASE", {"qemu": 230, "svm": 160}),
    "wrmsr-mtrr": ("WRMSR of MTRR_DEF_TYPE", {"qemu": 0, "svm": 0, "vtx": 160}),
    "rdmsr-pat": ("RDMSR, not trapped", {"qemu": 0, "svm": 0, "vtx": 0}),
    "hypercall": ("VMCALL or VMMCALL", {"qemu": 190, "svm": 120, "vtx": 120}),
    "xsetbv": ("XSETBV", {"qemu": 0, "svm": 0, "vtx": 160}),
    "in": ("IN", {"qemu": 0, "svm": 0, "vtx": 0}),
    "out": ("OUT", {"qemu": 0, "svm": 0, "vtx": 0}),
    "pci-read": ("PCI configuration read", {"qemu": 0, "svm": 0, "vtx": 0}),
    "mov-cr3": ("MOV to CR3", {"qemu": 0, "svm": 0, "vtx": 0}),
    "mov-cr4": ("MOV to CR4", {"qemu": 0, "svm": 0, "vtx": 0}),
    "rdtsc": ("RDTSC", {"qemu": 0, "svm": 0, "vtx": 0}),
    "xapic-read": ("xAPIC read", {"qemu": 0, "svm": 0, "vtx": 0}),
    "xapic-eoi": ("xAPIC EOI", {"qemu": 300, "svm": 300, "vtx": 0}),
    "xapic-eoi-immediate": ("xAPIC EOI, immediate", {"qemu": 300, "svm": 300, "vtx": 0}),
    "xapic-tpr": ("xAPIC TPR", {"qemu": 300, "svm": 300, "vtx": 0}),
    "x2apic-eoi": ("x2APIC EOI", {"qemu": 1, "vtx": 1}),
    "x2apic-tpr": ("x2APIC TPR", {"qemu": 1, "vtx": 1}),
    "x2apic-icr": ("x2APIC ICR", {"qemu": 300, "vtx": 1}),
}


def guest(name):
    return os.path.join(BUILD, "guests", name + ".efi")


def machine_for(kind, name, image, **options):
    if kind == "qemu":
        return Qemu(name, icount=True, image=image, **options)
    return Bochs(name, vendor=kind, image=image, **options)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write_image(esp, name):
    os.makedirs(RUN, exist_ok=True)
    return esp.write(os.path.join(RUN, name + ".img"))


def bench_esp(script, log="info"):
    """The programs of a measurement and the launcher's script."""
    esp = Esp().file("/EFI/BOOT/BOOTX64.EFI", guest("launch")).file("/bench.efi", guest("bench"))
    esp.file("/EFI/solovisor/solovisor.efi", SOLOVISOR)
    esp.text("/EFI/solovisor/solovisor.conf", f"guest = next\nserial = com1\nlog = {log}\n")
    return esp.text("/launch.txt", "".join(line + "\n" for line in script))


# --- single instructions and the loader -----------------------------------------------------------

def read_probes(text):
    """{probe: ticks for one} from what bench.efi printed."""
    result = {}
    for line in re.finditer(r"^BENCH: (\S+) (\d+) (\d+) (\d+)$", text, re.MULTILINE):
        count, without, with_it = (int(number) for number in line.groups()[1:])
        result[line.group(1)] = (with_it - without) / count
    return result


def measure_probes(kind, start=None):
    """Both columns and the loader: {"bare": {...}, "hosted": {...}, "loader": N}.

    The loader's figure is an upper bound, taken from outside: from before StartImage until it has
    returned into the guest, with what the firmware does for both and the console's lines.  The
    machine is started by start(esp), or here.
    """
    name = f"bench-{kind}"
    # The log's level is what a machine in use would have.
    esp = bench_esp(["\\bench.efi", "\\bench.efi start \\EFI\\solovisor\\solovisor.efi",
                     "\\bench.efi hosted", "\\bench.efi x2apic", ":poweroff"])
    machine = (start(esp) if start else
               machine_for(kind, name, write_image(esp, name), timeout=180).start())
    try:
        machine.expect(r"^BENCH: end$", 120)
        bare = read_probes(machine.text[:machine.position])
        middle = machine.position
        loader = machine.expect(r"^BENCH: started \S+ ticks=(\d+) (.*)$", 60)
        if loader.group(2) != "Success":
            raise RuntimeError(f"Solovisor did not start: {loader.group(2)}\n{machine.tail()}")
        # Once for what was measured in xAPIC mode, once for x2APIC mode.
        machine.expect(r"^BENCH: end$", 120)
        machine.expect(r"^BENCH: end$", 60)
        hosted = read_probes(machine.text[middle:machine.position])
    finally:
        machine.stop()
    return {"bare": bare, "hosted": hosted, "loader": int(loader.group(1))}


def over_budget(kind, result):
    """One line for each figure that is over the budget."""
    lines = []
    for probe, (title, budgets) in PROBES.items():
        if kind not in budgets or probe not in result["hosted"]:
            continue
        # A loop has an instruction or two more or less at its ends.
        extra = result["hosted"][probe] - result["bare"].get(probe, 0)
        if extra > budgets[kind] + 0.5:
            lines.append(f"{title}: {extra:.0f} instructions more than bare, "
                         f"the budget is {budgets[kind]}")
    if "loader" in result and result["loader"] > LOADER_BUDGET:
        lines.append(f"loader: {result['loader']:,} instructions, the budget is {LOADER_BUDGET:,}")
    return lines


# --- booting Linux --------------------------------------------------------------------------------

def initramfs():
    """The initramfs with the program that prints exits."""
    loader = importlib.machinery.SourceFileLoader("mkinitramfs",
                                                  os.path.join(TOP, "scripts", "mkinitramfs"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("mkinitramfs", loader))
    bytecode, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = bytecode
    helper = os.path.join(RUN, "exits")
    os.makedirs(RUN, exist_ok=True)
    with open(helper, "wb") as file:
        file.write(module.compile_helper(os.path.join(TOP, "tests/guests/linux/exits.c"), "gcc"))
    path = os.path.join(RUN, "bench-initramfs.cpio")
    subprocess.run([os.path.join(TOP, "scripts", "mkinitramfs"), path, "--add", f"exits={helper}"],
                   check=True)
    return path


def exit_names():
    """The names of enum exit_kind in their order."""
    with open(os.path.join(TOP, "vmexit", "exit.h"), encoding="utf-8") as file:
        body = re.search(r"enum exit_kind \{(.*?)\};", file.read(), re.DOTALL).group(1)
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.DOTALL)
    return [name.strip().removeprefix("EXIT_").lower().replace("_", " ")
            for name in body.split(",") if name.strip()]


def grub_with_linux(kernel, words):
    """A GRUB that carries the kernel: waiting for a disk takes a different time on each run."""
    folder = tempfile.mkdtemp(dir=RUN, prefix="bench-grub.")
    try:
        files = {"vmlinuz": read(kernel), "initrd.cpio": read(initramfs()),
                 "grub.cfg": (f"linux (memdisk)/vmlinuz {words}\ninitrd (memdisk)/initrd.cpio\n"
                              "boot\n").encode()}
        archive = os.path.join(folder, "memdisk.tar")
        with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as tar:
            for name, data in files.items():
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
        start = os.path.join(folder, "start.cfg")
        with open(start, "w", encoding="utf-8") as file:
            file.write("configfile (memdisk)/grub.cfg\n")
        image = os.path.join(folder, "grub.efi")
        subprocess.run(["grub-mkimage", "-O", "x86_64-efi", "-p", "(memdisk)/", "-m", archive, "-c",
                        start, "-o", image, "memdisk", "tar", *GRUB_MODULES], check=True)
        return read(image)
    finally:
        shutil.rmtree(folder)


def measure_boot(hosted, start=None, kernel=KERNEL_CLOUD):
    """From GRUB's start to init in QEMU: {"ticks": N, "exits": {kind: count}}.

    The time stamp counter also counts waiting, where time goes on without instructions; as both
    boots wait for the same, what differs is the instructions.  Nothing may be random; two boots
    still differ by some 0.06 %, as reading the disk takes the host's time.
    """
    name = "bench-boot-" + ("hosted" if hosted else "bare")
    options = {"extra": ["-seed", "1", "-rtc", "base=2026-01-01T00:00:00,clock=vm"],
               "timeout": 300}
    script = ["\\EFI\\solovisor\\solovisor.efi"] if hosted else []
    esp = bench_esp(script + ["\\bench.efi start \\grub.efi"])
    words = "console=ttyS0 nokaslr sv.do=run:exits,poweroff"
    esp.text("/grub.efi", grub_with_linux(kernel, words))
    machine = (start(esp, **options) if start else
               machine_for("qemu", name, write_image(esp, name), **options).start())
    try:
        begin = machine.expect(r"^BENCH: start \S+ tsc=(\d+)$", 100)
        end = machine.expect(r"GUEST: tsc=(\d+)$", 240)
        machine.expect(r"GUEST: run exits status=0$", 60)
        names = exit_names()
        exits = {names[int(match.group(1))]: int(match.group(2))
                 for match in machine.seen(r"GUEST: exits (\d+)=(\d+)$")}
    finally:
        machine.stop()
    return {"ticks": int(end.group(1)) - int(begin.group(1)), "exits": exits}


def boot_overhead(bare, hosted):
    return hosted["ticks"] / bare["ticks"] - 1


# --- where the instructions go --------------------------------------------------------------------

class TracingQemu(Qemu):
    """QEMU that can write down each instruction of the core."""

    def __init__(self, name, **options):
        super().__init__(name, icount=True, **options)
        self.trace = os.path.join(self.folder, "trace")
        self.extra += ["-d", "nochain", "-dfilter", "0xffffffff80000000+0x200000", "-D", self.trace]

    def start_trace(self):
        self.monitor.do("one-insn-per-tb on")
        self.monitor.do("log exec,nochain")


def core_symbols():
    text = subprocess.run(["nm", "-n", os.path.join(BUILD, "core.elf")], check=True,
                          capture_output=True, text=True).stdout
    symbols = []
    for line in text.splitlines():
        address, kind, name = line.split()
        if kind in "tT" and not name.startswith("core_text"):
            symbols.append((int(address, 16), name))
    return symbols


def core_instructions():
    """{address: text} of the core's code."""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn",
                           os.path.join(BUILD, "core.elf")], check=True, capture_output=True,
                          text=True).stdout
    return {int(match.group(1), 16): match.group(2)
            for match in re.finditer(r"^(ffffffff[0-9a-f]+):\t(.*)$", text, re.MULTILINE)}


def trace_exits(script, timeout=120):
    """Each exit on the way through a script of launch.c: [[address, ...], ...]."""
    name = "bench-trace"
    machine = TracingQemu(name, image=write_image(bench_esp(script), name), timeout=timeout)
    with machine:
        machine.expect(r"guest starts at", 60)
        machine.start_trace()
        machine.expect(r"^BENCH: end$", timeout)
    vmrun = {address for address, text in core_instructions().items() if text.startswith("vmrun")}
    exits, current = [], []
    with open(machine.trace, encoding="utf-8", errors="replace") as file:
        for line in file:
            match = re.match(r"Trace \d+: \S+ \[\w+/(\w+)/", line)
            if not match:
                continue
            address = int(match.group(1), 16)
            current.append(address)
            if address in vmrun:
                exits.append(current)
                current = []
    os.unlink(machine.trace)
    return exits


def by_function(exit_trace):
    """[(function, instructions, times entered)] in order of their first instruction."""
    import bisect
    symbols = core_symbols()
    addresses = [address for address, _ in symbols]
    counts, entered = collections.OrderedDict(), collections.Counter()
    for address in exit_trace:
        start, name = symbols[bisect.bisect_right(addresses, address) - 1]
        counts[name] = counts.get(name, 0) + 1
        entered[name] += address == start
    return [(name, count, entered[name]) for name, count in counts.items()]
