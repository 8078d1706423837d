# SPDX-License-Identifier: BSD-2-Clause
"""What keeps Solovisor from starting is said in one line, and the Shell goes on."""
import pytest
from chains import BOOT, CONFIG, PROGRAM, dos, guest
from emulator import SOLOVISOR, Esp
from shell import Shell, shell_esp

INVALID_PARAMETER, UNSUPPORTED, NOT_READY = 2, 3, 6
DEVICE_ERROR, OUT_OF_RESOURCES, NOT_FOUND, ALREADY_STARTED = 7, 9, 14, 20
STARTED = r"Solovisor \S+ \d CPUs?, \d+ KiB at 0x[0-9a-f]+$"

# The file's content and what is said about it.
BAD_FILES = {
    "unknown": (b"guest = next\ncolour = red\n", r"2: unknown key 'colour'"),
    "guest": (b"guest = here\n", r"1: bad value for 'guest': want .*"),
    "serial": (b"# one\n# two\nserial = com9\n", r"3: bad value for 'serial': want .*"),
    "baud": (b"serial = com1,77\n", r"1: bad value for 'serial': want .*"),
    "log": (b"\r\n\r\nlog = loud\r\n", r"3: bad value for 'log': want error, warn, info or debug"),
    "cpuid": (b"cpuid=maybe\n", r"1: bad value for 'cpuid': want named or hidden"),
    "kernel": (b"kernel = vmlinuz\n", r"1: bad value for 'kernel': want .*"),
    "twice": (b"log = info\n\nlog = info\n", r"3: 'log' again, first on line 1"),
    "long": (b"# " + b"x" * 5000 + b"\n", r"1: line too long"),
    "utf8": (b"cmdline = \xff\xfe\n", r"1: not UTF-8"),
    "control": (b"log = info\ncmdline = a\x07b\n", r"2: control character"),
    "key": (b"log\n", r"1: not 'key = value'"),
    "large": (b"#\n" * 40000, r" larger than 64 KiB"),
}
BAD_OPTIONS = {
    "colour=red": r"word 1: unknown key 'colour'",
    "log=info cpuid=x": r"word 2: bad value for 'cpuid': want named or hidden",
    "log=info log=info": r"word 2: 'log' again, first on word 1",
    "log=info hello": r"word 2: 'hello' is not key=value",
}


@pytest.mark.seconds(14)
def test_config_errors(vm):
    """The file, the line and the reason; then a good file, and a second start."""
    esp = shell_esp().text(CONFIG, "log = info\n")
    for name, (content, _) in BAD_FILES.items():
        esp.text(f"/bad/{name}.cfg", content)
    esp.text("/good.cfg", b"\xef\xbb\xbf# good\r\nguest = next # yes\r\ncmdline = \"\xc3\xa4\"\r\n")
    shell = Shell(vm.qemu(esp, cpus=2, timeout=200))
    for name, (_, said) in BAD_FILES.items():
        shell.run(f"cp -q \\bad\\{name}.cfg {dos(CONFIG)}")
        shell.start(r"solovisor: \\EFI\\solovisor\\solovisor.conf:" + said + "\n",
                    INVALID_PARAMETER)
    shell.run(f"cp -q \\good.cfg {dos(CONFIG)}")
    for options, said in BAD_OPTIONS.items():
        shell.start(r"solovisor: load options, " + said + "\n", INVALID_PARAMETER, options)
    shell.start(r"solovisor: cannot load \\none.efi: Not Found\n", NOT_FOUND, "guest=\\none.efi")
    shell.start(STARTED, 0)
    shell.start(r"solovisor: Solovisor \S+ is running already$", ALREADY_STARTED)
    shell.run("ver", "UEFI v")
    shell.power_off()


@pytest.mark.seconds(9)
@pytest.mark.parametrize("cpus", [2, pytest.param(1, marks=pytest.mark.full),
                                  pytest.param(4, marks=pytest.mark.full)])
def test_no_svm(vm, cpus):
    shell = Shell(vm.qemu(shell_esp(), cpus=cpus, svm=False, timeout=100))
    shell.start(r"solovisor: (CPU 0: )?th.* CPU has (neither VT-x nor|no) AMD-V", UNSUPPORTED)
    shell.start(r"solovisor: (CPU 0: )?th.* CPU has (neither VT-x nor|no) AMD-V", UNSUPPORTED)
    shell.power_off()


