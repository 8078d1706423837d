/* SPDX-License-Identifier: BSD-2-Clause */
/* Exits whose whole meaning is a line or two. */
#ifndef VMEXIT_SIMPLE_H
#define VMEXIT_SIMPLE_H

#include "vmexit/exit.h"

enum exit_verdict xsetbv_exit(struct vcpu *vcpu);
/* The quick way: for a caller who has seen CPL 0. */
enum exit_verdict xsetbv_cpl0_exit(struct vcpu *vcpu);
enum exit_verdict invd_exit(struct vcpu *vcpu);
enum exit_verdict virtualization_insn_exit(struct vcpu *vcpu);
enum exit_verdict exception_exit(struct vcpu *vcpu, const struct exit_info *exit);

#endif
