# SPDX-License-Identifier: BSD-2-Clause
"""The probes of `make transparency`, and what may differ between bare and hosted.

A machine is "qemu-N" (QEMU's TCG, AMD-V, N CPUs), "vtx-N" or "svm-N" (Bochs); patterns are those of
the Shell.  docs/transparency.md says how to write a probe.
"""
import dataclasses
import re
import typing


@dataclasses.dataclass(frozen=True)
class Probe:
    """One row: a program tests/guests/PROGRAM.c and where it runs.

    machines  in every run, `full` in the full run as well
    seconds   about how long both runs of one machine take: {"qemu": ..., "bochs": ...}
    full_arguments  instead of `arguments` in the full run
    qemu_words      more of them in QEMU
    resets    the program ends in a reset of the machine: whether it comes is a fact
    """
    program: str
    machines: tuple
    full: tuple = ()
    arguments: str = ""
    full_arguments: typing.Optional[str] = None
    qemu_words: str = ""
    seconds: dict = dataclasses.field(default_factory=lambda: {"qemu": 8, "bochs": 40})
    resets: bool = False
    qemu: dict = dataclasses.field(default_factory=dict)
    config: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Allowed:
    """A difference with its reason: patterns of probe, machine and key.

    change    given both texts (None: no such line), whether it is this difference; else any is
    always    False: it may be absent; else an entry without a difference is stale
    """
    probe: str
    machine: str
    key: str
    reason: str
    change: typing.Optional[typing.Callable] = None
    always: bool = True


def bits(mask, becomes=None):
    """A change of numbers in nothing but these bits; with `becomes` they have this value hosted.

    For a row of numbers: a mask for each (0: no change), and `becomes` the same.
    """
    masks = mask if isinstance(mask, tuple) else (mask,)
    values = becomes if isinstance(becomes, tuple) else (becomes,) * len(masks)

    def check(bare, hosted):
        try:
            old, new = ([int(word, 16) for word in text.split()] for text in (bare, hosted))
        except (AttributeError, ValueError):
            return False
        return len(old) == len(new) == len(masks) and all(
            (a ^ b) & ~m == 0 and (v is None or b & m == v)
            for a, b, m, v in zip(old, new, masks, values))
    return check


def texts(bare, hosted):
    """Exactly these two texts."""
    return lambda old, new: (old, new) == (bare, hosted)


def texts_to(hosted):
    """Whatever it was, hosted it is this."""
    return lambda old, new: new == hosted


def split_trap(bare, hosted):
    """A trap of a single step and the breakpoint on the next instruction: in one, or one after the other."""
    one = re.compile(r"db@(\w+),f=(\w+),dr6=ffff4ff1")
    return one.sub(r"db@\1,f=\2,dr6=ffff4ff0 db@\1,f=\2,dr6=ffff0ff1", bare or "", 1) == hosted


def only_hosted(text):
    """A fact that the bare run has not, and hosted it is this."""
    return texts(None, text)


def without(pattern, becomes=""):
    """Hosted it is the bare text with all of this pattern replaced."""
    return lambda bare, hosted: bare != hosted and re.sub(pattern, becomes, bare or "") == hosted


def later_b0(bare, hosted):
    """B0 again at steps that did not meet the breakpoint."""
    return (bare or "").replace("ffff4ff1", "ffff4ff0") == (hosted or "").replace("ffff4ff1", "ffff4ff0")


def vmxe(all_of_them):
    """CR4.VMXE is no longer among the bits that can be set; or none is, as each came with it."""
    def check(bare, hosted):
        pattern = re.compile(r"faults 0x(\w+) taken 0x(\w+)")
        found = pattern.match(bare or "")
        if not found:
            return False
        faults, taken = (int(word, 16) for word in found.groups())
        gone = taken if all_of_them else 1 << 13
        return hosted == pattern.sub(f"faults {faults | gone:#x} taken {taken & ~gone:#x}", bare, 1)
    return check


SVM_INSNS = ("vmrun", "vmload", "stgi", "clgi", "invlpga")
# Which of them differ at CPL 3, and why.
SVM_AT_3 = (("qemu-*", SVM_INSNS), ("svm-*", (*SVM_INSNS, "skinit")))
PRIVILEGE = "SVM: with EFER.SVME set the privilege level is looked at before the intercept"


def on_amd(probe, key, reason, change):
    """On every machine with AMD-V."""
    return [Allowed(probe, where, key, reason, change) for where in ("qemu-*", "svm-*")]


