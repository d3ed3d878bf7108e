"""The environment variables of every job: they make the bits of a model independent of the machine's processor.

numpy, scipy and OpenBLAS choose their loops by the processor: sums with AVX-512 differ in the last bit from sums with
AVX2, and so does every model that is fit on them. The jobs use AVX2 on any x86-64 processor that has it, which all
instance types of SageMaker do. The number of threads changes no bit (`ml.steps.job_runner`).

Source: OpenBLAS, "Runtime variables" (OPENBLAS_CORETYPE); numpy, "CPU build options", "Runtime dispatch"
(NPY_DISABLE_CPU_FEATURES; the names are those of numpy 2.4 and later).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

JOB_ENVIRONMENT: Mapping[str, str] = MappingProxyType(
    {
        "OPENBLAS_CORETYPE": "Haswell",
        "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR",
    }
)
