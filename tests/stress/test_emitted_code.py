"""What a processor may hide stands in the emitted code: fences, real loads, stores kept apart."""

from __future__ import annotations

import platform
import re
from typing import Any

import numpy as np

import shm_layout as shm
from tests.stress import kernels as k

X86 = platform.machine() == "x86_64"
FULL_FENCE = r"^\s+(mfence|lock\s)" if X86 else r"^\s+dmb\s+ish\b"
WRAPPER = r"@\"?(cfunc|cpython)\."
WORDS = np.zeros(k.LAYOUT.cells, np.int64)


def compiled(kernel: Any, *args: Any) -> tuple[str, str]:
    """(LLVM, assembly) of the kernel's own body, as compiled now for these arguments.

    From a fresh dispatcher: a cached kernel keeps no LLVM.
    """
    from numba import njit

    fresh = njit(kernel.py_func)
    fresh(*args)
    (signature,) = fresh.signatures
    name = kernel.py_func.__name__
    llvm = fresh.inspect_llvm(signature)
    functions = re.findall(r"^define[^\n]*\{\n.*?^\}", llvm, re.MULTILINE | re.DOTALL)
    heads = [function.split("(")[0] for function in functions]
    own = [i for i, head in enumerate(heads) if name in head and not re.search(WRAPPER, head)]
    assembly = fresh.inspect_asm(signature)
    return functions[own[0]].split("\n", 1)[1], assembly[: assembly.index(".Lfunc_end0")]


def test_arming_a_bell_is_fenced_before_the_last_look() -> None:
    llvm, assembly = compiled(shm.bell_arm, WORDS, k.BELL)
    assert "fence seq_cst" in llvm
    assert re.search(FULL_FENCE, assembly, re.MULTILINE)


def test_control_without_the_fence_the_code_has_none() -> None:
    llvm, assembly = compiled(k.arm_unfenced, WORDS, k.BELL)
    assert "fence" not in llvm
    assert not re.search(FULL_FENCE, assembly, re.MULTILINE)


def test_ringing_a_bell_is_fenced_after_publishing() -> None:
    llvm, assembly = compiled(shm.bell_ring, WORDS, k.BELL, -1)
    assert llvm.index("fence seq_cst") < llvm.index("load atomic")
    assert re.search(FULL_FENCE, assembly, re.MULTILINE)


def test_the_slot_s_stores_and_loads_carry_their_fences_in_order() -> None:
    body = np.zeros(shm.BODY, np.int64)
    store, _ = compiled(shm.slot_store, WORDS, k.SLOT, body, shm.BODY)
    assert store.count("fence release") == 1
    first, last = store.index("store atomic i64"), store.rindex("store atomic i64")
    assert first < store.index("fence release") < last
    assert re.search(r"store atomic i64 [^\n]*release", store)
    load, _ = compiled(shm.slot_load, WORDS, k.SLOT, body, shm.BODY)
    assert re.search(r"load atomic i64[^\n]* acquire", load)
    assert load.index("fence acquire") > load.index("load atomic i64")
    assert "monotonic" in load[load.index("fence acquire") :]  # the sequence is looked at again


def test_the_ring_s_entry_is_written_between_its_two_stamps() -> None:
    body = np.zeros(shm.ENTRY, np.int64)
    append, _ = compiled(shm.ring_append, WORDS, k.RING, k.ENTRIES, 1, body, shm.BODY)
    assert append.count("fence release") == 1
    assert len(re.findall(r"store atomic i64 [^\n]*release", append)) == 2  # stamp, tail
    read, _ = compiled(shm.ring_read, WORDS, k.RING, k.ENTRIES, 0, body, shm.BODY)
    assert "fence acquire" in read and re.search(r"load atomic i64[^\n]* acquire", read)


def loads_in_loops(llvm: str, pattern: str) -> int:
    """Loads that stand in a block which branches back to itself or to an earlier one."""
    blocks = re.split(r"^([\w.]+):", llvm, flags=re.MULTILINE)[1:]
    order = {name: i for i, name in enumerate(blocks[::2])}
    found = 0
    for name, text in zip(blocks[::2], blocks[1::2], strict=True):
        targets = re.findall(r"label %\"?([\w.]+)", text)
        if any(order.get(target, len(order)) <= order[name] for target in targets):
            found += len(re.findall(pattern, text))
    return found


def test_a_fenced_load_stays_in_its_loop_and_a_plain_one_is_hoisted_or_gone() -> None:
    fenced, _ = compiled(k.watch, WORDS, k.WORD, 100)
    plain, _ = compiled(k.watch_plain, WORDS, k.WORD, 100)
    assert loads_in_loops(fenced, r"load atomic") > 0
    assert loads_in_loops(plain, r"\bload i64") == 0
