# SPDX-License-Identifier: BSD-2-Clause
"""The hypervisor's serial lines: whose they are, and that what comes in on them is noticed."""
import hashlib
import os
import re
import select
import socket
import struct
import threading
import time

import pytest
from chains import linux_esp
from emulator import free_port
from terminal import Terminal
from test_probes import expect_end, probe_esp
from test_sleep import sleep_in_linux

full = pytest.mark.full


class Bridge:
    """Two of Bochs's serial lines, each a socket that it listens at, connected with each other."""

    def __init__(self, *ports):
        self.ports, self.over = ports, False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _connect(self, port):
        while not self.over:
            try:
                return socket.create_connection(("127.0.0.1", port), timeout=5)
            except OSError:
                time.sleep(0.1)
        return None

    def _run(self):
        ends = [self._connect(port) for port in self.ports]
        if None in ends:
            return
        for end in ends:
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while not self.over:
            for source in select.select(ends, [], [], 0.2)[0]:
                try:
                    data = source.recv(4096)
                    if not data:
                        return
                    ends[1 - ends.index(source)].sendall(data)
                except OSError:
                    return

    def close(self):
        self.over = True
        self.thread.join(2)


def qemu_lines(folder):
    """COM2, connected with the third line, at COM3's port."""
    path = os.path.join(folder, "line")
    return ["-chardev", f"socket,id=line,path={path},server=on,wait=off",
            "-chardev", f"socket,id=peer,path={path}", "-serial", "chardev:line",
            "-device", "isa-serial,iobase=0x3e8,irq=5,chardev=peer,index=2"]


def bochs_lines(ports):
    return [f"com{2 + i}: enabled=1, mode=socket-server, dev=localhost:{port}"
            for i, port in enumerate(ports)]


@pytest.mark.seconds(20)
@pytest.mark.parametrize("where,cpus,tries", [
    ("qemu", 2, 20), ("vtx", 1, 5), pytest.param("vtx", 2, 100, marks=full), pytest.param("svm", 1, 100, marks=full),
    pytest.param("qemu", 1, 200, marks=full), pytest.param("qemu", 4, 200, marks=full)])
def test_attention(vm, tmp_path, where, cpus, tries):
    """Every CPU spins with interrupts off: input on the hypervisor's line is noticed within 100 ms of guest time.

    In QEMU that is the host's time, in which the emulator's own threads have to get a turn.
    """
    limit = 1000 if where == "qemu" else 100
    esp = probe_esp("attention", f"tries {tries} limit {limit}", gdb="com2")
    bridge = None
    if where == "qemu":
        machine = vm.qemu(esp, cpus=cpus, timeout=200, extra=qemu_lines(str(tmp_path)))
    else:
        ports = [free_port(), free_port()]
        bridge = Bridge(*ports)
        machine = vm.bochs(esp, vendor=where, cpus=cpus, timeout=400, extra=bochs_lines(ports))
    try:
        good = expect_end(machine, 300)
    finally:
        if bridge:
            bridge.close()
    machine.expect(r"LAUNCH: :poweroff", 30)
    assert good >= 12


def pattern(count):
    """What both ends of tests/guests/uart.c's line send."""
    return "".join("\n" if i % 61 == 60 else chr(ord("A") + i % 53) for i in range(count))


def type_slowly(machine, text, escape=False, terminal=None):
    """As much as a line at 115200 baud takes; now and then the keyboard is the hypervisor's, or its own line is used."""
    for at in range(0, len(text), 512):
        machine.send(text[at:at + 512])
        if escape and at % 2048 == 0:
            machine.send("\x1d1234567890\x15\x1d")  # and the monitor forgets it
        if terminal and at % (32 << 10) == 0:
            assert re.search(r"^\* cpu 0 .* 64-bit ", terminal.do("cpus"), re.MULTILINE)
        time.sleep(0.02)


@pytest.mark.seconds(20)
@pytest.mark.parametrize("where,cpus,mode,count", [
    pytest.param("qemu", 2, "share", 16 << 10, marks=full), ("vtx", 1, "share", 4 << 10),
    pytest.param("qemu", 1, "log", 16 << 10, marks=full), pytest.param("qemu", 2, "pass", 16 << 10, marks=full),
    pytest.param("svm", 1, "share", 16 << 10, marks=full), pytest.param("qemu", 1, "share", 192 << 10, marks=full),
    pytest.param("vtx", 2, "share", 64 << 10, marks=full)])
