/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The contract between the loader (boot/) and the core: the only header that both include.
 *
 * The loader places the core's segments, one after the other at (virtual address - CORE_VIRT_BASE), at
 * `hv_base`, a 2 MiB-aligned reservation that no OS will use, fills one struct boot_info, and calls the ELF
 * entry point once for each request below. The call happens with interrupts disabled and on the transition
 * page tables: the firmware's own tables with the whole reservation (hv_base, hv_bytes: image and pool, writable
 * and executable, 2 MiB pages) mapped at CORE_VIRT_BASE in addition.
 *
 * All addresses here are physical (the firmware maps memory 1:1); all sizes are in bytes.
 */
#ifndef BOOT_BOOT_INFO_H
#define BOOT_BOOT_INFO_H

#include <stdint.h>

#define CORE_VIRT_BASE	     0xffffffff80000000ull
#define CORE_IMAGE_MAX	     0x200000ull	   /* the image takes at most one 2 MiB page */
#define BOOT_INFO_MAGIC	     0x4f464e4956534c53ull /* "SLSVINFO" */
#define BOOT_MAX_CPUS	     256u
#define BOOT_MAX_RANGES	     512u
#define BOOT_ERROR_CHARS     160u
#define BOOT_NO_PIN	     UINT32_MAX

/* The memory that the core needs: fixed part and part for each CPU (see core/start.c, which checks it). */
#define CORE_MEMORY_BASE     0x300000ull
#define CORE_MEMORY_PER_CPU  0x3c000ull

/*
 * A hypercall (RAX, CPL 0) for the loader once it is a guest: what the log still holds goes out before this returns, so
 * that the lines of start-up are not cut up by the guest's on the same UART. An exit itself never waits for it.
 */
#define BOOT_HYPERCALL_DRAIN 0x534f4c4f5644524eull /* "SOLOVDRN" */

/* First argument of the core's entry point. */
enum core_request {
	/* Boot CPU, once: check the machine, build page tables and pools. Fails softly, text in `error`. */
	CORE_PREPARE = 0,
	/*
	 * Every CPU: enable VMX or SVM, capture the context as the guest's state and prove by one trial entry
	 * that the CPU accepts it. On failure the CPU is as before. Text in `error`.
	 */
	CORE_CPU_ENABLE = 1,
	/* Every CPU, after CORE_CPU_ENABLE succeeded: enter the guest. Does not return; the guest goes on at context.rip. */
	CORE_CPU_ENTER = 2,
	/* Every CPU, instead of CORE_CPU_ENTER: leave VMX or SVM again, the CPU is as before. */
	CORE_CPU_DISABLE = 3,
};

/* What the entry point returns. */
enum core_status {
	CORE_OK = 0,
	CORE_NO_VIRTUALIZATION = 1, /* no VMX or SVM in this CPU */
	CORE_LOCKED_OFF = 2,	    /* IA32_FEATURE_CONTROL or VM_CR.SVMDIS */
	CORE_NO_PAGING = 3,	    /* no EPT or NPT, or no unrestricted guest */
	CORE_NO_MEMORY = 4,	    /* reservation too small */
	CORE_FAILED = 5,	    /* anything else, see `error` */
};

enum boot_range_kind {
	BOOT_RANGE_RAM = 1,  /* anything that EFI calls memory, whoever uses it now */
	BOOT_RANGE_MMIO = 2, /* memory-mapped I/O that the memory map or a PCI root bridge names */
	BOOT_RANGE_RESERVED = 3, /* the rest of the memory map */
};

struct boot_range {
	uint64_t base;
	uint64_t bytes;
	uint32_t kind; /* enum boot_range_kind */
	uint32_t pad;
};

/*
 * A register that puts the machine to sleep: PM1a_CNT, PM1b_CNT or SLEEP_CONTROL. In its last byte, SLP_TYP is bits 4:2 and
 * SLP_EN bit 5; in the last byte of the status register of the same size, bit 7 is WAK_STS. ACPI: "PM1 Control Registers",
 * "Sleep Control Register".
 */
struct boot_sleep_register {
	uint16_t control; /* I/O port */
	uint16_t status;  /* I/O port, 0: none */
	uint8_t bytes;	  /* 2, or 1 (SLEEP_CONTROL) */
	uint8_t type;	  /* SLP_TYP that means S3 here */
	uint8_t pad[2];
};

#define BOOT_SLEEP_REGISTERS 5u
#define BOOT_FACS_MAX	     2u

struct boot_sleep {
	/* None: the machine has no S3, or not one that can be followed. */
	uint32_t register_count;
	uint32_t facs_count;
	struct boot_sleep_register registers[BOOT_SLEEP_REGISTERS];
	uint64_t facs[BOOT_FACS_MAX]; /* firmware ACPI control structures; the first counts */
	uint64_t low_base; /* BOOT_SLEEP_LOW_BYTES below 1 MiB, reserved, for the way up after S3 */
};

