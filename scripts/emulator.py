# SPDX-License-Identifier: BSD-2-Clause
"""Emulated machines for `make run` and the tests: QEMU and Bochs behind one small interface.

    from emulator import Qemu, Bochs, esp_image

    with Qemu("name", cpus=2, image=path) as machine:
        machine.expect(r"GUEST: cpus=(\\d+)", 60)
        machine.send("exit\\r")
        machine.wait_end(30)

The console is the first serial line.  It is read all the time by a thread of its own, so the log
build/logs/NAME.log is whole whatever the caller waits for.  A machine never outlives its time
limit nor the process that started it.
"""
import atexit
import ctypes
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import termios
import threading
import time
import tty

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from diskimage import BUILD, TOP, Esp, grub_program  # noqa: E402,F401
from qemu_monitor import QemuMonitor  # noqa: E402

PRIVATE = os.path.join(BUILD, "emulators")
FIRMWARE = os.path.join(PRIVATE, "firmware")
LOGS = os.path.join(BUILD, "logs")
RUN = os.path.join(BUILD, "run")
SHELL = os.path.join(FIRMWARE, "Shell.efi")
GUEST = os.path.join(BUILD, "guest")
KERNEL_CLOUD = os.path.join(GUEST, "vmlinuz-cloud")
KERNEL_GENERIC = os.path.join(GUEST, "vmlinuz-generic")
INITRAMFS = os.path.join(GUEST, "initramfs.cpio")
INITRAMFS_STRESS = os.path.join(GUEST, "stress.cpio")
INITRAMFS_KERNEL = os.path.join(GUEST, "kernel.cpio")
SOLOVISOR = os.path.join(BUILD, "solovisor.efi")
# What Debian's kernel needs to come up on Bochs at all, bare as well; idle=nomwait: two CPUs in
# MWAIT wake each other for ever there (docs/emulators.md).
BOCHS_CMDLINE = "nokaslr mitigations=off clearcpuid=xsaves,mwaitx idle=nomwait"

ESCAPES = re.compile(r"\x1b\[[0-9;?=]*[A-Za-z]|\x1b[()][A-Z0-9]|\x1b[=>78]")
# Of what state() says, the lines for the message: where each CPU is.
STATE_SUMMARY = re.compile(r"^--- CPU.*|^[ER]IP=.*HLT=\d", re.MULTILINE)
CONSOLE_BYTES = 1 << 20
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class EmulatorError(AssertionError):
    """A machine did not do what was waited for; the message ends with the console's last lines."""