def test_interrupt_driven(vm, where, cpus, mode, count):
    """A driver of the UART, with its interrupts, loses nothing in either direction; lines of the hypervisor come whole."""
    esp = probe_esp("uart", f"bytes {count}", serial="com1", **{"serial-mode": mode, "log": "info"})
    if where == "qemu":
        machine = vm.qemu(esp, cpus=cpus, timeout=400)
    else:
        machine = vm.bochs(esp, vendor=where, cpus=cpus, timeout=900)
    machine.expect(r"PROBE: go\n", 120)
    type_slowly(machine, pattern(count), mode == "share")
    expect_end(machine, 300)
    sent = machine.text.split("PROBE: go\n")[1].split("\nPROBE: done")[0]
    said = machine.seen(r"^solovisor: the keyboard is the (hypervisor's, Ctrl-\] gives it back|guest's)$")
    # The guest's have no blanks: with them it is the log, or the monitor's prompt. Digits are its echo of what was typed.
    lines = [line for line in sent.split("\n") if " " not in line]
    assert re.sub(r"\d", "", "".join(lines)) == pattern(count).replace("\n", "")
    if mode == "share":
        assert len(said) >= 2
    machine.expect(r"LAUNCH: :poweroff", 30)


def linux(vm, config, **options):
    """Linux's shell on the first serial line, driven by its interrupts."""
    machine = vm.qemu(linux_esp(do="shell", cmdline="8250.nr_uarts=4", config=config), timeout=600, **options)
    machine.expect(r"^GUEST: .*shell|^/ # ", 150)
    return machine


def receive_and_print(machine, kilobytes, **typing):
    """Linux gets so much from its console, and sends as much."""
    count = kilobytes << 10
    machine.send(f"stty raw -echo; echo RE''ADY; head -c {count} | md5sum; stty sane; echo DO''NE\r")
    machine.expect(r"READY\n", 60)
    type_slowly(machine, pattern(count), **typing)
    wanted = hashlib.md5(pattern(count).encode()).hexdigest()
    assert machine.expect(r"^([0-9a-f]{32})  -", 300).group(1) == wanted
    machine.expect(r"^DONE", 30)
    lines = count // 8
    machine.send(f"echo BE''GIN; seq 1000001 {1000000 + lines}; echo EN''D; cat /proc/interrupts\r")
    machine.expect(r"^BEGIN\n", 30)
    machine.expect(r"^END\n", 300)
    said = machine.text.split("\nBEGIN\n")[1].split("\nEND\n")[0].split("\n")
    assert [line for line in said if " " not in line] == \
        [str(1000001 + i) for i in range(lines)]
    assert sum(int(number) for number in machine.expect(r"^ +4: +(\d+) +(\d+) .*ttyS0", 30).groups()) > 100


@full
@pytest.mark.seconds(40)
@pytest.mark.parametrize("mode", ["share", "pass", "log"])
@pytest.mark.parametrize("kilobytes", [8, pytest.param(1024, marks=pytest.mark.seconds(200))])
def test_linux_console(vm, mode, kilobytes):
    """Linux's console on the UART that the hypervisor has, too: what it prints and what is typed is complete."""
    machine = linux(vm, {"serial": "com1", "serial-mode": mode}, cpus=2)
    receive_and_print(machine, kilobytes, escape=mode == "share")
    if mode != "share":
        # The escape key is one like the others: all is the guest's.
        machine.send("echo KE''YS; head -n 1 | cat -v; echo TY''PED\r")
        machine.expect(r"^KEYS\n", 30)
        machine.send("\x1dversion\r")
        machine.expect(r"^\^\]version\n\^\]version\nTYPED\n", 30)
        assert not machine.seen("the keyboard is|on AMD-V, 2 CPUs$")
    machine.send("poweroff -f\r")
    machine.wait_end(60)


@full
@pytest.mark.seconds(40)
@pytest.mark.parametrize("kilobytes", [8, pytest.param(1024, marks=pytest.mark.seconds(200))])
def test_linux_console_beside_the_monitor(vm, kilobytes):
    """Two lines: Linux's console on its own, while somebody is at the monitor on the other."""
    port = free_port()
    machine = linux(vm, {"serial": "com2", "serial-mode": "own"}, cpus=2, extra=[
        "-serial", f"tcp:127.0.0.1:{port},server=on,wait=off,nodelay=on"])
    terminal = Terminal(machine, port)
    try:
        terminal.begin()
        receive_and_print(machine, kilobytes, terminal=terminal)
        assert "the guest is stopped" in terminal.do("stop")
        machine.send("echo not\\ before\r")
        assert re.search(r"^#0 ", terminal.do("bt"), re.MULTILINE)
        assert not machine.seen("^not before"), "the guest runs"
        terminal.do("cont")
        machine.expect("^not before", 60)
    finally:
        terminal.close()
    machine.send("poweroff -f\r")
    machine.wait_end(60)


