# SPDX-License-Identifier: BSD-2-Clause
"""What a probe sees bare against what it sees hosted: behind scripts/transparency and its test.

A probe prints facts (tests/guests/lib/fact.h); tests/transparency.py lists the probes and the
differences that are allowed.
"""
import collections
import dataclasses
import fnmatch
import json
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from emulator import (BUILD, RUN, SOLOVISOR, TOP, Bochs, EmulatorError, Esp,  # noqa: E402
                      Qemu)

sys.path.insert(0, os.path.join(TOP, "tests"))
import transparency as table  # noqa: E402

REPORTS = os.path.join(BUILD, "transparency")
MACHINES = ("qemu-1", "qemu-2", "qemu-4", "vtx-1", "vtx-2", "svm-1", "svm-2")
PROGRAM = "/EFI/solovisor/solovisor.efi"
# How long a reset may take to show itself, and a probe to come to its end.
RESET_SECONDS, PROBE_SECONDS = 60, 240
BEGIN = re.compile(r"^FACT: begin (\S+)$", re.MULTILINE)
END = re.compile(r"^FACT: end (\S+) lines=(\d+)$", re.MULTILINE)
FACT = re.compile(r"^FACT: (\S+) = (.*?)(?: #([0-9a-f]{2}))?$", re.MULTILINE)
# How often a machine whose serial line lost a character is run again.
RETRIES = 2
# With log = error nothing else than the line of its start is expected of the hypervisor.
MESSAGE = re.compile(r"^.*(?:solovisor: |PANIC).*$", re.MULTILINE)
TROUBLE = re.compile(r"^PROBE: .*(?: BAD |exception).*$", re.MULTILINE)


class FactError(Exception):
    """A run that is no list of facts."""


class DamagedError(FactError):
    """A run of which a character was lost on the serial line."""


# --- one run --------------------------------------------------------------------------------------

def parse(text):
    """{key: text} of what a machine printed.  Every fact must have arrived, and once."""
    begin = BEGIN.search(text)
    if not begin:
        raise FactError("the probe did not begin")
    end = END.search(text, begin.end())
    if not end:
        raise FactError("the probe did not come to its end")
    if end.group(1) != begin.group(1):
        raise FactError(f"{begin.group(1)} began, {end.group(1)} ended")
    facts, twice = {}, []
    for key, value, given in FACT.findall(text, begin.end(), end.start()):
        if given and sum(f"FACT: {key} = {value}".encode()) & 0xff != int(given, 16):
            raise DamagedError(f"damaged on the line: {key} = {value}")
        twice += [key] if key in facts else []
        facts[key] = value
    if twice:
        raise FactError("more than once: " + " ".join(twice[:10]))
    if len(facts) != int(end.group(2)):
        raise FactError(f"{len(facts)} facts of {end.group(2)} arrived")
    if not facts:
        raise FactError("no fact")
    return facts


def probe_esp(program, arguments, hosted, config):
    guest = os.path.join(BUILD, "guests", program + ".efi")
    launch = os.path.join(BUILD, "guests", "launch.efi")
    entries = {"log": "error", **config}
    lines = [PROGRAM.replace("/", "\\")] if hosted else []
    lines += [f"\\{program}.efi {arguments}".strip(), ":poweroff"]
    esp = Esp().file("/EFI/BOOT/BOOTX64.EFI", launch).file(PROGRAM, SOLOVISOR)
    esp.file(f"/{program}.efi", guest)
    esp.text("/EFI/solovisor/solovisor.conf",
             "".join(f"{key} = {value}\n" for key, value in entries.items()))
    return esp.text("/launch.txt", "".join(line + "\n" for line in lines))


def start_machine(name, where, image, probe):
    kind, cpus = where.split("-")
    if kind == "qemu":
        options = {"reboot": True} if probe.resets else {}
        return Qemu(name, cpus=int(cpus), image=image, timeout=2 * PROBE_SECONDS,
                    **{**options, **probe.qemu}).start()
    return Bochs(name, vendor=kind, cpus=int(cpus), image=image, timeout=2 * PROBE_SECONDS).start()


