# SPDX-License-Identifier: BSD-2-Clause
"""What exits and booting may cost, in instructions (scripts/benchmark.py, `make bench`)."""
import benchmark
import pytest


def check_probes(kind, start):
    result = benchmark.measure_probes(kind, start)
    missing = [probe for probe, (_, budgets) in benchmark.PROBES.items()
               if kind in budgets and probe not in result["hosted"]]
    assert not missing
    assert not benchmark.over_budget(kind, result)


@pytest.mark.seconds(15)
def test_bench_probes_qemu(vm):
    check_probes("qemu", lambda esp: vm.qemu(esp, icount=True, timeout=180))


@pytest.mark.full
@pytest.mark.seconds(15)
@pytest.mark.parametrize("vendor", ["svm", "vtx"])
def test_bench_probes_bochs(vm, vendor):
    check_probes(vendor, lambda esp: vm.bochs(esp, vendor=vendor, timeout=180))


@pytest.mark.full
@pytest.mark.seconds(60)
def test_bench_boot(vm):
    def start(esp, **options):
        return vm.qemu(esp, icount=True, **options)

    bare = benchmark.measure_boot(False, start)
    hosted = benchmark.measure_boot(True, start)
    assert not bare["exits"]
    assert hosted["exits"]["cpuid"] > 0
    assert benchmark.boot_overhead(bare, hosted) <= benchmark.BOOT_BUDGET
