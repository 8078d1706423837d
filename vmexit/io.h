/* SPDX-License-Identifier: BSD-2-Clause */
/* Accesses to the few I/O ports that are trapped: those by which the machine goes to sleep, and the UARTs that are ours. */
#ifndef VMEXIT_IO_H
#define VMEXIT_IO_H

#include "vmexit/exit.h"

/* For the bitmaps. An access of several bytes exits if any of them is trapped. */
bool io_traps_port(const struct vm *vm, uint16_t port);
bool io_traps_any(const struct vm *vm);

enum exit_verdict io_exit(struct vcpu *vcpu, const struct exit_info *exit);

#endif
