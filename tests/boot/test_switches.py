# SPDX-License-Identifier: BSD-2-Clause
"""The hypervisor's single steps over task switches and in virtual-8086 mode: the guest sees none of them."""
import pytest
from test_probes import run

full = pytest.mark.full


@pytest.mark.seconds(15)
@pytest.mark.parametrize("where,arguments", [
    pytest.param("qemu", "lax"), pytest.param("vtx", "bochs", marks=full),
    pytest.param("svm", "bochs no-vm86 lax-gate", marks=full)])
def test_switches(vm, where, arguments):
    run(vm, where, 1, "switches", arguments)
