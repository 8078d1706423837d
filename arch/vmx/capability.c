/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/vmx/capability.h"

#include <stddef.h>

/*
 * What we ask of each word. `want` in the secondary word is what would make an instruction of the
 * guest #UD if it were left out. `never` names what old capability MSRs without TRUE variants could
 * force on us.
 */
static const struct vmx_request requests[VMX_WORD_COUNT] = {
	[VMX_WORD_PIN] = {
		.must = PIN_NMI_EXITING | PIN_VIRTUAL_NMIS,
		.later = PIN_EXTERNAL_INTERRUPT_EXITING, /* while stepping */
		.never = PIN_EXTERNAL_INTERRUPT_EXITING,
	},
	[VMX_WORD_PRIMARY] = {
		.must = PRIMARY_MSR_BITMAPS | PRIMARY_SECONDARY_CONTROLS | PRIMARY_IO_BITMAPS,
		.later = PRIMARY_NMI_WINDOW_EXITING | PRIMARY_MONITOR_TRAP_FLAG |
			 PRIMARY_MOV_DR_EXITING, /* while the debug registers are lent */
		.never = PRIMARY_HLT_EXITING | PRIMARY_INVLPG_EXITING | PRIMARY_MWAIT_EXITING |
			 PRIMARY_RDPMC_EXITING | PRIMARY_RDTSC_EXITING | PRIMARY_CR3_LOAD_EXITING |
			 PRIMARY_CR3_STORE_EXITING | PRIMARY_CR8_LOAD_EXITING |
			 PRIMARY_CR8_STORE_EXITING | PRIMARY_MOV_DR_EXITING | PRIMARY_IO_EXITING |
			 PRIMARY_MONITOR_EXITING | PRIMARY_PAUSE_EXITING,
	},
	[VMX_WORD_SECONDARY] = {
		.must = SECONDARY_EPT | SECONDARY_UNRESTRICTED_GUEST,
		.want = SECONDARY_VPID | SECONDARY_RDTSCP | SECONDARY_INVPCID | SECONDARY_XSAVES |
			SECONDARY_USER_WAIT | SECONDARY_PCONFIG,
	},
	[VMX_WORD_EXIT] = {
		.must = EXIT_SAVE_DEBUG_CONTROLS | EXIT_HOST_64BIT | EXIT_SAVE_PAT | EXIT_LOAD_PAT |
			EXIT_SAVE_EFER | EXIT_LOAD_EFER,
		.want = EXIT_CLEAR_BNDCFGS | EXIT_CLEAR_LBR_CTL | EXIT_LOAD_CET,
		.never = EXIT_ACK_INTERRUPT,
	},
	[VMX_WORD_ENTRY] = {
		.must = ENTRY_LOAD_DEBUG_CONTROLS | ENTRY_LOAD_PAT | ENTRY_LOAD_EFER,
		.want = ENTRY_LOAD_BNDCFGS | ENTRY_LOAD_CET | ENTRY_LOAD_LBR_CTL,
		.later = ENTRY_IA32E_GUEST,
		.never = ENTRY_IA32E_GUEST,
	},
};

/* A capability MSR: low half, bits that cannot be 0; high half, bits that can be 1. */
static uint32_t forced_ones(uint64_t capability)
{
	return (uint32_t)capability;
}

static uint32_t allowed_ones(uint64_t capability)
{
	return (uint32_t)(capability >> 32);
}

bool vmx_word_choose(uint64_t capability, const struct vmx_request *request, uint32_t *out,
		     uint32_t *refused, uint32_t *forced)
{
	uint32_t allowed = allowed_ones(capability);

	*out = ((request->must | request->want) & allowed) | forced_ones(capability);
	*refused = (request->must | request->later) & ~allowed;
	*forced = request->never & forced_ones(capability);
	return *refused == 0 && *forced == 0;
}

/*
 * State that is loaded at entry but not cleared at exit (or the other way round) would leak: both
 * or none.
 */
