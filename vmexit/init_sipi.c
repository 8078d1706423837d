/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmexit/init_sipi.h"

#include "arch/x86/apic.h"
#include "arch/x86/insn.h"
#include "core/caps.h"
#include "core/kick.h"
#include "core/log.h"
#include "core/startup.h"
#include "core/vendor.h"
#include "vmexit/reset.h"
#include "vmexit/step.h"

#define RESET_VECTOR_BASE UINT64_C(0xffff0000)
#define RESET_VECTOR_IP	  UINT64_C(0xfff0)
#define RESET_VECTOR_CS	  0xf000

#define RIGHTS_DATA16	  (SEGMENT_P | SEGMENT_S | 0x3u)
#define RIGHTS_CODE16	  (SEGMENT_P | SEGMENT_S | 0xbu)

/* From the SIPI's exit to the INIT's, with the entry between them. */
#define LATE_INIT_US	  100u

static void reset_segments(struct vcpu *vcpu)
{
	struct segment segment = { .limit = 0xffff, .rights = RIGHTS_DATA16 };

	for (unsigned i = 0; i < SEGMENT_COUNT; i++)
		segment_write(vcpu, (enum segment_index)i, &segment);
	segment.rights = SEGMENT_P | SEGMENT_TYPE_LDT;
	segment_write(vcpu, SEGMENT_LDTR, &segment);
	segment.rights = SEGMENT_P | SEGMENT_TYPE_TSS_BUSY;
	segment_write(vcpu, SEGMENT_TR, &segment);
	segment = (struct segment){ RESET_VECTOR_BASE, 0xffff, RIGHTS_CODE16, RESET_VECTOR_CS };
	segment_write(vcpu, SEGMENT_CS, &segment);
}

/* SDM: "IA-32 and Intel 64 Processor States Following Power-up, Reset, or INIT". */
static void reset_registers(struct vcpu *vcpu)
{
	static const uint64_t no_pdptr[4], no_address[DEBUG_REGS];
	struct table_register table = { 0, 0xffff };
	uint64_t cr0 = (cr0_read(vcpu) & (CR0_CD | CR0_NW)) | CR0_ET;

	for (unsigned i = 0; i < REG_GPR_COUNT; i++)
		gpr_write_raw(vcpu, i, 0);
	gpr_write_raw(vcpu, REG_RDX, host_values.cpu_signature);
	rip_write(vcpu, RESET_VECTOR_IP);
	rflags_write(vcpu, RFLAGS_FIXED);
	cr0_write(vcpu, cr0);
	cr2_write(vcpu, 0);
	cr3_write(vcpu, 0);
	cr4_write(vcpu, 0);
	efer_write(vcpu, 0);
	debug_registers_write(vcpu, no_address, DR6_INIT, DR7_INIT);
	pdptr_write(vcpu, no_pdptr);
	ssp_write(vcpu, 0);
	interrupt_shadow_write(vcpu, 0);
	nmi_blocked_write(vcpu, false);
	gdtr_write(vcpu, table);
	idtr_write(vcpu, table);
	reset_segments(vcpu);
}

void vcpu_reset_but_apic(struct vcpu *vcpu)
{
	step_abandon(vcpu);
	reset_registers(vcpu);
	vcpu->events = (struct events){ 0 };
	vendor->vcpu_reset(vcpu);
}

static void reset_apic(struct vcpu *vcpu)
{
	struct cpu *cpu = vcpu->cpu;

	apic_reset(vcpu->apic_base, cpu->apic_page);
	cpu->drops_interrupts = true;
	apic_drop_pending(vcpu->apic_base, cpu->apic_page, vendor->take_interrupts);
	cpu->drops_interrupts = false;
	vcpu->apic_ldr = 0;
	vcpu->apic_dfr = APIC_DFR_FLAT;
}

static void reset_vcpu(struct vcpu *vcpu)
{
	vcpu_reset_but_apic(vcpu);
	reset_apic(vcpu);
	vcpu->icr_is_carried = false;
}

void vcpu_set_activity(struct vcpu *vcpu, enum activity activity)
{
	vcpu->activity = activity;
	vendor->activity_changed(vcpu);
	/* One that waits for a SIPI does not park: from here on it does. */
	if (activity == ACTIVITY_RUNNING)
		atomic_fetch_or(&vcpu->kick.reasons, KICK_DEBUG);
}

static void start_at(struct vcpu *vcpu, uint8_t vector)
{
	struct segment cs = { (uint64_t)vector << 12, 0xffff, RIGHTS_CODE16,
			      (uint16_t)(vector << 8) };

	segment_write(vcpu, SEGMENT_CS, &cs);
	rip_write(vcpu, 0);
	vcpu_set_activity(vcpu, ACTIVITY_RUNNING);
}

static bool is_boot_cpu(const struct vcpu *vcpu)
{
	return (vcpu->apic_base & APIC_BASE_BSP) != 0;
}

