# SPDX-License-Identifier: BSD-2-Clause
"""Disk images out of nothing: GPT, one FAT32 EFI system partition, its files.

No loop devices and no root: the partition table is written here, the file system by mkfs.fat and
mtools.  The same content gives the same bytes.
"""
import binascii
import os
import shutil
import struct
import subprocess
import tempfile
import uuid

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.join(TOP, "build")

SECTOR = 512
FIRST_LBA = 2048
TABLE_SECTORS = 33
# With one sector a cluster, FAT32 needs at least 65525 clusters to be FAT32.
PARTITION_MIN = 40 << 20
ESP_TYPE = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
DISK_ID = uuid.UUID("501051b0-0000-4000-8000-000000000001")
PARTITION_ID = uuid.UUID("501051b0-0000-4000-8000-000000000002")

GRUB_MODULES = """part_gpt part_msdos fat iso9660 search search_fs_file search_label normal
    configfile linux chain boot halt reboot serial terminal echo test sleep ls cat true
    minicmd efifwsetup""".split()
GRUB_START = """search --no-floppy --file --set=root /grub.cfg
set prefix=($root)/grub
configfile /grub.cfg
"""


def _tools_environment():
    return dict(os.environ, SOURCE_DATE_EPOCH="946684800", TZ="UTC", MTOOLS_SKIP_CHECK="1",
                LC_ALL="C.UTF-8", PATH=os.environ["PATH"] + ":/usr/sbin:/sbin")


def _run(*command):
    done = subprocess.run(command, env=_tools_environment(), stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout}")


def grub_program(start=GRUB_START):
    """The path of a GRUB for EFI that runs /grub.cfg of the disk it finds it on."""
    import hashlib
    key = hashlib.sha256((start + " ".join(GRUB_MODULES)).encode()).hexdigest()[:12]
    path = os.path.join(BUILD, "grub", f"grub-{key}.efi")
    if not os.path.exists(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with tempfile.NamedTemporaryFile("w", suffix=".cfg") as config:
            config.write(start)
            config.flush()
            new = f"{path}.{os.getpid()}"
            _run("grub-mkimage", "-O", "x86_64-efi", "-p", "/grub", "-c", config.name, "-o", new,
                 *GRUB_MODULES)
            os.replace(new, path)
    return path


class Esp:
    """The files of an EFI system partition, and the disk image made of them.

        esp = Esp()
        esp.file("/EFI/BOOT/BOOTX64.EFI", "build/solovisor.efi")
        esp.text("/EFI/solovisor/solovisor.conf", "guest = next\\n")
        esp.write("disk.img")
    """

    def __init__(self):
        self.entries = {}
        self.starts_linux = False

    def file(self, name, path):
        """Put the file `path` of the host at `name`."""
        if not os.path.isfile(path):
            raise FileNotFoundError(path)
        self.entries[name.strip("/")] = ("file", os.path.abspath(path))
        return self

    def text(self, name, content):
        data = content if isinstance(content, bytes) else content.encode()
        self.entries[name.strip("/")] = ("data", data)
        return self

    def tree(self, folder):
        for root, _, files in os.walk(folder):
            for name in files:
                path = os.path.join(root, name)
                self.file(os.path.relpath(path, folder), path)
        return self

    def startup(self, *lines):
        """startup.nsh, that the UEFI Shell runs."""
        return self.text("/startup.nsh", "".join(f"{line}\r\n" for line in lines))

    def grub(self, config, name="/EFI/BOOT/BOOTX64.EFI"):
        """GRUB as `name`, and its configuration."""
        return self.file(name, grub_program()).text("/grub.cfg", config)

    def unpack(self, folder):
        """Copy all files below `folder`."""
        for name, (kind, value) in sorted(self.entries.items()):
            path = os.path.join(folder, name)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if kind == "file":
                shutil.copyfile(value, path)
            else:
                with open(path, "wb") as file:
                    file.write(value)
            os.utime(path, (946684800, 946684800))

    def write(self, path):
        """Write the disk image `path` and return it."""
        with tempfile.TemporaryDirectory() as folder:
            self.unpack(folder)
            write_image(path, folder)
        return path


def _content_bytes(folder):
    total = 0
    for root, folders, files in os.walk(folder):
        total += 4096 * (len(folders) + 1)
        total += sum(os.path.getsize(os.path.join(root, name)) + SECTOR for name in files)
    return total


def _header(my_lba, other_lba, table_lba, last_usable, table_crc):
    def pack(crc):
        return struct.pack("<8sIIIIQQQQ16sQIII", b"EFI PART", 0x10000, 92, crc, 0, my_lba,
                           other_lba, FIRST_LBA, last_usable, DISK_ID.bytes_le, table_lba, 128,
                           128, table_crc)
    return pack(binascii.crc32(pack(0))).ljust(SECTOR, b"\0")


def _write_gpt(file, sectors, partition_sectors):
    last_usable = sectors - TABLE_SECTORS - 1
    entry = struct.pack("<16s16sQQQ72s", ESP_TYPE.bytes_le, PARTITION_ID.bytes_le, FIRST_LBA,
                        FIRST_LBA + partition_sectors - 1, 0, "Solovisor".encode("utf-16le"))
    table = entry.ljust(128 * 128, b"\0")
    crc = binascii.crc32(table)
    protective = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", 0xee, b"\xff\xff\xff", 1,
                             min(sectors - 1, 0xffffffff))
    file.seek(0)
    file.write(b"\0" * 446 + protective.ljust(64, b"\0") + b"\x55\xaa")
    file.write(_header(1, sectors - 1, 2, last_usable, crc))
    file.write(table)
    file.seek((sectors - TABLE_SECTORS) * SECTOR)
    file.write(table)
    file.write(_header(sectors - 1, 1, sectors - TABLE_SECTORS, last_usable, crc))


def write_image(path, folder):
    """Write the files below `folder` as a disk image `path`."""
    needed = _content_bytes(folder) * 17 // 16 + (2 << 20)
    partition = max(PARTITION_MIN, (needed + 0xfffff) & ~0xfffff)
    # Whole cylinders of 16 heads and 63 sectors, as an old BIOS and Bochs count.
    cylinder = 16 * 63 * SECTOR
    size = -(-(FIRST_LBA * SECTOR + partition + TABLE_SECTORS * SECTOR) // cylinder) * cylinder
    new = f"{path}.{os.getpid()}.new"
    try:
        with open(new, "wb") as file:
            file.truncate(size)
            _write_gpt(file, size // SECTOR, partition // SECTOR)
        _run("mkfs.fat", "-F", "32", "-s", "1", "-S", str(SECTOR), "-i", "50105150",
             "-n", "SOLOVISOR", "-h", str(FIRST_LBA), "--invariant", "--offset", str(FIRST_LBA),
             new, str(partition // 1024))
        names = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
        if names:
            _run("mcopy", "-i", f"{new}@@{FIRST_LBA * SECTOR}", "-s", "-Q", *names, "::/")
        os.replace(new, path)
    finally:
        if os.path.exists(new):
            os.unlink(new)
