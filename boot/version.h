/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef BOOT_VERSION_H
#define BOOT_VERSION_H

#define SOLOVISOR_VERSION "0.1"

#endif
