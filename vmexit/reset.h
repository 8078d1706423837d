/* SPDX-License-Identifier: BSD-2-Clause */
/* The machine resets: where the guest is at the firmware's first instruction, which is to find a machine without us. */
#ifndef VMEXIT_RESET_H
#define VMEXIT_RESET_H

struct vcpu;

/* By ACPI's reset register if there is one, else as PCs do it. */
_Noreturn void reset_machine(const struct vcpu *vcpu);

#endif
