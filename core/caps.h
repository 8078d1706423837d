/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two common globals: what this hypervisor offers on this machine, and what the CPU had when we came.
 * Both are written by the boot CPU in CORE_PREPARE and constant from then on.
 */
#ifndef CORE_CAPS_H
#define CORE_CAPS_H

#include <stdbool.h>
#include <stdint.h>

struct hv_caps {
	bool vmx;	/* else SVM */
	bool hides_vmx; /* what belongs to VMX is not for the guest */
	bool hides_svm; /* what belongs to SVM is not for the guest */
	bool maps_types; /* memory types are in the guest map and follow the MTRRs, which else work by themselves */
	bool hides_trace; /* Intel PT writes to physical addresses, past the guest map */
	bool cpuid_named; /* leaf 0x40000000 shows the name */
	bool nrip_save;	  /* SVM: the CPU stores the next RIP */
	bool decode_assists; /* for what cannot be fetched: QEMU has none, and decoding works nearly everywhere */
	bool traps_apic; /* INIT and SIPI are carried in software (AMD-V) */
	bool flush_by_asid;
	bool vmcb_clean;
	bool eraps; /* SVM: the return predictor is cleared with CR3, and asked to be where we write that */
	bool input_timer; /* VMX: the preemption timer, which can make the guest exit now and then */
	bool virtual_nmi; /* VMX virtual NMIs or SVM vNMI */
	bool exec_only_pages;
	bool huge_pages; /* 1 GiB pages in EPT or NPT */
	bool host_huge_pages;
	bool upper_bit8; /* AMD: bit 8 of PML4Es and PML5Es is reserved */
	uint8_t tdp_levels;
	uint8_t host_levels;
	uint8_t maxphyaddr;
	uint8_t guest_maxphyaddr; /* what the guest-physical map reaches of it: what CPUID shows */
	uint32_t cpuid_basic_max; /* the highest leaves */
	uint32_t cpuid_extended_max;
};

struct host_values {
	bool xsave;
	bool smap;
	bool smep;
	bool umip;
	uint32_t tsc_khz;
	uint32_t cpu_signature; /* CPUID.1:EAX, what EDX holds after INIT */
	uint32_t dr7_bits;	/* that keep what is written to them */
};

extern struct hv_caps hv_caps;
extern struct host_values host_values;

#endif
