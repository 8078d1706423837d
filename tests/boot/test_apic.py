# SPDX-License-Identifier: BSD-2-Clause
"""The local APIC in states that operating systems seldom choose."""
import pytest
from test_probes import run

full = pytest.mark.full


@pytest.mark.seconds(10)
@pytest.mark.parametrize("where,changes", [
    ("qemu", 20), pytest.param("qemu", 1000, marks=full),
    pytest.param("vtx", 50, marks=full), pytest.param("svm", 50, marks=full)])
def test_apic_off(vm, where, changes):
    """A CPU whose APIC is off, soft-disabled or elsewhere is reached, and reaches the others."""
    _, good = run(vm, where, 2, "apic_off", f"changes {changes}")
    assert good == 12