def wait_reset(machine, where):
    """After the last fact: "reset", or how else it went on."""
    if where.startswith("qemu"):
        # The firmware comes again, and the launcher with it.
        found = machine.expect_any([r"^LAUNCH: |^FACT: begin |Solovisor \S+ \d CPU", r"^PROBE: end "],
                                   RESET_SECONDS)[0]
        return ("reset", "goes on")[found]
    # One reset is that of the start; of the boot CPU's INIT the log says nothing, the firmware comes again.
    machine.wait_until(lambda: len(re.findall(r"Reset\((?:HARD|SOFT)WARE\) called",
                                              machine.bochs_log())) > 1
                       or machine.seen(r"^PROBE: end ") or len(machine.seen(r"^BdsDxe: starting")) > 1,
                       RESET_SECONDS)
    return "goes on" if machine.seen(r"^PROBE: end ") else "reset"


def run(name, where, hosted, full=False, log=None):
    """Run a row of the table on one machine: its facts, {key: text}."""
    probe = table.PROBES[name]
    arguments = probe.full_arguments if full and probe.full_arguments is not None else probe.arguments
    if where.startswith("qemu"):
        arguments = f"{arguments} {probe.qemu_words}".strip()
    label = log or f"transparency-{name}-{where}-{'hosted' if hosted else 'bare'}"
    os.makedirs(RUN, exist_ok=True)
    image = probe_esp(probe.program, arguments, hosted, probe.config).write(
        os.path.join(RUN, label + ".img"))
    machine = start_machine(label, where, image, probe)
    more = {}
    try:
        if hosted:
            machine.expect(rf"Solovisor \S+ {where.split('-')[1]} CPU", 120)
        machine.expect(END.pattern, PROBE_SECONDS)
        if probe.resets:
            more["machine.after"] = wait_reset(machine, where)
        else:
            # The firmware goes on as well.
            machine.expect(r"^PROBE: end .*\n", 60)
            machine.expect(r"LAUNCH: :poweroff", 60)
    except EmulatorError as error:
        trouble = TROUBLE.findall(machine.text) + MESSAGE.findall(machine.text)
        raise FactError("\n".join([*trouble[:20], str(error)])) from error
    finally:
        machine.stop()
        os.unlink(image)
    trouble = TROUBLE.findall(machine.text)
    if hosted and not probe.resets:
        trouble += MESSAGE.findall(machine.text)
    if trouble:
        raise FactError("\n".join(trouble[:20]))
    return {**parse(machine.text), **more}


# --- comparing ------------------------------------------------------------------------------------

@dataclasses.dataclass
class Comparison:
    """What came of the two runs of a probe on one machine."""
    probe: str
    machine: str
    facts: int = 0
    differences: list = dataclasses.field(default_factory=list)  # (key, bare, hosted)
    allowed: list = dataclasses.field(default_factory=list)  # (key, bare, hosted, reason)
    stale: list = dataclasses.field(default_factory=list)  # (key pattern, reason)
    error: str = ""

    @property
    def ok(self):
        return not (self.differences or self.stale or self.error)

    def text(self, limit=60):
        lines = [self.error] if self.error else []
        lines += [f"differs: {key}: bare {show(bare)}, hosted {show(hosted)}"
                  for key, bare, hosted in self.differences[:limit]]
        if len(self.differences) > limit:
            lines.append(f"... {len(self.differences)} differences in all")
        lines += [f"stale: {key} ({reason}): allowed, but there is no such difference"
                  for key, reason in self.stale]
        return "\n".join(lines)


def show(text):
    return "no such line" if text is None else repr(text)