def nmi_rf(bare, hosted):
    """RF in the flags that an NMI saves."""
    return re.sub(r"(nmi@\w+,f=)(\w+)", lambda match: f"{match[1]}{int(match[2], 16) | 1 << 16:x}",
                  bare or "") == hosted


# In every run, and what the full one has besides.
USUAL = ("qemu-2", "vtx-1")
MORE = ("qemu-1", "qemu-4", "vtx-2", "svm-1", "svm-2")

# Name of the row: what it runs. Sorted by name.
PROBES = {
    "facts_apic": Probe("facts_apic", ("qemu-2",), ("qemu-1", "qemu-4"), "widths boot-off"),
    "facts_apic_bochs": Probe("facts_apic", (), ("vtx-2", "vtx-1", "svm-1", "svm-2"), "vectors"),
    "facts_startup": Probe("facts_startup", ("qemu-2",), ("qemu-4",), "rounds 50", "rounds 1000",
                           seconds={"qemu": 16}),
    "facts_startup_bochs": Probe("facts_startup", (), ("vtx-2",), "rounds 5 patient",
                                 "rounds 20 patient"),
    # An NMI that is injected there keeps the next ones, and so the hypervisor's kicks, away.
    "facts_startup_svm": Probe("facts_startup", (), ("svm-2",), "rounds 5 patient no-nmi",
                               "rounds 20 patient no-nmi"),
    "task": Probe("task", ("qemu-2",), ("vtx-2", "svm-1", "svm-2"), "facts"),
    "facts_cpuid": Probe("facts_cpuid", ("qemu-2",), (*MORE, "vtx-1")),
    "facts_cpuid.hidden": Probe("facts_cpuid", ("qemu-1",), ("vtx-1", "svm-1"),
                                config={"cpuid": "hidden"}),
    "facts_cr": Probe("facts_cr", ("qemu-2",), ("qemu-1", "vtx-1"), "", "pairs other",
                      qemu_words="lax", seconds={"qemu": 16, "bochs": 120}),
    # QEMU dies of instruction breakpoints where the code segment's base is not 0.
    "facts_debug": Probe("facts_debug", (), ("vtx-1", "svm-1"), seconds={"bochs": 70}),
    "facts_debug-flat": Probe("facts_debug", ("qemu-1",), ("qemu-2",), "flat full",
                              seconds={"qemu": 12}),
    "facts_exceptions": Probe("facts_exceptions", ("qemu-2",), ("qemu-1", "vtx-1", "svm-1"),
                              seconds={"qemu": 12, "bochs": 70}),
    **{f"facts_exceptions-{name}": Probe(
        "facts_exceptions", machines, more, f"reset {arguments}", resets=True)
       for name, machines, more, arguments in (
           ("no-gate", (), ("qemu-1", "vtx-1", "svm-1"), "gate"),
           ("no-stack", ("qemu-2",), ("vtx-1", "svm-1"), "stack user"),
           ("no-table", (), ("qemu-1", "vtx-1", "svm-1"), "table"))},
    "facts_memory": Probe("facts_memory", ("qemu-2",), ("qemu-1", "qemu-4", "vtx-1", "vtx-2", "svm-1"),
                          seconds={"qemu": 8, "bochs": 65}),
    "facts_modes": Probe("facts_modes", ("qemu-2",), ("qemu-1", "vtx-1"), qemu_words="lax",
                         seconds={"qemu": 16, "bochs": 120}),
    "facts_time": Probe("facts_time", ("qemu-2",), ("qemu-4", "vtx-2", "svm-1", "svm-2"), "rounds 2000",
                        "rounds 200000"),
    "facts_xsave": Probe("facts_xsave", ("qemu-2",), ("vtx-2", "svm-1"), "exits 4000", "exits 1000000",
                         qemu={"one_core": True}),
    # Its timers run by what the guest executes, whatever the host has to do beside.
    "facts_interrupts": Probe("facts_interrupts", ("qemu-2",), ("vtx-2", "qemu-1", "svm-1"),
                              seconds={"qemu": 30, "bochs": 70}, qemu={"icount": True}),
    "facts_io": Probe("facts_io", ("qemu-2",), ("vtx-1", "svm-1"), seconds={"qemu": 12, "bochs": 100}),
    "facts_msr": Probe("facts_msr", USUAL, MORE),
    **{f"facts_reset.{name}": Probe("facts_reset", ("qemu-2",), ("vtx-2",), arguments,
                                    resets=True)
       for name, arguments in (("cf9", "cf9 6"), ("triple", "triple other"))},
    **{f"facts_reset.{name}": Probe("facts_reset", (), ("qemu-2", "vtx-2"), arguments,
                                    resets=True)
       for name, arguments in (("keyboard", "keyboard"), ("port92", "port92"), ("init", "init"),
                              ("init-other", "init other"), ("shutdown", "triple"))},
}

