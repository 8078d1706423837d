/* SPDX-License-Identifier: BSD-2-Clause */
/* Exceptions that instructions meet. */
#ifndef TESTS_GUESTS_FACTS_EXCEPTIONS_HARDWARE_H
#define TESTS_GUESTS_FACTS_EXCEPTIONS_HARDWARE_H

void facts_hardware(void);

#endif