@pytest.mark.seconds(9)
@pytest.mark.parametrize("cpus", [2, pytest.param(1, marks=pytest.mark.full),
                                  pytest.param(4, marks=pytest.mark.full)])
def test_no_npt(vm, cpus):
    shell = Shell(vm.qemu(shell_esp(), cpus=cpus, npt=False, timeout=100))
    shell.start(r"solovisor: .*nested paging", UNSUPPORTED)
    shell.power_off()


def spoiled(vm, word, cpus=2):
    shell = Shell(vm.qemu(shell_esp().file("/spoil.efi", guest("spoil")), cpus=cpus, timeout=150))
    shell.run(f"spoil.efi {word}", rf"SPOIL: {word.split()[0]}: Success")
    return shell


@pytest.mark.seconds(10)
def test_little_memory(vm):
    """20 MiB are enough in one piece; in small pieces they are not, and nothing is lost."""
    shell = spoiled(vm, "pieces 20")
    for _ in range(3):
        shell.start(r"solovisor: too little memory: need \d+ KiB in one piece, have \d+ KiB$",
                    OUT_OF_RESOURCES)
    shell.power_off()


@pytest.mark.seconds(10)
@pytest.mark.parametrize("mib", [20, pytest.param(3, marks=pytest.mark.full)])
def test_little_memory_in_one_piece(vm, mib):
    shell = spoiled(vm, f"hog {mib}")
    if mib == 20:
        shell.start(STARTED, 0)
    else:
        shell.start("solovisor: too little memory", OUT_OF_RESOURCES)
    shell.power_off()


@pytest.mark.seconds(9)
@pytest.mark.parametrize("hangs", [False, True])
def test_firmware_gdt_in_reserved_memory(vm, hangs):
    """Wherever the firmware has its GDT: Solovisor starts, or leaves everything as it was."""
    shell = spoiled(vm, "move-gdt")
    if hangs:
        shell.run("spoil.efi hang-cpu", "SPOIL: hang-cpu: Success")
        for _ in range(2):
            shell.start("solovisor: the firmware does not start the other CPUs", NOT_READY)
    else:
        shell.start(STARTED, 0)
    shell.run("ver", "UEFI v")
    shell.power_off()


@pytest.mark.seconds(10)
def test_disabled_cpu(vm):
    shell = spoiled(vm, "disable-cpu", cpus=4)
    shell.start("solovisor: CPU 1 is disabled by the firmware", UNSUPPORTED)
    shell.start("solovisor: CPU 1 is disabled by the firmware", UNSUPPORTED)
    shell.power_off()


@pytest.mark.seconds(12)
@pytest.mark.parametrize("cpus", [2, pytest.param(4, marks=pytest.mark.full)])
def test_hanging_cpu(vm, cpus):
    """A CPU that does not come: none stays virtualized, so a second try says the same."""
    shell = spoiled(vm, "hang-cpu", cpus)
    for _ in range(2):
        shell.start("solovisor: the firmware does not start the other CPUs: Not Ready", NOT_READY)
    shell.power_off()


@pytest.mark.seconds(20)
@pytest.mark.parametrize("vendor,cpus,where", [
    ("vtx", 2, "-other"), ("vtx", 1, ""), ("svm", 1, ""),
    pytest.param("vtx", 2, "", marks=pytest.mark.full)])
def test_locked_off(vm, vendor, cpus, where):
    """IA32_FEATURE_CONTROL without VMX, VM_CR with SVMDIS, both locked, on one CPU.

    None stays virtualized: the boot CPU, which could be, sees its VMX or SVM the second time.
    """
    word = {"vtx": "lock-vmx", "svm": "lock-svm"}[vendor] + where
    program = dos(PROGRAM)
    esp = Esp().file(BOOT, guest("launch")).file(PROGRAM, SOLOVISOR)
    esp.file("/spoil.efi", guest("spoil"))
    esp.text("/launch.txt", f"\\spoil.efi {word}\n{program}\n{program} log=debug\n:poweroff\n")
    machine = vm.bochs(esp, vendor=vendor, cpus=cpus, timeout=200)
    machine.expect(rf"SPOIL: {word}: Success", 120)
    for _ in range(2):
        machine.expect(rf"solovisor: {'CPU 1.*' if where else '.*'}(locked VMX|switched) off", 30)
        machine.expect(r"LAUNCH: \S+: Unsupported", 10)
    machine.wait_end(30)
