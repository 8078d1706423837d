// SPDX-License-Identifier: BSD-2-Clause
/*
 * Another kernel in place of this one, by the system call that loads a file.
 *
 *   kexec load KERNEL INITRD COMMAND-LINE    for `kexec start`
 *   kexec crash KERNEL INITRD COMMAND-LINE   for when this kernel crashes
 *   kexec start                              at once: nothing is closed or unmounted
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <linux/reboot.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int fail(const char *what)
{
	printf("GUEST: kexec: %s: %s\n", what, strerror(errno));
	return 1;
}

static int load(const char *kernel, const char *initrd, const char *cmdline, unsigned long flags)
{
	int kernel_fd = open(kernel, O_RDONLY), initrd_fd = open(initrd, O_RDONLY);

	if (kernel_fd < 0)
		return fail(kernel);
	if (initrd_fd < 0)
		return fail(initrd);
	if (syscall(SYS_kexec_file_load, kernel_fd, initrd_fd, strlen(cmdline) + 1, cmdline, flags))
		return fail("kexec_file_load");
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "start") == 0) {
		syscall(SYS_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
			LINUX_REBOOT_CMD_KEXEC, NULL);
		return fail("start");
	}
	if (argc == 5 && strcmp(argv[1], "load") == 0)
		return load(argv[2], argv[3], argv[4], 0);
	if (argc == 5 && strcmp(argv[1], "crash") == 0)
		return load(argv[2], argv[3], argv[4], KEXEC_FILE_ON_CRASH);
	printf("GUEST: kexec: see tests/guests/linux/kexec.c\n");
	return 2;
}
