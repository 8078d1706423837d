/* SPDX-License-Identifier: BSD-2-Clause */
/* Triple faults, after which nothing else comes. */
#ifndef TESTS_GUESTS_FACTS_EXCEPTIONS_RESET_H
#define TESTS_GUESTS_FACTS_EXCEPTIONS_RESET_H

void facts_reset(const char *options);

#endif