#define BOOT_SLEEP_LOW_BYTES 0x2000ull

/* What becomes of the UART of the key `serial`. */
enum boot_serial_mode {
	BOOT_SERIAL_LOG = 0,  /* the guest's; lines of the log go out in between, as they come */
	BOOT_SERIAL_OWN = 1,  /* ours: the guest finds nothing there */
	BOOT_SERIAL_PASS = 2, /* the guest's alone */
	BOOT_SERIAL_SHARE = 3 /* both use it, and neither sees the other */
};

/* A serial line for the hypervisor: a 16550 UART. */
struct boot_line {
	uint64_t address; /* of its registers: an I/O port, or physical; 0: no line */
	uint64_t io_apic; /* physical address of the I/O APIC at which its interrupts arrive */
	uint32_t pin;	  /* of that one; BOOT_NO_PIN: not known */
	uint32_t baud;
	uint32_t stride; /* bytes from one register to the next in memory; 0: I/O ports */
	uint32_t width;	 /* bytes of an access in memory: 1 or 4 */
};

enum boot_log_level {
	BOOT_LOG_ERROR = 0,
	BOOT_LOG_WARN = 1,
	BOOT_LOG_INFO = 2,
	BOOT_LOG_DEBUG = 3
};

struct boot_table_register {
	uint16_t limit;
	uint8_t base[8]; /* unaligned, as SGDT and SIDT store it */
} __attribute__((packed));

/*
 * A CPU's state at the loader's call, stored by boot/trampoline.asm. Offsets are known there: keep the order.
 * The guest starts with it: RAX = CORE_OK, RIP = rip, everything else as stored or still in the CPU.
 */
struct boot_cpu_context {
	uint64_t rbx, rbp, r12, r13, r14, r15; /* 0x00 */
	uint64_t rsp, rip, rflags;	       /* 0x30 */
	uint64_t trial_rip; /* 0x48 address of a CPUID instruction that the trial entry executes */
	uint64_t cr0, cr3, cr4;			   /* 0x50 */
	uint16_t es, cs, ss, ds, fs, gs, ldtr, tr; /* 0x68 */
	struct boot_table_register gdtr;	   /* 0x78 */
	struct boot_table_register idtr;	   /* 0x82 */
	uint32_t cpu_index;			   /* 0x8c, set by the loader: 0 is the boot CPU */
	uint64_t ssp; /* 0x90 shadow-stack pointer; the core itself runs with CR4.CET = 0 */
};

struct boot_info {
	uint64_t magic;
	uint32_t info_bytes; /* sizeof(struct boot_info) on the loader's side */
	uint32_t cpu_count;
	uint64_t hv_base;     /* 2 MiB aligned */
	uint64_t hv_bytes;    /* a multiple of 2 MiB; all of it is hidden from the guest */
	uint64_t image_bytes; /* of it the image, from hv_base, with .bss, page aligned */
	uint64_t core_entry;  /* virtual address of the entry point */
	uint64_t transition_cr3;

	struct boot_line serial;
	struct boot_line gdb;
	uint32_t serial_mode; /* enum boot_serial_mode */
	uint32_t log_level;   /* enum boot_log_level */
	uint32_t cpuid_named; /* 1: leaf 0x40000000 shows SolovisorHV */
	uint32_t debugcon;    /* 1: the log goes to port 0xe9, too */
	uint32_t gdb_waits;   /* 1: stop before the guest's first instruction */

	uint32_t range_count;
	uint32_t uses_vmmcall; /* set by CORE_PREPARE: VMMCALL is the hypercall, else VMCALL */
	struct boot_range ranges[BOOT_MAX_RANGES];

	/* All that is needed of ACPI later, copied because an OS may reuse the tables' memory. */
	uint64_t reset_register; /* FADT RESET_REG address if in I/O space, else 0 */
	uint32_t reset_value;
	uint32_t tsc_khz; /* measured by the loader */

	struct boot_sleep sleep;
	struct boot_sleep power_off; /* only registers, which lead to S5 and are not trapped */

	char error[BOOT_ERROR_CHARS]; /* why a request failed: one line, no newline */
};

/*
 * The entry point, System V calling convention, interrupts disabled. `context` is NULL for CORE_PREPARE.
 * Returns an enum core_status.
 */
typedef uint64_t(__attribute__((sysv_abi)) * core_entry_t)(uint64_t request, struct boot_info *info,
							   struct boot_cpu_context *context);

_Static_assert(sizeof(struct boot_cpu_context) == 0x98, "boot/trampoline.asm knows these offsets");

#endif