def _prepare(core):
    """In the new process: it ends when we do, and stays on one core of the host, if one is given."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if core is not None:
        os.sched_setaffinity(0, {core})


def _private_command(program):
    root = PRIVATE
    return [os.path.join(root, "usr/lib64/ld-linux-x86-64.so.2"), "--library-path",
            os.path.join(root, "usr/lib/x86_64-linux-gnu"), os.path.join(root, "usr/bin", program)]


def has_private(program):
    return os.path.exists(os.path.join(PRIVATE, "usr/bin", program))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Patience:
    """A time limit in seconds of a host that has nothing else to do: on a busy one it lasts longer."""

    def __init__(self, seconds):
        self.left = seconds
        self._seen = time.monotonic()

    def tick(self):
        """What is left by now."""
        now = time.monotonic()
        share = os.getloadavg()[0] / (os.cpu_count() or 1)
        self.left -= (now - self._seen) / max(1.0, share)
        self._seen = now
        return self.left

    def wait_for(self, process):
        """Wait for the end of a process; whether it came in time."""
        while self.tick() > 0:
            try:
                process.wait(min(self.left, 1))
                return True
            except subprocess.TimeoutExpired:
                pass
        return False


class Machine:
    """What both emulators share: the process, the console, the log, the end."""

    def __init__(self, name, timeout=600, echo=False):
        self.name = name
        self.deadline_seconds = timeout
        self.echo = echo
        self.process = None
        self.status = None
        self.timed_out = False
        self.started = None
        self.text = ""
        self.position = 0
        self._raw = b""
        self._changed = threading.Condition()
        self._keyboard = None
        self._threads = []
        self._files = []
        self.one_core = False
        self.folder = os.path.join(RUN, name)
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        os.makedirs(LOGS, exist_ok=True)
        self.log_path = os.path.join(LOGS, name + ".log")
        self._log = open(self.log_path, "wb", buffering=0)
        self._files.append(self._log)

    # --- for callers ---

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.started = time.monotonic()
        atexit.register(self.stop)
        self._launch()
        watchdog = threading.Thread(target=self._watch, daemon=True)
        watchdog.start()
        self._threads.append(watchdog)
        return self

    @property
    def seconds(self):
        """How long the machine has been running."""
        return time.monotonic() - self.started

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def expect(self, pattern, timeout=60):
        """Wait for a regular expression in what the console prints from here on.

        Returns the match; text up to its end is consumed.  Fails when the time is over or the
        machine ends first.
        """
        return self.expect_any([pattern], timeout)[1]

    def expect_any(self, patterns, timeout=60):
        """Wait for the first of several patterns: (index, match)."""
        compiled = [re.compile(pattern, re.MULTILINE) for pattern in patterns]
        patience = Patience(timeout)
        with self._changed:
            while True:
                ended = not self._reading()
                matches = [(match.start(), index, match)
                           for index, expression in enumerate(compiled)
                           for match in [expression.search(self.text, self.position)] if match]
                if matches:
                    _, index, match = min(matches, key=lambda item: item[:2])
                    # A match up to the last character may grow: wait for a moment of silence.
                    if match.end() == len(self.text) and not ended and self._changed.wait(0.4):
                        continue
                    self.position = match.end()
                    return index, match
                left = patience.tick()
                if ended or left <= 0:
                    why = "the machine ended" if ended else f"nothing after {timeout} s"
                    if self.timed_out:
                        why = f"the machine's time of {self.deadline_seconds} s is over"
                    self._fail(f"waiting for {' or '.join(patterns)!r}: {why}")
                self._changed.wait(min(left, 0.5))

    def wait_until(self, condition, timeout=60):
        """Wait until a function of no arguments returns something true."""
        patience = Patience(timeout)
        while not condition():
            if not self.running or patience.tick() <= 0:
                self._fail(f"waiting for a condition: not true after {timeout} s")
            time.sleep(0.2)

    def seen(self, pattern):
        """All matches of a pattern in everything printed so far."""
        with self._changed:
            return list(re.compile(pattern, re.MULTILINE).finditer(self.text))

    def send(self, text):
        """Type on the console.  The Shell wants '\\r' as its Enter."""
        data = text.encode()
        while data:
            _, ready, _ = select.select([], [self._keyboard], [], 0.2)
            if ready:
                # What a pipe has room for at least; more might wait for a machine that has ended.
                data = data[os.write(self._keyboard, data[:select.PIPE_BUF]):]
            elif not self.running:
                self._fail("the machine ended while somebody typed")

    def wait_end(self, timeout=60):
        """Wait until the emulator ends by itself; returns its exit status."""
        if not Patience(timeout).wait_for(self.process):
            self._fail(f"still running after {timeout} s")
        self.status = self.process.returncode
        if self.timed_out:
            self._fail(f"the machine's time of {self.deadline_seconds} s is over")
        self._join_reader()
        return self.status

    def stop(self):
        """End the machine now, if it still runs."""
        atexit.unregister(self.stop)
        if self.process is None:
            return
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if self.process.poll() is not None:
                break
            try:
                os.killpg(self.process.pid, sign)
            except ProcessLookupError:
                pass
            try:
                self.process.wait(3)
            except subprocess.TimeoutExpired:
                continue
        self.status = self.process.wait()
        self._join_reader()
        self._cleanup()

    def tail(self, lines=25):
        return "\n".join(self.text.splitlines()[-lines:])

    # --- for the two emulators ---

    def _launch(self):
        raise NotImplementedError

    def _take_core(self):
        """A core of the host, one that no other machine of this folder has if there is one."""
        cores = sorted(os.sched_getaffinity(0))
        for core in cores:
            file = open(os.path.join(RUN, f"core.{core}"), "wb")
            self._files.append(file)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return core
            except BlockingIOError:
                continue
        return cores[os.getpid() % len(cores)]

    def _spawn(self, command, **options):
        core = self._take_core() if self.one_core else None
        with open(os.path.join(self.folder, "command"), "w", encoding="utf-8") as file:
            file.write(" ".join(command) + "\n")
        self.process = subprocess.Popen(command, start_new_session=True,
                                        preexec_fn=lambda: _prepare(core), **options)

    def _read_console(self, descriptor, keyboard):
        self._keyboard = keyboard
        reader = threading.Thread(target=self._reader, args=(descriptor,), daemon=True)
        reader.start()
        self._reader_thread = reader

    def _reading(self):
        return self._reader_thread.is_alive()

    def _reader(self, descriptor):
        while True:
            ready, _, _ = select.select([descriptor], [], [], 0.2)
            if not ready:
                if self.process is None or self.process.poll() is None:
                    continue
                break
            try:
                data = os.read(descriptor, 65536)
            except OSError:
                data = b""
            if not data:
                if self.process is None or self.process.poll() is None:
                    time.sleep(0.02)
                    continue
                break
            self._take(data)
        with self._changed:
            self._changed.notify_all()

    def _take(self, data):
        self._log.write(data)
        if self.echo:
            sys.stdout.buffer.write(data)
            sys.stdout.flush()
        with self._changed:
            self._raw += data
            # Hold back an escape sequence that has not wholly arrived.
            cut = self._raw.rfind(b"\x1b", max(0, len(self._raw) - 16))
            if cut >= 0 and not ESCAPES.match(self._raw[cut:].decode("latin-1")):
                now, self._raw = self._raw[:cut], self._raw[cut:]
            else:
                now, self._raw = self._raw, b""
            self.text += ESCAPES.sub("", now.decode("utf-8", "replace")).replace("\r", "")
            self._changed.notify_all()

    def _join_reader(self):
        self._reader_thread.join(3)

    def _watch(self):
        if not Patience(self.deadline_seconds).wait_for(self.process):
            self.timed_out = True
            try:
                os.killpg(self.process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _cleanup(self):
        for file in self._files:
            try:
                file.close()
            except OSError:
                pass
        self._files = []

    def state(self):
        """What the CPUs are doing, in lines for people; "" if the emulator does not tell."""
        return ""

    def _fail(self, what):
        state = self.state() if self.running else ""
        if state:
            path = os.path.join(LOGS, self.name + ".state")
            with open(path, "w", encoding="utf-8") as file:
                file.write(state)
            what += "\n".join(["", *STATE_SUMMARY.findall(state), f"state: {path}"])
        raise EmulatorError(f"{self.name}: {what}\nlog: {self.log_path}\n"
                            f"last lines:\n{self.tail()}")


class Qemu(Machine):
    """QEMU's TCG: AMD-V with nested paging, no VT-x.

    image    disk image; attach = "ahci", "virtio" or "usb" (a stick on xHCI)
    iso      CD-ROM image
    svm      False: a CPU without AMD-V;  npt  False: AMD-V without nested paging
    icount   one CPU, the TSC counts instructions, identical on every run
    reboot   False: a reset ends the machine
    writable True: the image itself is written to, else a snapshot is
    cpu      more for -cpu, as "la57=on";  extra: more arguments
    ordered  False: the firmware's own BootOrder counts, not the order of the devices here
    one_core its threads share one core of the host: for a guest under Solovisor that restores floating-point state on
             several CPUs, as Linux does. Else a CPU may lose its GIF for ever (docs/emulators.md)
    """

    def __init__(self, name, cpus=1, mem=512, image=None, attach="ahci", iso=None, svm=True,
                 npt=True, icount=False, reboot=False, writable=False, cpu="", machine="",
                 variables=None, gdb=None, debugcon=True, ordered=True, one_core=False,
                 extra=(), timeout=600, echo=False):
        super().__init__(name, timeout, echo)
        self.ordered = ordered
        self.one_core = one_core and cpus > 1 and not icount
        self.cpus, self.mem, self.image, self.attach, self.iso = cpus, mem, image, attach, iso
        self.svm, self.npt, self.icount, self.reboot = svm, npt, icount, reboot
        self.writable, self.cpu, self.machine, self.gdb = writable, cpu, machine, gdb
        self.variables, self.extra, self.debugcon = variables, list(extra), debugcon
        self.firmware_log = os.path.join(self.folder, "debugcon.log")
        self.monitor = None  # a QemuMonitor

    def command(self, serial):
        """The command line, with `serial` as the argument of -serial."""
        if has_private("qemu-system-x86_64"):
            share = os.path.join(PRIVATE, "usr/share")
            command = _private_command("qemu-system-x86_64") + [
                "-L", os.path.join(share, "qemu"), "-L", os.path.join(share, "seabios")]
        else:
            command = ["qemu-system-x86_64"]
        variables = os.path.join(self.folder, "vars.fd")
        shutil.copyfile(self.variables or os.path.join(FIRMWARE, "OVMF_VARS_4M.fd"), variables)
        cpu = "max"
        if not self.svm:
            cpu += ",svm=off"
        elif not self.npt:
            cpu += ",npt=off"
        if self.cpu:
            cpu += "," + self.cpu
        machine = "q35,accel=tcg,smm=off" + ("," + self.machine if self.machine else "")
        command += ["-machine", machine, "-cpu", cpu, "-smp", str(self.cpus), "-m", str(self.mem),
                    "-nodefaults", "-display", "none", "-monitor", "none", "-serial", serial,
                    "-drive", "if=pflash,format=raw,unit=0,readonly=on,file="
                    + os.path.join(FIRMWARE, "OVMF_CODE_4M.fd"),
                    "-drive", f"if=pflash,format=raw,unit=1,file={variables}",
                    "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
        if self.debugcon:
            command += ["-debugcon", "file:" + self.firmware_log,
                        "-global", "isa-debugcon.iobase=0x402"]
        if self.icount:
            command += ["-icount", "shift=0,sleep=off"]
        if not self.reboot:
            command += ["-no-reboot"]
        if self.gdb:
            command += ["-gdb", f"tcp:127.0.0.1:{self.gdb}"]
        if self.image:
            snapshot = "off" if self.writable else "on"
            command += ["-drive", f"if=none,id=disk,format=raw,snapshot={snapshot},"
                        f"file={self.image}"]
            order = ",bootindex=0" if self.ordered else ""
            command += {"ahci": ["-device", "ide-hd,drive=disk,bus=ide.0" + order],
                        "virtio": ["-device", "virtio-blk-pci,drive=disk" + order],
                        "usb": ["-device", "qemu-xhci", "-device",
                                "usb-storage,drive=disk,removable=on" + order],
                        }[self.attach]
        if self.iso:
            command += ["-drive", f"if=none,id=cd,media=cdrom,readonly=on,file={self.iso}",
                        "-device", "ide-cd,drive=cd,bus=ide.1,bootindex=1"]
        return command + self.extra

    def environment(self):
        if not has_private("qemu-system-x86_64"):
            return None
        return dict(os.environ, TMPDIR=self.folder,
                    QEMU_MODULE_DIR=os.path.join(PRIVATE, "usr/lib/x86_64-linux-gnu/qemu"))

    def _launch(self):
        monitor, theirs = socket.socketpair()
        self.monitor = QemuMonitor(monitor)
        # A socket holds some 280 characters that come one by one, and QEMU drops those for which there is no room.
        pipe = os.path.join(self.folder, "console")
        screen, keyboard = (self._fifo(pipe + end) for end in (".out", ".in"))
        fcntl.fcntl(screen, fcntl.F_SETPIPE_SZ, CONSOLE_BYTES)
        self._files.append(self.monitor)
        errors = open(os.path.join(self.folder, "stderr"), "wb")
        self._files.append(errors)
        command = self.command("chardev:console")
        command += ["-chardev", f"pipe,id=console,path={pipe}",
                    "-chardev", f"socket,id=monitor,fd={theirs.fileno()}",
                    "-mon", "chardev=monitor,mode=control"]
        self._spawn(command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors,
                    env=self.environment(), pass_fds=[theirs.fileno()])
        theirs.close()
        self._read_console(screen, keyboard)

    def _fifo(self, path):
        """Both ends, so that neither this nor QEMU waits for the other."""
        os.mkfifo(path)
        descriptor = os.open(path, os.O_RDWR)
        self._files.append(os.fdopen(descriptor, "rb", buffering=0))
        return descriptor

    def state(self):
        """Registers, local APIC and stack of each CPU, twice: what moves is not stuck."""
        lines = []
        try:
            for _ in range(2):
                for cpu in range(self.cpus):
                    lines += [f"--- CPU {cpu}"]
                    lines += [self.monitor.do(line, cpu)
                              for line in ("info registers", "info lapic", "x /64gx $rsp", "x /8i $pc")]
            lines.append(self.monitor.do("info pic"))
        except (OSError, ValueError) as error:
            lines.append(f"no more: {error}")
        return "\n".join(lines).replace("\r", "")

    def errors(self):
        """What QEMU itself complained about."""
        with open(os.path.join(self.folder, "stderr"), encoding="utf-8", errors="replace") as file:
            return file.read()


class Bochs(Machine):
    """Bochs: VT-x with EPT (vendor "vtx") and AMD-V with NPT (vendor "svm").

    A machine without ACPI's power-off: it is ended by stop().  `image` is copied, since Bochs
    locks what it opens.  Firmware of 2 MB without fw_cfg and without ACPI tables.
    """

    MODELS = {"vtx": "corei7_skylake_x", "svm": "ryzen"}

    def __init__(self, name, vendor="vtx", cpus=1, mem=256, image=None, model=None,
                 ips=50_000_000, gdb=None, magic_break=False, commands=("c",), extra=(),
                 timeout=900, echo=False):
        super().__init__(name, timeout, echo)
        self.vendor, self.cpus, self.mem, self.image = vendor, cpus, mem, image
        self.model = model or self.MODELS[vendor]
        self.ips, self.gdb, self.magic_break = ips, gdb, magic_break
        self.commands, self.extra = commands, list(extra)
        self.bochs_log_path = os.path.join(LOGS, name + ".bochs")

    def _configuration(self, terminal):
        share = os.path.join(PRIVATE, "usr/share") if has_private("bochs-bin") else "/usr/share"
        lines = [
            f"cpu: model={self.model}, count={self.cpus}, ips={self.ips}, "
            "reset_on_triple_fault=1, ignore_bad_msrs=1, msrs=",
            f"memory: guest={self.mem}, host={self.mem}",
            f"romimage: file={os.path.join(FIRMWARE, 'OVMF_2M.fd')}, address=0xffe00000, "
            "options=none",
            f"vgaromimage: file={share}/bochs/VGABIOS-lgpl-latest",
            "pci: enabled=1, chipset=i440fx",
            "display_library: term",
            "clock: sync=none, time0=946684800",
            f"com1: enabled=1, mode=term, dev={terminal}",
            f"log: {self.bochs_log_path}",
            "panic: action=fatal", "error: action=report", "info: action=report",
            "debug: action=ignore",
            f"magic_break: enabled={int(self.magic_break)}",
            "mouse: enabled=0", "boot: disk",
        ]
        lines[0] = lines[0].replace(", msrs=", "")
        if self.image:
            disk = os.path.join(self.folder, "disk.img")
            subprocess.run(["cp", "--sparse=always", self.image, disk], check=True)
            lines += ["ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14",
                      f"ata0-master: type=disk, mode=flat, path={disk}"]
        if self.gdb:
            lines.append(f"com2: enabled=1, mode=socket-server, dev=localhost:{self.gdb}")
        return "".join(line + "\n" for line in lines + self.extra)

    def _launch(self):
        serial, serial_slave = pty.openpty()
        tty.setraw(serial_slave, termios.TCSANOW)
        screen, screen_slave = pty.openpty()
        configuration = os.path.join(self.folder, "bochsrc")
        commands = os.path.join(self.folder, "commands")
        with open(configuration, "w", encoding="utf-8") as file:
            file.write(self._configuration(os.ttyname(serial_slave)))
        with open(commands, "w", encoding="utf-8") as file:
            file.write("".join(line + "\n" for line in self.commands))
        environment = dict(os.environ, TERM="xterm", LINES="25", COLUMNS="80")
        if has_private("bochs-bin"):
            command = _private_command("bochs-bin")
            environment.update(
                LTDL_LIBRARY_PATH=os.path.join(PRIVATE, "usr/lib/x86_64-linux-gnu/bochs/plugins"),
                BXSHARE=os.path.join(PRIVATE, "usr/share/bochs"))
            terminfo = os.path.join(PRIVATE, "usr/share/terminfo")
            if not os.path.isdir("/usr/share/terminfo") and os.path.isdir(terminfo):
                environment["TERMINFO"] = terminfo
        else:
            command = ["bochs"]
        command += ["-q", "-f", configuration, "-rc", commands]
        self._spawn(command, stdin=screen_slave, stdout=screen_slave, stderr=screen_slave,
                    env=environment, cwd=self.folder)
        os.close(screen_slave)
        # Held open: a terminal with no one at the other end would hang up.
        self._slave = serial_slave
        self._screen = screen
        threading.Thread(target=self._drain_screen, args=(screen,), daemon=True).start()
        self._read_console(serial, serial)

    def _drain_screen(self, screen):
        """What the debugger prints; the display library has a terminal of its own, which it names here."""
        named = b""
        with open(os.path.join(self.folder, "screen"), "wb", buffering=0) as file:
            while True:
                try:
                    data = os.read(screen, 65536)
                except OSError:
                    return
                if not data:
                    return
                file.write(data)
                if named is not None:
                    named += data
                    found = re.search(rb'connected to screen "([^"]+)"', named)
                    if found:
                        named = None
                        threading.Thread(target=self._drain_display, args=(found.group(1),),
                                         daemon=True).start()

    def _drain_display(self, terminal):
        """A guest that draws much on a screen at which nobody looks would stop Bochs for ever."""
        try:
            display = os.open(terminal, os.O_RDWR | os.O_NOCTTY)
            tty.setraw(display, termios.TCSANOW)
            while os.read(display, 65536):
                pass
        except OSError:
            pass

    def _cleanup(self):
        for descriptor in (self._slave, self._screen, self._keyboard):
            try:
                os.close(descriptor)
            except OSError:
                pass
        try:
            os.unlink(os.path.join(self.folder, "disk.img"))
        except FileNotFoundError:
            pass
        super()._cleanup()

    def bochs_log(self):
        """What Bochs itself logged: a failed VM entry names its check there."""
        with open(self.bochs_log_path, encoding="utf-8", errors="replace") as file:
            return file.read()


def start_machine(name, vendor="svm", emulator=None, **options):
    """A machine of a vendor: AMD-V in QEMU and VT-x in Bochs unless `emulator` says otherwise."""
    emulator = emulator or ("bochs" if vendor == "vtx" else "qemu")
    if emulator == "bochs":
        return Bochs(name, vendor=vendor, **options)
    return Qemu(name, **options)