ALLOWED = [
    Allowed("facts_apic", "qemu-[24]", "cpu[1-9].x2apic.icr-after.*",
            "INIT, SIPI and NMI are not written to the hardware; QEMU reads half of a command back"),
    Allowed("facts_apic_bochs", "svm-*", "cpu*.xapic.icr.*-nobody",
            "INIT, SIPI and NMI are not sent by the hardware: no error if nobody takes them"),
    *[Allowed(probe, where, f"cpu*.xapic.icr-after.{which}",
              "the page is read natively, and INIT, SIPI and NMI are not written to the hardware",
              always=False)
      for probe, where in (("facts_apic", "qemu-*"), ("facts_apic_bochs", "svm-*"))
      for which in ("*nmi*", "sipi-*", "init-deassert")],
    *[Allowed("facts_apic_bochs", "svm-2", f"cpu[1-9].{key}",
              "docs/emulators.md: bare, an APIC that is off stays off and ignores IA32_APIC_BASE", change)
      for key, change in (
          ("base.off.to-invalid", texts("ok, then 0xfee00000", "#0d.0, then 0xfee00000")),
          ("base.off.to-x2apic", texts("ok, then 0xfee00000", "#0d.0, then 0xfee00000")),
          ("base.off.to-xapic", texts("ok, then 0xfee00000", "ok, then 0xfee00800")),
          ("on.cpuid", texts("0 0", "1 0")),
          # As a reset leaves them.
          *[(f"xapic.after-off.{key}", only_hosted(value)) for key, value in (
              ("0x20", "0x1000000"), ("0x30", "0x80050014"), ("0xe0", "0xffffffff"), ("0xf0", "0xff"),
              ("0x2f0", "0x10000"), ("0x3[2-7]0", "0x10000"), ("*", "0x0"))])],
    # --- facts_startup ---
    Allowed("facts_startup*", "qemu-*", "state.cr0",
            "docs/emulators.md: an INIT sets CD and NW, which it does not change",
            texts("0x60000010", "0x10")),
    *[Allowed(probe, where, key, "Bochs: " + reason, always=where == "vtx-*")
      for probe, where in (("facts_startup_bochs", "vtx-*"), ("facts_startup_svm", "svm-*"))
      for key, reason in (
          ("state.cr0", "an INIT sets CD and NW, which it does not change"),
          ("state.cr2", "an INIT leaves CR2, which becomes 0"),
          ("state.edx", "an INIT clears EDX, which gets the CPU's signature"),
          ("state.msr.0xc0000081", "an INIT changes STAR"),
          ("state.msr.0xc0000084", "an INIT changes FMASK"),
          ("state.msr.0xc0000102", "an INIT changes KERNEL_GS_BASE"))],
    Allowed("facts_startup_bochs", "vtx-*", "state.msr.0x3a", "VMX is not offered: locked off",
            texts("0x0", "0x1")),
    # --- facts_cpuid: EAX, EBX, ECX, EDX ---
    Allowed("facts_cpuid", "*", "cpu*.cpuid.0x400000*", "the hypervisor's name, cpuid = named"),
    Allowed("facts_cpuid", "vtx-*", "cpu*.cpuid.0x1.*", "VMX is not offered, and cpuid = named",
            bits((0, 0, 1 << 5 | 1 << 6 | 1 << 31, 0), (None, None, 1 << 31, None))),
    Allowed("facts_cpuid.hidden", "vtx-*", "cpu*.cpuid.0x1.*", "VMX is not offered",
            bits((0, 0, 1 << 5 | 1 << 6, 0), (None, None, 0, None))),
    Allowed("facts_cpuid", "svm-*", "cpu*.cpuid.0x1.*", "cpuid = named",
            bits((0, 0, 1 << 31, 0), (None, None, 1 << 31, None))),
    *on_amd("facts_cpuid*", "cpu*.cpuid.0x80000001.*", "SVM is not offered",
            bits((0, 0, 1 << 2 | 1 << 12, 0), (None, None, 0, None))),
    *on_amd("facts_cpuid*", "cpu*.cpuid.0x8000000a.0", "SVM is not offered",
            texts_to("0x0 0x0 0x0 0x0")),
    Allowed("facts_cpuid*", "svm-*", "cpu*.cpuid.0x8000001f.0",
            "memory encryption would give hidden memory a second address",
            texts_to("0x0 0x0 0x0 0x0")),
    # --- facts_cr ---
    *[Allowed("facts_cr", "qemu-*", f"cpu*.{mode}.efer",
              "SVM is not offered (EFER.SVME); docs/emulators.md: EFER.LME may change under paging",
              texts("faults 0x0 taken 0x1901 ignored 0xffffffffffffe6fe other 0x0",
                    f"faults {faults} taken {taken} ignored 0xffffffffffffe6fe other 0x0"))
      for modes, faults, taken in ((("long64", "long32", "long16", "pae32", "pse32"), "0x1100", "0x801"),
                                   (("flat32", "flat16", "real16"), "0x1000", "0x901"))
      for mode in modes],
    *[Allowed("facts_cr", where, f"cpu*.user*.{name}", PRIVILEGE,
              texts("vector 6 error 0x0 ip 0 a 0x0", "vector 13 error 0x0 ip 0 a 0x0"))
      for where, names in SVM_AT_3 for name in (*names, "vmsave")],
    Allowed("facts_cr", "vtx-*", "cpu*.cr4.with.13", "VMX is not offered", vmxe(True)),
    Allowed("facts_cr", "vtx-*", "cpu*.cr4*", "VMX is not offered", vmxe(False)),
    # --- facts_debug ---
    Allowed("facts_debug*", "*", "execute.*.step.64.0",
            "docs/emulators.md: a trap and the breakpoint behind it in one", split_trap),
    Allowed("facts_debug", "svm-*", "held.cpuid.*",
            "the VMCB has no place for a breakpoint that MOV SS holds back over an exit",
            without(r"db@4,f=2,dr6=ffff0ff1 |(?<=4,f=102,dr6=ffff4ff)1",
                    lambda match: "" if "db" in match[0] else "0")),
    Allowed("facts_debug", "svm-*", "write-to.apic-eoi.*",
            "docs/emulators.md: no B0 in the VMCB after an intercepted #DB",
            without(r"db@2,f=2,dr6=ffff0ff1 |(?<=2,f=102,dr6=ffff4ff)1",
                    lambda match: "" if "db" in match[0] else "0")),
    *[Allowed("facts_debug", where, "left-over.cpuid.64.0",
              "docs/emulators.md: bare, a debug exception clears BT of the one before",
              texts("db@2,f=102,dr6=ffff6ff0 end@4", "db@2,f=102,dr6=ffffeff0 end@4"))
      for where in ("vtx-*", "svm-*")],
    Allowed("facts_debug-flat", "qemu-*", "detect.cpuid-step.64.0",
            "docs/emulators.md: DR7.GD stays set at a single step",
            texts("db@2,f=102,dr6=ffff0ff0 db@handler end@4", "db@2,f=102,dr6=ffff4ff0 end@4")),
    Allowed("facts_debug-flat", "qemu-*", "execute.cpuid-int3.*",
            "docs/emulators.md: RF outlives CPUID", without("bp@3,f=10002", "bp@3,f=2")),
    Allowed("facts_debug-flat", "qemu-*", "*.stosd-cpuid.*.step.64.0",
            "docs/emulators.md: B0 comes again at later steps", later_b0),
    *[Allowed("facts_debug-flat", "qemu-*", f"held.{name}.*.step.64.0",
              "docs/emulators.md: B0 comes again at later steps", later_b0)
      for name in ("cpuid", "sti")],
    *[Allowed("facts_debug*", where, f"*.{name}.*.3", PRIVILEGE, without("^ud@0", "gp(0)@0"))
      for where, names in SVM_AT_3 for name in names],
    Allowed("facts_debug-flat", "qemu-*", "write-to.apic-eoi.*.step.*",
            "docs/emulators.md: a step and a breakpoint on data are two exceptions",
            texts("db@handler db@2,f=102,dr6=ffff0ff0 db@3,f=102,dr6=ffff4ff1 end@5",
                  "db@2,f=102,dr6=ffff4ff1 db@3,f=102,dr6=ffff4ff0 end@5")),
    # --- facts_modes ---
    Allowed("facts_modes", "vtx-*", "cpu*.real.cr4-vmxe", "VMX is not offered",
            texts("real 30 ip e flags 2 ax 2640 cr0 30 cr4 2640",
                  "real d ip 9 flags 2 ax 2640 cr0 30")),
    Allowed("facts_modes", "qemu-*", "cpu*.p32-pae.lme-while-paged",
            "docs/emulators.md: EFER.LME may change under paging",
            without(r"^30 ip 64010 flags 6 ", "d(0) ip 6400c flags 10006 ")),
    # --- facts_msr ---
    *[Allowed("facts_msr", "vtx-*", f"cpu*.msr.{hex(msr)}", "VMX is not offered",
              texts_to(f"to {hex(msr)}: vector 13 error 0x0")) for msr in range(0x480, 0x492)],
    Allowed("facts_msr", "vtx-*", "cpu*.msr.0x3a", "VMX is locked off: FEATURE_CONTROL",
            texts("to 0x3a: 0x0, written", "to 0x3a: 0x1, write faults")),
    Allowed("facts_msr", "vtx-*", "cpu*.bits.0x3a", "VMX is locked off: FEATURE_CONTROL",
            texts("faults 0x0 taken 0xfffffffe ignored 0xffffffff00000000 other 0x0",
                  "faults 0xfffffffffffffffe taken 0x0 ignored 0x0 other 0x0")),
    Allowed("facts_msr", "qemu-*", "cpu*.bits.0xc0000080",
            "SVM is not offered (EFER.SVME); and QEMU lets EFER.LME change under paging",
            texts("faults 0x0 taken 0x1101 ignored 0xffffffffffffe6fe other 0x0",
                  "faults 0x1100 taken 0x1 ignored 0xffffffffffffe6fe other 0x0")),
    Allowed("facts_msr", "svm-*", "cpu*.bits.0xc0000080", "SVM is not offered (EFER.SVME)",
            texts("faults 0xffffffffffffa3fe taken 0x5001 ignored 0x400 other 0x0",
                  "faults 0xffffffffffffb3fe taken 0x4001 ignored 0x400 other 0x0")),
    *on_amd("facts_msr", "cpu*.bits.0xc0010010",
            "no memory encryption: SYSCFG bit 23 is reserved; the emulators ignore all writes",
            texts("faults 0x0 taken 0x0 ignored 0xffffffffffffffff other 0x0",
                  "faults 0x800000 taken 0x0 ignored 0xffffffffff7fffff other 0x0")),
    Allowed("facts_msr", "qemu-*", "cpu*.bits.0xc0010114", "SVM is locked off: VM_CR",
            texts("faults 0x0 taken 0x0 ignored 0xffffffffffffffe7 other 0x0",
                  "faults 0xffffffffffffffe0 taken 0x0 ignored 0x7 other 0x0")),
    Allowed("facts_msr", "svm-*", "cpu*.bits.0xc0010114", "SVM is locked off: VM_CR",
            texts("faults 0xffffffffffffffe0 taken 0x7 ignored 0x0 other 0x0",
                  "faults 0xffffffffffffffe0 taken 0x0 ignored 0x7 other 0x0")),
    *on_amd("facts_msr", "cpu*.bits.0xc0010117", "SVM is not offered: VM_HSAVE_PA",
            texts_to("absent")),
    Allowed("facts_msr", "svm-*", "cpu*.msr.0x830", "docs/emulators.md: the x2APIC's ICR in xAPIC mode",
            texts("to 0x830: 0x0, not written", "to 0x830: vector 13 error 0x0")),
    *on_amd("facts_msr", "cpu*.msr.0xc0010114", "SVM is locked off: VM_CR",
            texts_to("to 0xc0010114: 0x18, written")),
    *[entry for msr in ("0xc0010117", "0xc0010118") for entry in on_amd(
        "facts_msr", "cpu*.msr." + msr, "SVM is not offered: VM_HSAVE_PA, SVM_KEY",
        texts_to(f"to {msr}: vector 13 error 0x0"))],
    # --- facts_exceptions, facts_interrupts ---
    Allowed("facts_interrupts", "vtx-*", "nmi.*",
            "docs/emulators.md: RF is set in what an NMI's exit saves", nmi_rf),
    *[Allowed("facts_exceptions", where, "delivery.nmi.handler-absent.*",
              "docs/emulators.md: the RIP of a fault behind an NMI", without("@2,", ","))
      for where in ("vtx-*", "svm-*")],
    Allowed("facts_exceptions", "vtx-*", "delivery.nmi.*",
            "docs/emulators.md: RF is set in what an NMI's exit saves", nmi_rf),
]
