/* SPDX-License-Identifier: BSD-2-Clause */
/* The common structures: the one guest, its vCPUs, and the CPU each of them is pinned to. */
#ifndef CORE_VCPU_H
#define CORE_VCPU_H

#include <stdatomic.h>

#include "boot/boot_info.h"
#include "core/debug_loan.h"
#include "core/events.h"
#include "core/kick.h"
#include "core/regs.h"
#include "core/sleep.h"
#include "core/stop.h"
#include "mm/page_format.h"
#include "mm/page_track.h"
#include "mm/pool.h"
#include "mm/tdp_view.h"

#define VM_MAX_CPUS 256u

enum activity {
	ACTIVITY_RUNNING,
	ACTIVITY_WAIT_SIPI,
};

struct vm;
struct cpu;

/* Statistics that `stats` will show; exits by enum exit_kind. */
#define VCPU_EXIT_KINDS 40u

struct vcpu {
	struct regs regs; /* first: the entry stubs find the GPRs at the vcpu's address */
	struct events events;
	struct page_format gva_format; /* of the guest's tables, kept from walk to walk */
	struct vm *vm;
	struct cpu *cpu;
	void *backend; /* struct vmx_vcpu or struct svm_vcpu */
	uint32_t index;
	uint32_t apic_id;	     /* initial one, CPUID leaf 1 or 0xb */
	uint64_t apic_base;	     /* the guest's IA32_APIC_BASE */
	uint64_t apic_base_hardware; /* differs while that APIC is off (vmexit/apic_base.h) */
	gpa_t apic_gpa;		     /* where the guest finds the registers of its xAPIC */
	bool apic_followed;	     /* mapping and protection agree with it */
	uint64_t apic_page_end; /* last byte of the page whose writes are trapped, 0 if none are */
	enum activity activity;
	_Atomic(uint32_t) online; /* runs the guest from now on: NMIs reach us, not the firmware */
	_Atomic(uint32_t) in_guest; /* executes it, or is past the last look at the kicks */
	struct kick_box kick;	    /* set by others */
	uint64_t sipi_tsc;	    /* VT-x: when it was started, until an INIT came */
	_Atomic(uint32_t) startup;  /* core/startup.h: INIT and SIPI on their way */
	bool trial;		    /* leave the run loop at the first exit */
	uint64_t exit_counts[VCPU_EXIT_KINDS];
	uint64_t hidden_writes; /* to the hypervisor's memory, all dropped */
	uint64_t icr_carried;	/* x2APIC mode: the command in it if it was executed in software */
	bool icr_is_carried;
	uint32_t apic_ldr, apic_dfr; /* what the guest wrote last, where its writes are trapped */
	uint64_t mtrr_digest; /* (l) of its MTRRs when it last finished a change; 0: not yet */
	uint8_t decoded_bytes; /* a handler has decoded the instruction that exited: its length, else 0 */
	uint8_t step_kind; /* enum step_kind (vmexit/step.h): a native single step is under way */
	gpa_t step_gpa;	   /* the frame that the step works on */
	struct tdp_view step_view;	       /* the guest-physical map during it */
	uint8_t *step_scratch;		       /* the page that stands in for a frame there */
	struct page_track_writer track_writer; /* tracked frames that are open there */
	struct stop_seat seat;		       /* where it stands while the debugger looks */
	struct stop_event stop_event;	       /* it is to lead a stop before it enters the guest */
	uint8_t debug_step; /* enum debug_step (vmexit/debug_step.h): the debugger's single step */
	uint64_t debug_step_rip; /* where that began */
	/* On and on while RIP is from here to before there. */
	uint64_t debug_step_from, debug_step_to;
	struct debug_loan loan; /* of its debug registers to the debugger */
};

/* Text of a soft failure, one line. */
struct failure {
	char text[BOOT_ERROR_CHARS];
};

/* Firmware's values of what the switch to the host changes. */
struct cpu_saved_state {
	uint64_t cr0, cr4, efer, pat;
	uint64_t fs_base, gs_base;
	uint64_t dr7;
	struct segment segments[SEGMENT_COUNT]; /* as the firmware's GDT describes them */
};

/* The CPU itself: everything that exists once a CPU whoever runs on it. */
struct cpu {
	struct cpu *self; /* first: GS:0 */
	struct vcpu *vcpu;
	uint64_t stack_top;
	uint32_t index;
	uint32_t apic_id;
	uint64_t nmi_count;	     /* taken in host mode; only the NMI handler writes it */
	uint64_t nmi_handled;	     /* how many of them the run loop has looked at */
	volatile uint8_t *apic_page; /* the local APIC's registers (xAPIC mode) */
	uint64_t gdt[32];
	uint32_t tss[26];
	bool enabled;			 /* VMX or SVM is on */
	bool drops_interrupts;		 /* one that comes now is forgotten */
	struct boot_cpu_context context; /* (b) of the loader's call */
	struct cpu_saved_state saved;
	struct failure failure; /* why the last request failed */
};

/* (b) written by the boot CPU before the others start, then constant; (l) under `lock` */
struct vm {
	struct tdp_mmu tdp;		 /* (l) */
	struct pool tdp_pool;		 /* (l) */
	uint32_t vcpu_count;		 /* (b) */
	struct vcpu *vcpus[VM_MAX_CPUS]; /* (b) */
	_Atomic(uint32_t) lock;
	struct page_track track; /* (l) */
	uint64_t mtrr_digest;	 /* (l) of the MTRRs at the start; 0: not needed yet */
	uint8_t *msr_bitmap;	 /* (b) VMX MSR bitmap or SVM MSRPM */
	hpa_t apic_frame;	 /* (b) of zeros, where an APIC is that is off for the guest */
	hpa_t stub_root;	 /* (b) SVM: map of the wait-for-SIPI stub */
	uint64_t reset_register; /* (b) ACPI RESET_REG in I/O space or 0 */
	uint8_t reset_value;	 /* (b) */
	struct boot_sleep sleep_machine; /* (b) what puts the machine into S3 */
	struct boot_sleep power_off;	 /* (b) what switches it off */
	struct sleep sleep;		 /* and who is how far on the way there and back */
	struct stop stop;		 /* all CPUs stand still for the debugger */
	struct debug_slots debug;	 /* its breakpoints in debug registers */
	uint8_t *io_bitmap; /* (b) VMX I/O bitmaps or SVM IOPM; NULL: no port is trapped */
};

static inline struct cpu *cpu_self(void)
{
	struct cpu *self;

	asm volatile("mov %%gs:0, %0" : "=r"(self));
	return self;
}

#endif
