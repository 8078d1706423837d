# SPDX-License-Identifier: BSD-2-Clause
"""The probes of `make transparency`, and what may differ between bare and hosted.

A machine is "qemu-N" (QEMU's TCG, AMD-V, N CPUs), "vtx-N" or "svm-N" (Bochs); patterns are those of
the Shell.  docs/transparency.md says how to write a probe.
"""
import dataclasses
import typing


@dataclasses.dataclass(frozen=True)
class Probe:
    """One row: a program tests/guests/PROGRAM.c and where it runs.

    machines  in every run, `full` in the full run as well
    seconds   about how long both runs of one machine take: {"qemu": ..., "bochs": ...}
    full_arguments  instead of `arguments` in the full run
    resets    the program ends in a reset of the machine: whether it comes is a fact
    """
    program: str
    machines: tuple
    full: tuple = ()
    arguments: str = ""
    full_arguments: typing.Optional[str] = None
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


USUAL = ("qemu-2", "vtx-2", "svm-1")
MORE = ("qemu-1", "qemu-4", "vtx-1", "svm-2")

# Name of the row: what it runs. Sorted by name.
PROBES = {
    "facts_cpuid": Probe("facts_cpuid", USUAL, MORE),
}

ALLOWED = [
    # --- facts_cpuid: EAX, EBX, ECX, EDX ---
    Allowed("facts_cpuid", "*", "cpu*.cpuid.0x400000*", "the hypervisor's name, cpuid = named"),
    Allowed("facts_cpuid", "vtx-*", "cpu*.cpuid.0x1.*", "VMX is not offered, and cpuid = named",
            bits((0, 0, 1 << 5 | 1 << 6 | 1 << 31, 0), (None, None, 1 << 31, None))),
    Allowed("facts_cpuid", "svm-*", "cpu*.cpuid.0x1.*", "cpuid = named",
            bits((0, 0, 1 << 31, 0), (None, None, 1 << 31, None))),
    *[Allowed("facts_cpuid", where, key, "SVM is not offered", change)
      for where in ("qemu-*", "svm-*")
      for key, change in (("cpu*.cpuid.0x80000001.*",
                           bits((0, 0, 1 << 2 | 1 << 12, 0), (None, None, 0, None))),
                          ("cpu*.cpuid.0x8000000a.0", texts_to("0x0 0x0 0x0 0x0")))],
    Allowed("facts_cpuid", "svm-*", "cpu*.cpuid.0x8000001f.0",
            "memory encryption would give hidden memory a second address",
            texts_to("0x0 0x0 0x0 0x0")),
]