static void pair(struct vmx_controls *controls, uint32_t entry, uint32_t exit)
{
	if ((controls->word[VMX_WORD_ENTRY] & entry) != 0 &&
	    (controls->word[VMX_WORD_EXIT] & exit) != 0)
		return;
	controls->word[VMX_WORD_ENTRY] &= ~entry;
	controls->word[VMX_WORD_EXIT] &= ~exit;
}

bool vmx_controls_choose(const struct vmx_capability *capability, struct vmx_controls *out,
			 struct vmx_refusal *why)
{
	for (unsigned i = 0; i < VMX_WORD_COUNT; i++) {
		uint32_t refused, forced;

		if (!vmx_word_choose(capability->control[i], &requests[i], &out->word[i], &refused,
				     &forced)) {
			why->word = (enum vmx_word)i;
			why->forced = refused == 0;
			why->bits = why->forced ? forced : refused;
			return false;
		}
	}
	pair(out, ENTRY_LOAD_BNDCFGS, EXIT_CLEAR_BNDCFGS);
	pair(out, ENTRY_LOAD_LBR_CTL, EXIT_CLEAR_LBR_CTL);
	pair(out, ENTRY_LOAD_CET, EXIT_LOAD_CET);
	return true;
}

bool vmx_controls_allowed(const struct vmx_capability *capability,
			  const struct vmx_controls *controls, struct vmx_refusal *why)
{
	for (unsigned i = 0; i < VMX_WORD_COUNT; i++) {
		uint32_t set = controls->word[i] | requests[i].later;
		uint32_t refused = set & ~allowed_ones(capability->control[i]);
		uint32_t forced = forced_ones(capability->control[i]) & ~controls->word[i];

		if (refused == 0 && forced == 0)
			continue;
		why->word = (enum vmx_word)i;
		why->forced = refused == 0;
		why->bits = why->forced ? forced : refused;
		return false;
	}
	return true;
}

const char *vmx_word_name(enum vmx_word word)
{
	static const char *const names[VMX_WORD_COUNT] = {
		[VMX_WORD_PIN] = "pin-based",	    [VMX_WORD_PRIMARY] = "primary",
		[VMX_WORD_SECONDARY] = "secondary", [VMX_WORD_EXIT] = "VM-exit",
		[VMX_WORD_ENTRY] = "VM-entry",
	};

	return (unsigned)word < VMX_WORD_COUNT ? names[word] : "unknown";
}

const char *vmx_ept_missing(uint64_t ept_vpid)
{
	static const struct {
		uint64_t bits;
		const char *what;
	} needs[] = {
		{ EPT_CAP_4_LEVELS, "4-level tables" },
		{ EPT_CAP_WRITE_BACK, "write-back tables" },
		{ EPT_CAP_2M_PAGES, "2 MiB pages" },
		{ EPT_CAP_INVEPT, "INVEPT" },
	};

	for (unsigned i = 0; i < ARRAY_COUNT(needs); i++) {
		if ((ept_vpid & needs[i].bits) == 0)
			return needs[i].what;
	}
	if ((ept_vpid & (EPT_CAP_INVEPT_SINGLE | EPT_CAP_INVEPT_ALL)) == 0)
		return "an INVEPT type";
	return NULL;
}

unsigned vmx_ept_levels(uint64_t ept_vpid, unsigned maxphyaddr)
{
	return maxphyaddr > 48 && (ept_vpid & EPT_CAP_5_LEVELS) != 0 ? 5 : 4;
}

uint64_t vmx_eptp(uint64_t root, unsigned levels)
{
	const uint64_t write_back = 6;

	return root | (uint64_t)(levels - 1) << 3 | write_back;
}

uint64_t vmx_cr_fix(uint64_t value, uint64_t fixed0, uint64_t fixed1, uint64_t exempt)
{
	return (value | (fixed0 & ~exempt)) & (fixed1 | exempt);
}
