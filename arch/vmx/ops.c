/* SPDX-License-Identifier: BSD-2-Clause */
/* The VT-x side of the vendor seam (core/vendor.h). */
#include "arch/vmx/run.h"

#include "arch/vmx/dump.h"
#include "arch/vmx/enable.h"
#include "arch/vmx/events.h"
#include "arch/vmx/regs.h"
#include "arch/vmx/setup.h"
#include "arch/vmx/state.h"
#include "vmexit/wake.h"

const struct vendor_ops vmx_ops = {
	.name = "VT-x",
	.probe = vmx_probe,
	.vm_init = vmx_vm_init,
	.vcpu_alloc = vmx_vcpu_alloc,
	.cpu_enable = vmx_cpu_enable,
	.cpu_disable = vmx_cpu_disable,
	.vcpu_reload = vmx_vcpu_reload,
	.vcpu_init = vmx_vcpu_init,
	.run = vmx_run,
	.wake = wake_cpu,
	.regs_fetch = vmx_regs_fetch,
	.msr_read = vmx_msr_read,
	.msr_write = vmx_msr_write,
	.vcpu_reset = vmx_vcpu_reset,
	.activity_changed = vmx_activity_changed,
	.take_interrupts = vmx_take_interrupts,
	.flush_tdp = vmx_flush_tdp,
	.flush_linear = vmx_flush_linear,
	.set_tdp_root = vmx_set_tdp_root,
	.set_single_step = vmx_set_single_step,
	.debug_lent = vmx_debug_lent,
	.dump = vmx_dump,
};
