# SPDX-License-Identifier: BSD-2-Clause
"""Ways to start Linux, bare and under Solovisor, as the files of an EFI system partition."""
import os

from emulator import (BOCHS_CMDLINE, BUILD, INITRAMFS, KERNEL_CLOUD, SHELL,
                      SOLOVISOR, Esp)

BOOT = "/EFI/BOOT/BOOTX64.EFI"
PROGRAM = "/EFI/solovisor/solovisor.efi"
CONFIG = "/EFI/solovisor/solovisor.conf"
STARTERS = ("launch", "shell", "grub", "shell-grub", "direct", "entry")


def guest(name):
    """The path of a test's EFI program, tests/guests/NAME.c."""
    return os.path.join(BUILD, "guests", name + ".efi")


def dos(name):
    return name.replace("/", "\\")


def config_text(**entries):
    """solovisor.conf from keyword arguments: config_text(guest="next", log="debug")."""
    return "".join(f"{key} = {value}\n" for key, value in entries.items())


def kernel_command_line(emulator, do, cmdline="", work=None):
    # Linux counts ticks within some milliseconds to find out whether its timer interrupt works; on a
    # busy host QEMU delivers too few of them, without Solovisor as well, and Linux panics.
    words = ["console=ttyS0", "no_timer_check", f"sv.do={do}"]
    if emulator == "bochs":
        words.append(BOCHS_CMDLINE)
        work = work or 2000
    if work:
        words.append(f"sv.work={work}")
    return " ".join(words + ([cmdline] if cmdline else []))


def linux_esp(emulator="qemu", starter="launch", host="next", do="checksum,poweroff",
              kernel=None, cmdline="", config=None, options="", work=None, parts=None):
    """An ESP that ends in Linux's userspace.

    starter   "launch": one program after the other (tests/guests/launch.c), the quickest
              "shell": the UEFI Shell's startup.nsh
              "grub": GRUB chainloads Solovisor and boots Linux itself
              "shell-grub": the Shell starts Solovisor, then GRUB, and that Linux
              "direct": Solovisor itself is BOOTX64.EFI, with host "linux"
              "entry": Boot#### variables, written at the first start (tests/guests/boot_entry.c):
              Solovisor is the first one, Linux the next; a machine with `ordered=False`
    host      "next", "linux" (Solovisor loads the kernel) or None: bare, without Solovisor
    do        the words for the guest's init, tests/guests/linux/init
    parts     more archives for the initramfs, as {"/stress.cpio": path}; not with host "linux"
    config    more entries for solovisor.conf;  options: Solovisor's command line
    """
    esp = Esp()
    esp.starts_linux = True
    arguments = kernel_command_line(emulator, do, cmdline, work)
    kernel = kernel or KERNEL_CLOUD
    esp.file("/vmlinuz.efi", kernel).file("/initrd.cpio", INITRAMFS)
    if host:
        program = BOOT if starter == "direct" else PROGRAM
        entries = {"guest": host, "serial": "com1", "log": "info"}
        if host == "linux":
            entries.update(kernel="\\vmlinuz.efi", initrd="\\initrd.cpio", cmdline=arguments)
        entries.update(config or {})
        esp.file(program, SOLOVISOR).text(CONFIG, config_text(**entries))

    lines = []
    if emulator == "bochs":
        esp.file("/acpi_tables.efi", guest("acpi_tables"))
        lines.append("\\acpi_tables.efi")
    solovisor = f"{dos(PROGRAM)} {options}".strip()
    initrds = ["/initrd.cpio", *(parts or {})]
    for name, path in (parts or {}).items():
        esp.file(name, path)
    linux = f"\\vmlinuz.efi {' '.join('initrd=' + dos(name) for name in initrds)} {arguments}"
    grub_linux = f"linux /vmlinuz.efi {arguments}\ninitrd {' '.join(initrds)}\nboot\n"
    if starter == "launch":
        lines += [solovisor] if host else []
        lines += [linux] if host != "linux" else []
        esp.file(BOOT, guest("launch")).text("/launch.txt", "\n".join(lines) + "\n:return\n")
    elif starter == "shell":
        lines += [solovisor] if host else []
        lines += [linux] if host != "linux" else []
        esp.file(BOOT, SHELL).startup("fs0:", *lines)
    elif starter == "grub":
        chain = f"chainloader {PROGRAM} {options}\nboot\n" if host else ""
        esp.grub("echo GRUB: start\n" + chain + "echo GRUB: linux\n" + grub_linux)
    elif starter == "shell-grub":
        lines += [solovisor] if host else []
        lines += ["\\EFI\\grub\\grubx64.efi"]
        esp.file(BOOT, SHELL).startup("fs0:", *lines)
        esp.grub("echo GRUB: linux\n" + grub_linux, name="/EFI/grub/grubx64.efi")
    elif starter == "entry":
        esp.file("/EFI/BOOT/BOOTX64.EFI", guest("boot_entry"))
        lines += [solovisor] if host else []
        lines += [linux] if host != "linux" else []
        esp.text("/entries.txt", "\n".join(lines) + "\n")
    elif starter != "direct":
        raise ValueError(starter)
    return esp


def skip_countdown(machine, timeout=60):
    """Do not wait for the Shell's five seconds before startup.nsh."""
    machine.expect("Press ESC in", timeout)
    machine.send("\r")


def expect_linux(machine, cpus, hypervisor="SolovisorHV", do=("checksum",), timeout=120):
    """Follow Linux to userspace and check what it sees; returns the seconds until then."""
    assert machine.expect(r"GUEST: cpus=(\d+)$", timeout).group(1) == str(cpus)
    seconds = machine.seconds
    assert machine.expect(r"GUEST: hypervisor=(\S*)$", timeout).group(1) == hypervisor
    for word in do:
        machine.expect(rf"GUEST: {word} ok cpus={cpus}$", timeout)
    return seconds
