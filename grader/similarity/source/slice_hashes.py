"""Hashes of slices of a sequence of 64-bit tokens, all of them at once.

With prefix sums P[i] = Σ_{j<i} t_j · b^j (mod 2^64) the slice [s, e) has the polynomial hash
(P[e] − P[s]) · b^(−s) wherever it stands (Karp & Rabin, IBM J. Res. Dev. 31, 1987); b is odd, so
it has an inverse. Tokens are themselves hashes, and a last mixing step spreads the bits, so that
minima of windows (winnowing) are taken at random places.
"""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from grader.similarity.mix import mixed

Hashes = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.signedinteger]

_BASE = 0x9E3779B97F4A7C15  # odd; 2^64 / golden ratio
_INVERSE = pow(_BASE, -1, 1 << 64)


def text_hash(text: str) -> int:
    """64 bits of BLAKE2b: the same in every process, on every machine and in every year."""
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little")


class SliceHashes:
    """Prefix sums of one sequence."""

    def __init__(self, tokens: Hashes) -> None:
        count = len(tokens)
        self._sums = np.zeros(count + 1, np.uint64)
        powers = _powers(_BASE, count + 1)
        np.cumsum(tokens * powers[:count], out=self._sums[1:])
        self._inverses = _powers(_INVERSE, count + 1)

    def __call__(self, starts: Indices, ends: Indices) -> Hashes:
        """The hash of every slice [start, end)."""
        return mixed((self._sums[ends] - self._sums[starts]) * self._inverses[starts])

    def grams(self, k: int) -> Hashes:
        """The hashes of all slices of `k` tokens; (n − k + 1,), empty when n < k."""
        count = len(self._sums) - 1
        if count < k:
            return np.zeros(0, np.uint64)
        sums = self._sums[k:] - self._sums[: count - k + 1]
        return mixed(sums * self._inverses[: count - k + 1])


def _powers(base: int, count: int) -> Hashes:
    powers = np.full(count, base, np.uint64)
    powers[0] = 1
    return np.cumprod(powers, dtype=np.uint64)
