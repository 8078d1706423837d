/* SPDX-License-Identifier: BSD-2-Clause */
/* Events whose delivery meets a fault: each kind of event with each kind of obstacle. */
#ifndef TESTS_GUESTS_FACTS_EXCEPTIONS_DELIVERY_H
#define TESTS_GUESTS_FACTS_EXCEPTIONS_DELIVERY_H

void facts_delivery(void);

#endif
