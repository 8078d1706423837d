# SPDX-License-Identifier: BSD-2-Clause
"""scripts/trace-report: from what `trace dump` prints to pictures, and what a browser makes of them."""
import importlib.machinery
import importlib.util
import json
import os
import re
import shutil
import struct
import subprocess
import zlib

import pytest
from emulator import TOP

# But for the browser they run nothing.
pytestmark = pytest.mark.seconds(1)

SCRIPT = os.path.join(TOP, "scripts/trace-report")
BROWSERS = ("chromium-headless-shell", "chromium")

DUMP = """\
[    1.5] the guest's own line
solovisor> trace dump
trace: begin cpus=2 tsc-khz=1000000 exits=4 older=7
trace: 0.000000000 cpu0 rip=ffffffff81000000 cycles=2000 [CPUID] leaf=1.0 eax=0 ebx=0
solovisor: a line of the log between them
trace: 0.000001000 cpu1 rip=1234 cycles=500 [WRMSR] msr=1b value=fee00900
trace: 0.000500000 cpu1 rip=1234 cycles=500 [WRMSR] msr=1b value=fee00900
trace: 0.001000000 cpu0 rip=7c00 cycles=1000 [I/O <port> & "more"] in port=cf9 bytes=1
trace: end
solovisor>
"""


@pytest.fixture(name="report", scope="module")
def fixture_report():
    loader = importlib.machinery.SourceFileLoader("trace_report", SCRIPT)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("trace_report", loader))
    loader.exec_module(module)
    return module


def test_the_last_whole_dump_is_read(report):
    first = DUMP.replace("cpu1", "cpu0").replace("7c00", "1")
    dump = report.parse(first + DUMP.replace("\n", "\r\n") + "trace: begin cpus=1 tsc-khz=1 exits=1")
    assert (dump.cpus, dump.khz, dump.older, len(dump.exits)) == (2, 1000000, 7, 4)
    assert dump.exits[1] == report.Exit(1000, 1, 0x1234, 500, "WRMSR", "msr=1b value=fee00900")
    assert dump.exits[3].detail == "in port=cf9 bytes=1"
    assert dump.span_ns() == 1001000


@pytest.mark.parametrize("text, why", [
    ("", "no dump"),
    (DUMP.replace("trace: end\n", ""), "does not end"),
    (DUMP.replace("trace: 0.000500000", "trace: 0.0005"), "says 4 exits and has 3"),
    (DUMP.replace("cpu1", "cpu2"), "the dump says"),
], ids=["nothing", "no-end", "one-missing", "cpu-unknown"])
def test_what_is_damaged_is_refused(report, text, why):
    with pytest.raises(report.ReportError, match=why):
        report.parse(text)


def test_the_trace_file_has_each_exit(report):
    events = report.chrome(report.parse(DUMP))["traceEvents"]
    slices = [event for event in events if event["ph"] == "X"]
    assert [(event["tid"], event["name"], event["ts"], event["dur"]) for event in slices] == [
        (0, "CPUID", 0, 2), (1, "WRMSR", 1, 0.5), (1, "WRMSR", 500, 0.5),
        (0, 'I/O <port> & "more"', 1000, 1)]
    assert slices[1]["args"] == {"rip": "0x1234", "detail": "msr=1b value=fee00900", "cycles": 500}
    names = [event["args"]["name"] for event in events if event["name"] == "thread_name"]
    assert names == ["cpu 0", "cpu 1"]


def test_an_empty_dump_is_drawn(report):
    dump = report.parse("trace: begin cpus=1 tsc-khz=5 exits=0 older=0\ntrace: end\n")
    assert "0 exits on 1 CPUs" in report.page(dump)


def test_the_command(tmp_path):
    saved = tmp_path / "serial.log"
    saved.write_text(DUMP)
    done = subprocess.run([SCRIPT, str(saved)], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("4 exits on 2 CPUs")
    assert len(json.loads((tmp_path / "serial.log.json").read_text())["traceEvents"]) == 7
    assert "<svg" in (tmp_path / "serial.log.html").read_text()
    saved.write_text("nothing")
    done = subprocess.run([SCRIPT, str(saved)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == f"trace-report: {saved}: there is no dump in it\n"


# --- in a browser ---------------------------------------------------------------------------------

def browse(page, *options):
    browser = next((path for path in map(shutil.which, BROWSERS) if path), None)
    assert browser, "scripts/setup test installs a browser"
    return subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
         "--hide-scrollbars", f"--user-data-dir={page.parent}/profile", *options, page.as_uri()],
        capture_output=True, text=True, check=True, timeout=120).stdout


def pixels(path):
    """The colors of a PNG with 8 bits a channel: how often each is there."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed, colors = 8, b"", {}
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height, depth, form = struct.unpack(">IIBB", body[:10])
        elif kind == b"IDAT":
            packed += body
        at += 12 + size
    assert depth == 8
    step = {2: 3, 6: 4}[form]
    raw, above = zlib.decompress(packed), bytearray(width * step)
    for y in range(height):
        how, *row = raw[y * (width * step + 1):(y + 1) * (width * step + 1)]
        row = bytearray(row)
        for x in range(len(row)):
            a = row[x - step] if x >= step else 0
            b, c = above[x], above[x - step] if x >= step else 0
            paeth = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            row[x] = row[x] + (0, a, b, (a + b) // 2, paeth)[how] & 0xff
        for x in range(0, len(row), step):
            color = bytes(row[x:x + 3])
            colors[color] = colors.get(color, 0) + 1
        above = row
    return colors


@pytest.mark.seconds(20)
def test_a_browser_shows_the_pictures(report, tmp_path):
    dump = report.parse(DUMP)
    path = tmp_path / "report.html"
    path.write_text(report.page(dump), encoding="utf-8")
    assert not re.search(r'(?:src|href)=|url\(', path.read_text()), "it needs something else"
    seen = browse(path, "--dump-dom")
    pictures = re.findall(r'<svg id="([a-z-]+)".*?</svg>', seen, re.DOTALL)
    assert pictures == ["over-time", "by-reason", "by-cpu"]
    lanes = re.search(r'<svg id="by-cpu".*?</svg>', seen, re.DOTALL).group(0)
    assert lanes.count("<rect") == 4
    shot = tmp_path / "report.png"
    browse(path, "--window-size=500,900", f"--screenshot={shot}")
    colors = pixels(shot)
    for color in report.by_kind(dump)[1].values():
        assert colors.get(bytes.fromhex(color[1:]), 0) > 100, f"{color} is not to be seen"
