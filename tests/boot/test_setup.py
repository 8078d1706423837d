# SPDX-License-Identifier: BSD-2-Clause
"""scripts/setup on machines that are not this one: another user, other packages. Nothing is installed."""
import os
import shutil
import subprocess

import pytest
from emulator import TOP

TOOLS = ("bash cat cp cut dirname env find flock grep head mkdir mv realpath rm sed sh touch "
         "tr").split()

# What is installed is a list of "package version" in $STATE/installed. Private calls of APT name
# their own folders; any other needs root.
FAKES = {
    "id": 'echo "$FAKE_UID"',
    "sudo": 'echo "sudo $*" >>"$STATE/log"; FAKE_UID=0 exec "$@"',
    "sleep": "",
    "clang": "echo 14.0.6",
    "dpkg-query": """
        for word; do case $word in -f=*) format=$word ;; esac; done
        while read -r package version; do
            for word; do
                [ "$word" = "$package" ] || continue
                case $format in
                *:*Package*) printf '%s' "installed:$package " ;;
                *) printf '%s' "installed $version" ;;
                esac
            done
        done <"$STATE/installed"
        """,
    "apt-get": """
        private=""
        for word; do case $word in Dir::State=*) private=${word#Dir::State=} ;; esac; done
        echo "apt-get${private:+ private} $*" >>"$STATE/log"
        [ -n "$private" ] || [ "$FAKE_UID" = 0 ] || exit 100
        while [ $# -gt 0 ] && [ "$1" != install ]; do shift; done
        for word; do
            case $word in install | -*) continue ;; esac
            if [ -n "$private" ]; then
                : >"$private/../cache/archives/$word.deb"
            else
                echo "$word 1" >>"$STATE/installed"
            fi
        done
        """,
    "dpkg": """
        [ "$1" = -x ] || exec /usr/bin/dpkg "$@"
        mkdir -p "$3/usr/share/ovmf" "$3/usr/share/OVMF" "$3/usr/share/efi-shell-x64" "$3/usr/bin"
        : >"$3/usr/bin/x86_64-linux-gnu-objdump"
        : >"$3/usr/share/ovmf/OVMF.fd" >"$3/usr/share/OVMF/OVMF_CODE_4M.fd"
        : >"$3/usr/share/OVMF/OVMF_VARS_4M.fd" >"$3/usr/share/efi-shell-x64/shellx64.efi"
        """,
}

FETCHING = ["ca-certificates 1", "debian-archive-keyring 1", "apt 1", "dpkg 1"]


class Host:
    """A machine of this user with these packages: "name version" each."""

    def __init__(self, folder, uid, installed=(), without=()):
        self.top, self.state, self.bin = folder / "top", folder / "state", folder / "bin"
        for path in (self.top / "scripts", self.state, self.bin):
            path.mkdir(parents=True)
        shutil.copy(os.path.join(TOP, "scripts/setup"), self.top / "scripts/setup")
        (self.state / "installed").write_text("".join(line + "\n" for line in installed))
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name))
        for name, text in FAKES.items():
            if name not in without:
                (self.bin / name).write_text("#!/bin/sh\n" + text + "\n")
                (self.bin / name).chmod(0o755)
        self.environment = {"PATH": str(self.bin), "STATE": str(self.state), "FAKE_UID": str(uid)}

    def setup(self, *parts):
        """Returns the exit status, what was said, and the calls of sudo and APT."""
        log = self.state / "log"
        log.write_text("")
        done = subprocess.run([str(self.top / "scripts/setup"), *parts], env=self.environment,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              check=False)
        return done.returncode, done.stdout, log.read_text().splitlines()


def installs(calls):
    """The packages that APT was asked for, each call's as one list, without options."""
    return [[word for word in call.split(" install ", 1)[1].split() if not word.startswith("-")]
            for call in calls if call.startswith("apt-get") and " install " in call]


@pytest.mark.seconds(1)
@pytest.mark.parametrize("uid", [0, 1000])
def test_packages_are_installed_once(tmp_path, uid):
    """What is missing, said first, through sudo if need be; the second time nothing happens."""
    host = Host(tmp_path, uid, ["make 4.3-4.1", "gcc 4:12.2.0-3"])
    status, said, calls = host.setup("build")
    assert status == 0
    assert said.startswith("setup: installing Debian packages: clang nasm binutils gnu-efi ")
    sudo = [call for call in calls if call.startswith("sudo")]
    assert len(sudo) == (2 if uid else 0)
    assert installs(calls) == [["clang", "nasm", "binutils", "gnu-efi", "libc6-dev"]]
    assert host.setup("build") == (0, "", [])


@pytest.mark.seconds(1)
def test_neither_root_nor_sudo(tmp_path):
    status, said, calls = Host(tmp_path, 1000, without=["sudo"]).setup("build")
    assert status != 0
    assert "setup: need root or sudo for: " in said
    assert not calls


@pytest.mark.seconds(1)
def test_not_a_debian(tmp_path):
    status, said, _ = Host(tmp_path, 0, without=["apt-get"]).setup("build")
    assert status != 0
    assert "setup: not a Debian system; please install yourself: make gcc" in said


DEBIAN_13 = {"qemu-system-x86": "1:10.0.13+ds-0+deb13u1", "bochs": "3.0+dfsg-1",
             "bochs-term": "3.0+dfsg-1", "bochsbios": "3.0+dfsg-1", "vgabios": "0.8a+ds-2"}
DEBIAN_12 = {"qemu-system-x86": "1:7.2+dfsg-7+deb12u18", "bochs": "2.7+dfsg-4",
             "bochs-term": "2.7+dfsg-4", "bochsbios": "2.7+dfsg-4", "vgabios": "0.8a-1"}


@pytest.mark.seconds(1)
@pytest.mark.parametrize("versions,suffices", [
    (DEBIAN_13, True), (DEBIAN_12, False), ({}, False),
    ({**DEBIAN_13, "qemu-system-x86": "1:11.0.0+ds-1"}, True),
    ({**DEBIAN_13, "bochs-term": ""}, False), ({**DEBIAN_13, "vgabios": ""}, False),
    ({**DEBIAN_13, "qemu-system-x86": DEBIAN_12["qemu-system-x86"]}, False),
    ({**DEBIAN_13, "bochs": DEBIAN_12["bochs"]}, False)],
    ids=["13", "12", "none", "newer", "no-term", "no-vgabios", "old-qemu", "old-bochs"])
def test_the_systems_emulators(tmp_path, versions, suffices):
    """If they are new enough only firmware is fetched; by no root, and into the private folder."""
    packages = [f"{name} {version}" for name, version in versions.items() if version]
    host = Host(tmp_path, 1000, FETCHING + packages)
    status, said, calls = host.setup("emulators")
    assert status == 0, said
    assert all(call.startswith("apt-get private") for call in calls)
    old, new, decoder = installs(calls)
    assert old == ["ovmf"]
    assert decoder == ["binutils", "binutils-dev"]
    assert new[:2] == ["ovmf", "efi-shell-x64"]
    assert ("qemu-system-x86" not in new and "bochs" not in new) == suffices
    firmware = host.top / "build/emulators/firmware"
    assert sorted(os.listdir(firmware)) == ["OVMF_2M.fd", "OVMF_CODE_4M.fd", "OVMF_VARS_4M.fd",
                                            "Shell.efi"]
    assert host.setup("emulators") == (0, "", [])
