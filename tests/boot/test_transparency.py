# SPDX-License-Identifier: BSD-2-Clause
"""Every probe of tests/transparency.py on every machine, bare and hosted; and the comparing itself."""
import os
import sys

import facts
import pytest

sys.path.insert(0, os.path.join(facts.TOP, "tests"))
from transparency import PROBES, Allowed, bits, texts, vmxe  # noqa: E402


def parameters():
    for name, probe in PROBES.items():
        for where in probe.machines + probe.full:
            seconds = probe.seconds["qemu" if where.startswith("qemu") else "bochs"]
            marks = [pytest.mark.seconds(seconds)]
            marks += [pytest.mark.full] if where in probe.full else []
            yield pytest.param(name, where, id=f"{name}-{where}", marks=marks)


@pytest.mark.parametrize("name,where", list(parameters()))
def test_transparent(name, where, full):
    """The guest sees hosted what it sees bare."""
    result = facts.check(name, where, full)
    assert result.ok, "\n" + result.text()


# --- the comparing, without a machine -------------------------------------------------------------

GOOD = "FACT: begin x\nFACT: a.b = 0x10\nother\nFACT: c = text, more = less\nFACT: end x lines=2\n"
ENTRY = Allowed("x*", "qemu-*", "a.*", "a reason", bits(0x6))


def compare(bare, hosted, allowed=(), machine="qemu-2"):
    return facts.compare("x", machine, bare, hosted, allowed)


@pytest.mark.seconds(1)
def test_facts_are_parsed():
    assert facts.parse(GOOD) == {"a.b": "0x10", "c": "text, more = less"}


@pytest.mark.seconds(1)
@pytest.mark.parametrize("text", [
    "", GOOD.replace("begin x", "began x"), GOOD.replace("lines=2", "lines=3"),
    GOOD.replace("end x", "end y"), GOOD[:-3].rsplit("\n", 1)[0] + "\n",
    GOOD.replace("FACT: c =", "FACT: a.b ="), "FACT: begin x\nFACT: end x lines=0\n"])
def test_an_incomplete_run_is_refused(text):
    with pytest.raises(facts.FactError):
        facts.parse(text)


@pytest.mark.seconds(1)
def test_a_lost_character_is_no_fact():
    line = "FACT: a.b = 0x10"
    whole = GOOD.replace(line, f"{line} #{sum(line.encode()) & 0xff:02x}")
    assert whole != GOOD and facts.parse(whole) == facts.parse(GOOD)
    with pytest.raises(facts.DamagedError):
        facts.parse(whole.replace("a.b", "ab"))


@pytest.mark.seconds(1)
def test_equal_runs_have_no_difference():
    result = compare({"a": "1", "b": "2"}, {"b": "2", "a": "1"})
    assert result.ok and result.facts == 2 and not result.allowed


@pytest.mark.seconds(1)
@pytest.mark.parametrize("bare,hosted,difference", [
    ({"a": "1"}, {"a": "2"}, ("a", "1", "2")),
    ({"a": "1", "b": "1"}, {"a": "1"}, ("b", "1", None)),
    ({"a": "1"}, {"a": "1", "b": "1"}, ("b", None, "1"))])
def test_a_difference_fails(bare, hosted, difference):
    result = compare(bare, hosted)
    assert not result.ok and result.differences == [difference]
    assert difference[0] in result.text()


@pytest.mark.seconds(1)
def test_an_allowed_difference_is_counted():
    result = compare({"a.b": "0x10"}, {"a.b": "0x16"}, [ENTRY])
    assert result.ok and result.allowed == [("a.b", "0x10", "0x16", "a reason")]


@pytest.mark.seconds(1)
@pytest.mark.parametrize("bare,hosted,machine", [
    ("0x10", "0x18", "qemu-2"), ("0x10", "#GP", "qemu-2"), ("0x10", None, "qemu-2"),
    ("0x10", "0x16", "vtx-2")])
def test_an_allowance_covers_nothing_else(bare, hosted, machine):
    result = compare({"a.b": bare, "z": "1"}, {"z": "1", **({"a.b": hosted} if hosted else {})},
                     [ENTRY], machine)
    assert not result.ok and result.differences == [("a.b", bare, hosted)]


@pytest.mark.seconds(1)
def test_a_stale_allowance_fails():
    result = compare({"a.b": "0x10"}, {"a.b": "0x10"}, [ENTRY])
    assert not result.ok and result.stale == [("a.*", "a reason")] and "stale" in result.text()
    assert compare({"a.b": "0x10"}, {"a.b": "0x10"}, [ENTRY], "vtx-2").ok


@pytest.mark.seconds(1)
def test_changes_of_an_allowance():
    assert bits(0x6, 0x4)("0x2", "0x4") and not bits(0x6, 0x4)("0x2", "0x0")
    assert bits((0, 1))("0x2 0x0", "0x2 0x1") and not bits((0, 1))("0x2 0x0", "0x3 0x1")
    assert not bits((0, 1), (None, 1))("0x2 0x1", "0x2 0x0") and not bits((0, 1))("0x2", "0x2")
    assert not bits(0x6)("x", "0x0") and not bits(0x6)("0x1", None)
    assert texts("1", None)("1", None) and not texts("1", None)("1", "2")


@pytest.mark.seconds(1)
def test_the_tables_take_their_place_in_the_page():
    page = "# T\n<!-- written by scripts/transparency --table -->\nold\n<!-- end -->\nrest\n"
    result = facts.Comparison("facts_msr", "vtx-1", 336, allowed=[("a", "1", "2", "a reason")])
    text = facts.document(page, [result])
    assert "| `facts_msr` | 336, 1 allowed |" in text and "| `facts_msr` | a reason | vtx-1 |" in text
    assert "old" not in text and text.startswith("# T\n") and text.endswith("rest\n")
    assert "`facts_msr` on qemu-2" in text and "`facts_msr` on vtx-1," not in text
    assert facts.document(text, [result]) == text
    with pytest.raises(facts.FactError):
        facts.document("# T\n", [result])


@pytest.mark.seconds(1)
def test_vmxe_is_the_only_bit_that_goes():
    bare = "faults 0x800 taken 0x2020 other 0x0"
    assert vmxe(False)(bare, "faults 0x2800 taken 0x20 other 0x0")
    assert not vmxe(False)(bare, "faults 0x2820 taken 0x0 other 0x0") and not vmxe(False)(None, bare)
    assert vmxe(True)(bare, "faults 0x2820 taken 0x0 other 0x0")
