/* SPDX-License-Identifier: BSD-2-Clause */
/* Capstone as an oracle for the decoder. */
#ifndef TESTS_ORACLE_CAPSTONE_ORACLE_H
#define TESTS_ORACLE_CAPSTONE_ORACLE_H

#include "tests/oracle/sample.h"

/* False: Capstone does not start. */
bool capstone_open(void);

/* Fill sample->said. */
void capstone_say(struct sample *sample);

#endif