/*
 * The boot CPU would be at the reset vector: the firmware begins anew, knows nothing of the memory that is not there for it,
 * and does not come to its end. So the machine is reset for it.
 */
static void take_init(struct vcpu *vcpu)
{
	if (is_boot_cpu(vcpu)) {
		log_set_synchronous();
		log_info("cpu %u: INIT to the boot CPU, the machine resets", vcpu->index);
		reset_machine(vcpu);
	}
	reset_vcpu(vcpu);
	vcpu_set_activity(vcpu, ACTIVITY_WAIT_SIPI);
}

/*
 * In wait-for-SIPI an INIT is blocked, and comes when the SIPI has started the CPU: it would be taken away again, where an
 * INIT more does nothing to a CPU that waits on the bare machine. SDM: "Other Causes of VM Exits".
 */
static bool came_before_sipi(struct vcpu *vcpu)
{
	const uint64_t start = vcpu->sipi_tsc;

	vcpu->sipi_tsc = 0;
	return start != 0 && rip_read(vcpu) == 0 &&
	       rdtsc() - start < (uint64_t)host_values.tsc_khz * LATE_INIT_US / 1000;
}

enum exit_verdict init_exit(struct vcpu *vcpu)
{
	if (!came_before_sipi(vcpu))
		take_init(vcpu);
	return VERDICT_RESUME;
}

enum exit_verdict sipi_exit(struct vcpu *vcpu, uint8_t vector)
{
	/* One of ours, as an NMI does not reach a CPU that waits for a SIPI: the kick is looked at before the entry. */
	if (sleep_is_leaving(&vcpu->vm->sleep))
		return VERDICT_RESUME;
	start_at(vcpu, vector);
	vcpu->sipi_tsc = rdtsc();
	return VERDICT_RESUME;
}

void startup_apply(struct vcpu *vcpu)
{
	uint8_t vector;

	switch (startup_take(&vcpu->startup, is_boot_cpu(vcpu), &vector)) {
	case STARTUP_NOTHING:
		break;
	case STARTUP_RESET:
		take_init(vcpu);
		break;
	case STARTUP_RESET_AND_START:
		take_init(vcpu);
		start_at(vcpu, vector);
		break;
	case STARTUP_START:
		start_at(vcpu, vector);
		break;
	}
}

/* SDM: "Determining IPI Destination". */
static bool matches_logical(const struct vcpu *sender, const struct vcpu *target,
			    uint32_t destination)
{
	uint32_t ldr = target->apic_ldr >> 24;

	if (apic_mode(sender->apic_base) == APIC_X2APIC)
		return destination == 0xffffffff ||
		       (destination >> 16 == target->apic_id >> 4 &&
			(destination & BIT32(target->apic_id & 15)) != 0);
	if (destination == 0xff)
		return true;
	if (target->apic_dfr >> 28 == 0xf) /* flat model */
		return (destination & ldr) != 0;
	return destination >> 4 == ldr >> 4 && (destination & ldr & 0xf) != 0;
}

static bool is_target(const struct vcpu *sender, const struct vcpu *target, uint32_t low,
		      uint32_t destination)
{
	uint32_t broadcast = apic_mode(sender->apic_base) == APIC_X2APIC ? 0xffffffff : 0xff;

	switch (low & ICR_SHORTHAND) {
	case ICR_SHORTHAND_SELF:
		return target == sender;
	case ICR_SHORTHAND_ALL:
		return true;
	case ICR_SHORTHAND_OTHERS:
		return target != sender;
	default:
		break;
	}
	if ((low & ICR_LOGICAL) != 0)
		return matches_logical(sender, target, destination);
	return destination == broadcast || destination == target->apic_id;
}

static void carry(struct vcpu *target, uint32_t low)
{
	switch (low & ICR_MODE) {
	case ICR_MODE_INIT:
		if (startup_send_init(&target->startup))
			kick_send(target, KICK_ACTIVITY);
		break;
	case ICR_MODE_STARTUP:
		if (startup_send_sipi(&target->startup, (uint8_t)(low & ICR_VECTOR)))
			kick_send(target, KICK_ACTIVITY);
		break;
	default: /* the guest's own NMI: as a kick, or nobody could tell the two apart when they coalesce */
		kick_send(target, KICK_GUEST_NMI);
		break;
	}
}

void icr_carry(struct vcpu *vcpu, uint64_t icr)
{
	uint32_t low = (uint32_t)icr, destination = (uint32_t)(icr >> 32);
	struct vm *vm = vcpu->vm;

	/* An INIT level de-assert does nothing to any CPU since the Pentium. */
	if ((low & ICR_MODE) == ICR_MODE_INIT && (low & ICR_LEVEL) != 0 && (low & ICR_ASSERT) == 0)
		return;
	for (uint32_t i = 0; i < vm->vcpu_count; i++) {
		if (is_target(vcpu, vm->vcpus[i], low, destination))
			carry(vm->vcpus[i], low);
	}
}