@full
@pytest.mark.seconds(40)
def test_linux_on_a_shared_second_line(vm):
    """Two lines: Linux has its console on one, and drives the other, which is the monitor's as well."""
    port, count = free_port(), 64 << 10
    machine = linux(vm, {"serial": "com2", "serial-mode": "share"}, cpus=2, extra=[
        "-serial", f"tcp:127.0.0.1:{port},server=on,wait=off,nodelay=on"])
    terminal = Terminal(machine, port)
    try:
        machine.send("stty -F /dev/ttyS1 raw -echo 115200; echo REA''DY\r")
        machine.expect("^READY", 30)
        terminal.begin(shared=True)
        assert "on AMD-V, 2 CPUs\n" in terminal.do("version")
        machine.send("(echo GO; seq 1000001 1008192; echo EN''D) >/dev/ttyS1; echo SE''NT\r")
        lines = terminal.expect("END\r?\n", 120).split("GO\n")[1].split("\n")
        assert [line for line in lines if re.fullmatch(r"\d{7}", line)] == [str(1000001 + i) for i in range(8192)]
        machine.expect("^SENT", 60)
        assert len(re.findall(r"^[* ] cpu \d+ ", terminal.do("cpus"), re.MULTILINE)) == 2
        terminal.type("\x1d")
        terminal.expect("the keyboard is the guest's")
        machine.send(f"exec 3</dev/ttyS1; echo RECE''IVES; head -c {count} <&3 | md5sum\r")
        machine.expect("^RECEIVES", 30)
        text = pattern(count)
        for at in range(0, count, 512):
            terminal.type(text[at:at + 512])
            time.sleep(0.02)
        assert machine.expect(r"^([0-9a-f]{32})  -", 120).group(1) == hashlib.md5(text.encode()).hexdigest()
    finally:
        terminal.close()
    machine.send("poweroff -f\r")
    machine.wait_end(60)


@full
@pytest.mark.seconds(25)
def test_linux_finds_no_hidden_port(vm):
    """With a port of the hypervisor's own, Linux has the other one alone."""
    machine = linux(vm, {"serial": "com2", "serial-mode": "own"}, extra=["-serial", "null"])
    machine.send("cat /proc/tty/driver/serial; echo DO''NE\r")
    found = machine.expect(r"^0: uart:(\S+) .*\n(?:.*\n)*?1: uart:(\S+) (?:.*\n)*?DONE", 30)
    assert found.group(1) == "16550A" and found.group(2) == "unknown"
    machine.send("poweroff -f\r")
    machine.wait_end(60)


@full
@pytest.mark.seconds(40)
@pytest.mark.parametrize("config", [{"serial": "com1", "serial-mode": "share"}, {"serial": "none", "gdb": "com2"}],
                         ids=["share", "gdb"])
def test_lines_after_sleep(vm, config):
    """After S3 the UARTs and the I/O APIC are as after a reset: Linux's console on a shared one goes on."""
    sleep_in_linux(vm, "next", 2, 2, config=config, extra=["-serial", "null"])


def read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


@pytest.mark.seconds(10)
def test_passed_port_and_debugcon(vm, tmp_path):
    """The guest's UART carries nothing of ours; an emulator's debug console has the log."""
    log = str(tmp_path / "log")
    machine = vm.qemu(probe_esp("uart", "bytes 0", serial="com1", debugcon="yes", log="debug", **{"serial-mode": "pass"}),
                      extra=["-chardev", f"file,id=log,path={log}", "-device", "isa-debugcon,iobase=0xe9,chardev=log"])
    expect_end(machine)
    machine.wait_end(60)
    assert "solovisor: cpu 0: APIC ID 0x0, guest starts at 0x" in read(log)
    assert not machine.seen(r"solovisor: cpu 0: APIC ID")


@pytest.mark.seconds(10)
def test_port_that_acpi_names(vm, tmp_path):
    """The log goes where SPCR says, at its rate."""
    spcr = bytearray(80 - 36)
    spcr[36 - 36] = 0
    spcr[40 - 36:52 - 36] = struct.pack("<BBBBQ", 1, 8, 0, 1, 0x2f8)
    spcr[58 - 36] = 6
    table, log = tmp_path / "spcr", str(tmp_path / "log")
    table.write_bytes(spcr)
    machine = vm.qemu(probe_esp("uart", "bytes 0", serial="acpi", log="info"), extra=[
        "-acpitable", f"sig=SPCR,rev=2,data={table}", "-chardev", f"file,id=log,path={log}", "-serial", "chardev:log"])
    expect_end(machine)
    machine.wait_end(60)
    assert "solovisor: cpu 0: APIC ID 0x0, guest starts at 0x" in read(log)
    machine = vm.qemu(probe_esp("uart", "bytes 0", serial="acpi"))
    machine.expect(r"serial = acpi: neither SPCR nor DBG2 names a 16550", 60)
