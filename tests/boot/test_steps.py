# SPDX-License-Identifier: BSD-2-Clause
"""The hypervisor's single steps over what saves or loads RFLAGS, raises or faults: the guest sees none of them."""
import pytest
from test_probes import run

full = pytest.mark.full


@pytest.mark.seconds(30)
@pytest.mark.parametrize("where", ["qemu", "vtx", pytest.param("svm", marks=full)])
def test_steps(vm, where):
    run(vm, where, 1, "steps", "" if where == "qemu" else "bochs")