def compare(probe, machine, bare, hosted, allowances, find_stale=True):
    """Line by line: what is in one only, or not the same in both, differs unless it is allowed."""
    result = Comparison(probe, machine, facts=len(bare.keys() | hosted.keys()))
    mine = [entry for entry in allowances if fnmatch.fnmatchcase(probe, entry.probe)
            and fnmatch.fnmatchcase(machine, entry.machine)]
    used = set()
    for key in sorted(bare.keys() | hosted.keys()):
        old, new = bare.get(key), hosted.get(key)
        if old == new:
            continue
        for number, entry in enumerate(mine):
            if fnmatch.fnmatchcase(key, entry.key) and (not entry.change or entry.change(old, new)):
                used.add(number)
                result.allowed.append((key, old, new, entry.reason))
                break
        else:
            result.differences.append((key, old, new))
    if find_stale:
        result.stale = [(entry.key, entry.reason) for number, entry in enumerate(mine)
                        if entry.always and number not in used]
    return result


def run_undamaged(*arguments):
    """The same run again where the line, not the machine, made it bad."""
    for left in reversed(range(RETRIES + 1)):
        try:
            return run(*arguments)
        except DamagedError:
            if left == 0:
                raise
    raise AssertionError


def check(name, where, full=False):
    """Both runs of one row on one machine; written to build/transparency as well."""
    probe = table.PROBES[name]
    try:
        bare = run_undamaged(name, where, False, full)
        hosted = run_undamaged(name, where, True, full)
    except FactError as error:
        result = Comparison(name, where, error=str(error))
    else:
        # A reduced run need not meet every difference of the full one.
        result = compare(name, where, bare, hosted, table.ALLOWED,
                         full or probe.full_arguments is None)
    os.makedirs(REPORTS, exist_ok=True)
    with open(os.path.join(REPORTS, f"{name}.{where}.json"), "w", encoding="utf-8") as file:
        json.dump(dataclasses.asdict(result), file, indent=1)
        file.write("\n")
    return result


def pairs(full):
    """All (row, machine) of a run."""
    return [(name, where) for name, probe in table.PROBES.items()
            for where in probe.machines + (probe.full if full else ())]


# --- the table ------------------------------------------------------------------------------------

def cell(result):
    if result.error:
        return "failed"
    text = f"{result.facts:,}"
    if result.differences:
        text += f", {len(result.differences)} DIFFER"
    return text + (f", {len(result.allowed)} allowed" if result.allowed else "")


def markdown(results):
    """A table of the rows against the machines, and one of the reasons."""
    seen = {result.machine for result in results}
    machines = [where for where in MACHINES if where in seen]
    lines = ["| probe | " + " | ".join(machines) + " |", "|---" * (len(machines) + 1) + "|"]
    rows = collections.defaultdict(dict)
    for result in results:
        rows[result.probe][result.machine] = cell(result)
    for name in sorted(rows):
        lines.append(f"| `{name}` | " + " | ".join(rows[name].get(where, "") for where in machines) + " |")
    reasons = collections.defaultdict(set)
    for result in results:
        for _, _, _, reason in result.allowed:
            reasons[(result.probe, reason)].add(result.machine)
    lines += ["", "| probe | allowed difference | where |", "|---|---|---|"]
    lines += [f"| `{name}` | {reason} | {', '.join(sorted(where))} |"
              for (name, reason), where in sorted(reasons.items())]
    return "\n".join(lines) + "\n"


def last_results():
    """What the last run of each (row, machine) of the table came to, of those that have run here."""
    results = []
    for name, where in pairs(True):
        path = os.path.join(REPORTS, f"{name}.{where}.json")
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                results.append(Comparison(**json.load(file)))
    return results


def document(text, results):
    """The page docs/transparency.md with the tables of these results."""
    begin, end = "<!-- written by scripts/transparency --table -->\n", "<!-- end -->"
    head, found, rest = text.partition(begin)
    _, also_found, tail = rest.partition(end)
    if not (found and also_found):
        raise FactError("docs/transparency.md has no place for the tables")
    missing = [f"`{name}` on {where}" for name, where in pairs(True)
               if not any((result.probe, result.machine) == (name, where) for result in results)]
    note = f"\nNo result here yet: {', '.join(missing)}.\n" if missing else ""
    return head + begin + "\n" + markdown(results) + note + "\n" + end + tail
