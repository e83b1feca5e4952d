"""A class with planted copies: who is similar to whom is known."""

from __future__ import annotations

import random
from dataclasses import dataclass

from benchmarks.similarity_classes import obfuscate
from benchmarks.similarity_classes.generate import submission
from benchmarks.similarity_classes.obfuscate import HARD, STANDARD, Files
from benchmarks.similarity_classes.rewrite import PARTIAL as REWRITTEN_PARTS
from benchmarks.similarity_classes.rewrite import WHOLE as REWRITTEN

PARTIAL = 0.3  # of the lines of a partial copy of the standard kind


@dataclass(frozen=True, slots=True)
class PlantedClass:
    """`submissions`: name → files; `planted`: pair (sorted) → how it was obfuscated."""

    submissions: dict[str, Files]
    planted: dict[tuple[str, str], str]


def standard_class(number: int, seed: int, lines: int = 500) -> PlantedClass:
    """Every obfuscation once or twice: verbatim … 30 % partial."""
    whole = dict(STANDARD)
    partial = {f"{PARTIAL:.0%} partial": (PARTIAL, obfuscate.renames)}
    return _planted(number, seed, lines, [*whole.items(), *partial.items()] * 2)


def hard_class(number: int, seed: int, lines: int = 500) -> PlantedClass:
    """15 to 30 % partial with everything, 70 % dead code, expressions in temporaries."""
    partial = [
        (f"{share:.0%} partial, {name}", (share, everything))
        for share in (0.15, 0.2, 0.25, 0.3)
        for name, everything in (
            ("everything", obfuscate.all_combined),
            ("everything and temporaries", obfuscate.all_and_temporaries),
        )
    ]
    return _planted(number, seed, lines, [*partial, *HARD.items(), *partial, *HARD.items()])


def rewritten_class(number: int, seed: int, lines: int = 500) -> PlantedClass:
    """Obfuscators of another kind, each on a whole program, and three mixtures on 30 % of one."""
    partial = {
        f"{PARTIAL:.0%} partial, {name}": (PARTIAL, change)
        for name, change in REWRITTEN_PARTS.items()
    }
    return _planted(number, seed, lines, [*REWRITTEN.items(), *partial.items()])


def minified_class(
    number: int, seed: int, lines: int, minify: obfuscate.Obfuscator
) -> PlantedClass:
    """Eight copies that a published tool has rewritten."""
    return _planted(number, seed, lines, [("minified", minify)] * 8)


def _planted(
    number: int,
    seed: int,
    lines: int,
    plans: list[tuple[str, obfuscate.Obfuscator | tuple[float, obfuscate.Obfuscator]]],
) -> PlantedClass:
    rng = random.Random(f"class {seed}")
    whole = sum(not isinstance(plan, tuple) for _, plan in plans)
    names = [f"s{i:03}" for i in range(number)]
    submissions = {name: submission(f"{seed}/{name}", lines) for name in names[: number - whole]}
    free = list(submissions)
    rng.shuffle(free)
    copies = iter(names[number - whole :])
    planted = {}
    if len(free) < 2 * len(plans) - whole:
        raise ValueError(f"a class of {number} is too small for {len(plans)} planted pairs")
    for label, plan in plans:
        source = free.pop()
        if isinstance(plan, tuple):
            share, change = plan
            copy = free.pop()
            taken = change(obfuscate.excerpt(submissions[source], rng, share), rng)
            submissions[copy] = obfuscate.grafted(submissions[copy], taken, rng)
        else:
            copy = next(copies)
            submissions[copy] = plan(submissions[source], rng)
        first, second = sorted((source, copy))
        planted[first, second] = label
    return PlantedClass(submissions, planted)
