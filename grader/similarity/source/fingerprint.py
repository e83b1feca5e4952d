"""One submission's Python → hashes: order-free features, winnowed k-grams, units.

Channel A, free of order: statements and calls (hashes of whole subtrees), and the shapes of calls
(callee, constants in any order), which survive when arguments are pulled out. Channel B, in order:
k-grams of tokens, winnowed (Schleimer, Wilkerson & Aiken, SIGMOD 2003): every match of at least
WINDOW + K − 1 tokens is found.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import numpy as np
import numpy.typing as npt

from grader.similarity.model import SourceText, SourceTree
from grader.similarity.source.inline import inlined_order
from grader.similarity.source.linearise import CUSTOMARY_ALIASES, SHAPE, Linearise, Sequence
from grader.similarity.source.parse_text import parse_pieces, parse_text
from grader.similarity.source.slice_hashes import Hashes, SliceHashes, text_hash
from grader.similarity.source.symbols import NOTHING_GIVEN, Given, Symbols

# Raised whenever the same text gets other hashes: old caches and archives are told apart by it.
VERSION = 4

K, WINDOW = 24, 8
# beside STATEMENT, CALL, SHAPE: a k-gram, a feature before temporaries were put in their places
GRAM, AS_WRITTEN = 3, 4
_BASE_K = 12  # a stretch of as many tokens that stands in the base code is base code
_BASE_SHARE = 0.5  # K tokens with at least this part of base code are base code
# a call is a statement's value, or a part of it: one space of hashes
_SALTS = np.array([0, 0, 0x5A17, 0x96A3, 0], np.uint64)

Ints = npt.NDArray[np.int32]
_NO_HASHES = np.zeros(0, np.uint64)
_NO_INTS = np.zeros(0, np.int32)


@dataclass(frozen=True, slots=True)
class Tokens:
    """The canonical sequence of one submission.

    `tokens` (n,) 64-bit, `lines` (n,), `units` (n,); text `i` of the tree has the tokens
    `starts[i]` to `starts[i + 1]`. `features` (m, 5): kind, start, end, unit, place; SHAPE features
    are slices of `shapes`, and stand at token `place` like all others. `plain` (p,) are the tokens
    before temporaries were put in their places, and `plain_slices` (m, 2) the features in them.
    """

    tokens: Hashes
    lines: Ints
    units: Ints
    starts: Ints
    shapes: Hashes
    features: Ints
    num_units: int
    plain: Hashes
    plain_slices: Ints


@dataclass(frozen=True, slots=True)
class BaseCode:
    """What every student was given: sorted hashes of features and of short stretches, and of whole
    files (hash → tokens), which are passed over unread: to a student they are a library."""

    features: Hashes
    stretches: Hashes
    files: Mapping[int, int]
    given: Given = NOTHING_GIVEN

    @property
    def digest(self) -> str:
        """Names this base code in caches."""
        digest = hashlib.blake2b(self.features.tobytes(), digest_size=16)
        digest.update(self.stretches.tobytes())
        digest.update(repr(sorted(self.files.items())).encode())
        digest.update(repr([sorted(self.given.names), sorted(self.given.attrs)]).encode())
        return digest.hexdigest()


NO_BASE = BaseCode(_NO_HASHES, _NO_HASHES, {})


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """One submission without its base code; no text can be had back from it.

    `hashes`, `kinds`, `units`, `sizes` (m,): of each feature its hash, kind, unit and size in
    tokens. `unit_spans` (num_units, 3): text, first and last line of a unit; `texts` are the paths
    (and notebook cells, 0 for a file) of the texts. `digest` is one hash of everything, base code
    included: the same for a copy, whatever the base code is.
    """

    name: str
    hashes: Hashes
    kinds: npt.NDArray[np.uint8]
    units: Ints
    sizes: npt.NDArray[np.uint16]
    unit_spans: Ints
    texts: tuple[tuple[str, int], ...]
    num_tokens: int
    own_tokens: int
    num_lines: int
    digest: int

    @property
    def num_units(self) -> int:
        return len(self.unit_spans)


# ------------------------------------------------------------------------------- tokens


def tokens_of(tree: SourceTree, base: BaseCode = NO_BASE) -> Tokens:
    """Read all texts of a submission but untouched files of the base code, which have no tokens;
    its units are numbered through."""
    symbols = Symbols(base.given)
    sequences = list(_sequences(tree.texts, symbols, _own_modules(tree), base))
    meanings = np.array([_hash(meaning) for meaning in symbols.meanings()], np.uint64)
    return _joined(sequences, meanings)


@lru_cache(maxsize=1 << 17)
def _hash(meaning: str) -> int:
    return text_hash(meaning)


def file_hash(text: SourceText) -> int:
    """Names an untouched file, whatever it is called; blanks at line ends do not touch it."""
    return text_hash("\n".join(line.rstrip() for line in text.text.strip().splitlines()))


def _own_modules(tree: SourceTree) -> frozenset[str]:
    return frozenset(part for text in tree.texts for part in _module_names(text.path))


def _module_names(path: str) -> Iterator[str]:
    *folders, name = path.split("/")
    yield from folders
    yield name.partition(".")[0]


def _sequences(
    texts: tuple[SourceText, ...], symbols: Symbols, own: frozenset[str], base: BaseCode
) -> Iterator[Sequence]:
    names, notebook = symbols.names_of_file(CUSTOMARY_ALIASES), None
    for text in texts:
        if base.files and file_hash(text) in base.files:
            yield Sequence()
            continue
        if text.cell is None or text.path != notebook:
            names = symbols.names_of_file(CUSTOMARY_ALIASES)
            notebook = text.path
        yield _sequence(text.text, partial(Linearise, symbols, names, own))


def _sequence(text: str, begin: Callable[[], Linearise]) -> Sequence:
    tree = parse_text(text)
    if tree is not None:
        writer = begin()
        try:
            writer.body(tree.body)
            return writer.finished()
        except RecursionError:  # nested too deeply: statement by statement
            del tree
    writer = begin()
    for statement in parse_pieces(text):
        _write_piece(writer, statement)
    return writer.finished()


def _write_piece(writer: Linearise, statement: ast.stmt) -> None:
    try:
        writer.body([statement])
    except RecursionError:
        return  # what was written of it stays: the beginning of an expression


def _joined(sequences: list[Sequence], meanings: Hashes) -> Tokens:
    tokens, plain, shapes = [_NO_HASHES], [_NO_HASHES], [_NO_HASHES]
    lines, units = [_NO_INTS], [_NO_INTS]
    features, slices = [_NO_INTS.reshape(0, 5)], [_NO_INTS.reshape(0, 2)]
    starts = [0]
    num_units = num_plain = num_shapes = 0
    for sequence in sequences:
        order, first, last = inlined_order(len(sequence.tokens), sequence.inlines)
        start = starts[-1]
        symbols = meanings[_array(sequence.tokens)]
        plain.append(symbols)
        tokens.append(symbols[order])
        marks = _array(sequence.marks).reshape(-1, 3)
        lengths = np.diff(marks[:, 0], append=len(sequence.tokens))
        lines.append(np.repeat(marks[:, 1], lengths)[order])
        units.append(np.repeat(marks[:, 2], lengths)[order] + num_units)
        rows = _array(sequence.features).reshape(-1, 5).copy()
        shapes.append(_sorted_shapes(meanings[_array(sequence.shapes)], rows))
        slices.append(rows[:, 1:3] + num_plain)
        whole = rows[:, 0] != SHAPE
        rows[whole, 1] = first[rows[whole, 1]] + start
        rows[whole, 2] = last[rows[whole, 2] - 1] + start
        rows[~whole, 1:3] += num_shapes
        rows[:, 3] += num_units
        rows[:, 4] = first[rows[:, 4]] + start
        features.append(rows)
        starts.append(start + len(order))
        num_units += sequence.num_units
        num_plain += len(symbols)
        num_shapes += len(sequence.shapes)
    return Tokens(
        tokens=np.concatenate(tokens),
        lines=np.concatenate(lines),
        units=np.concatenate(units),
        starts=np.array(starts, np.int32),
        shapes=np.concatenate(shapes),
        features=np.concatenate(features),
        num_units=num_units,
        plain=np.concatenate(plain),
        plain_slices=np.concatenate(slices),
    )


def _sorted_shapes(shapes: Hashes, rows: Ints) -> Hashes:
    """Behind the callee of each shape its constants, in an order that is no student's."""
    starts = rows[rows[:, 0] == SHAPE, 1]
    first = np.zeros(len(shapes), np.bool_)
    first[starts] = True
    order = np.lexsort((shapes, ~first, np.cumsum(first)))
    return shapes[order]


def _array(values: object) -> Ints:
    return np.array(values, np.int32)


# ------------------------------------------------------------------------------- hashes


def base_code(trees: list[SourceTree]) -> BaseCode:
    """The hashes of everything that was given out."""
    features, stretches = [NO_BASE.features], [NO_BASE.stretches]
    files: dict[int, int] = {}
    names_only = replace(NO_BASE, given=_given(trees))
    for tree in trees:
        tokens = tokens_of(tree, names_only)
        counts = np.diff(tokens.starts).tolist()
        files |= {file_hash(text): count for text, count in zip(tree.texts, counts, strict=True)}
        features.append(feature_hashes(tokens)[0])
        grams, inside = _grams(tokens, _BASE_K)
        stretches.append(grams[inside])
    return replace(
        names_only,
        features=np.unique(np.concatenate(features)),
        stretches=np.unique(np.concatenate(stretches)),
        files=files,
    )


def _given(trees: list[SourceTree]) -> Given:
    """What all that was given out calls its own."""
    names: set[str] = set()
    attrs: set[str] = set()
    for tree in trees:
        symbols = Symbols()
        for _ in _sequences(tree.texts, symbols, _own_modules(tree), NO_BASE):
            pass
        names |= symbols.bound_names()
        attrs |= symbols.attrs.bound
    return Given(frozenset(names), frozenset(attrs))


def fingerprint(tree: SourceTree, base: BaseCode = NO_BASE) -> Fingerprint:
    """The hashes of `tree` without what is `base` code."""
    tokens = tokens_of(tree, base)
    passed = sum(base.files.get(file_hash(text), 0) for text in tree.texts) if base.files else 0
    covered = base_tokens(tokens, base)
    hashes, rows = feature_hashes(tokens)
    kept = ~(_is_in(hashes, base.features) | _amid_base(tokens, rows, covered))
    grams, places = _own_grams(tokens, covered)
    return Fingerprint(
        name=tree.name,
        hashes=np.concatenate([hashes[kept], grams]),
        kinds=np.concatenate([rows[kept, 0], np.full(len(grams), GRAM)]).astype(np.uint8),
        units=np.concatenate([rows[kept, 3], tokens.units[places]]).astype(np.int32),
        sizes=np.concatenate(
            [np.minimum(rows[kept, 2] - rows[kept, 1], 0xFFFF), np.full(len(grams), K)]
        ).astype(np.uint16),
        unit_spans=_unit_spans(tokens),
        texts=tuple((text.path, text.cell or 0) for text in tree.texts),
        num_tokens=len(tokens.tokens) + passed,
        own_tokens=int(len(covered) - covered.sum()),
        num_lines=sum(text.text.count("\n") + 1 for text in tree.texts),
        digest=_digest(tree, tokens, base),
    )


def base_tokens(tokens: Tokens, base: BaseCode) -> npt.NDArray[np.bool_]:
    """(n,) whether a token lies in a stretch of base code."""
    count = len(tokens.tokens)
    covered = np.zeros(count, np.bool_)
    if not len(base.stretches) or count < _BASE_K:
        return covered
    grams, inside = _grams(tokens, _BASE_K)
    starts = np.flatnonzero(inside & _is_in(grams, base.stretches))
    depth = np.zeros(count + 1, np.int32)
    np.add.at(depth, starts, 1)
    np.add.at(depth, starts + _BASE_K, -1)
    return np.cumsum(depth[:-1]) > 0


def _amid_base(tokens: Tokens, rows: Ints, covered: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(m,) whether the K tokens around a feature are base code: an edited number in a line of it
    makes nobody's own statement. The same rule as for k-grams."""
    if not covered.any():
        return np.zeros(len(rows), np.bool_)
    sizes = np.where(rows[:, 0] == SHAPE, 1, rows[:, 2] - rows[:, 1])
    texts = np.searchsorted(tokens.starts, rows[:, 4], "right")
    wide = np.maximum(sizes, K)
    first = np.maximum(rows[:, 4] - (wide - sizes) // 2, tokens.starts[texts - 1])
    last = np.minimum(first + wide, tokens.starts[texts])
    base = np.concatenate([[0], np.cumsum(covered)])
    amid: npt.NDArray[np.bool_] = base[last] - base[first] >= _BASE_SHARE * (last - first)
    return amid


def _digest(tree: SourceTree, tokens: Tokens, base: BaseCode) -> int:
    """One hash of the texts, in whatever order they come."""
    texts = [
        tokens.tokens[start:end].tobytes()
        for start, end in zip(tokens.starts[:-1], tokens.starts[1:], strict=True)
    ]
    if base.files:
        texts += [
            file_hash(text).to_bytes(8) for text in tree.texts if file_hash(text) in base.files
        ]
    digest = hashlib.blake2b(digest_size=8)
    for text in sorted(hashlib.blake2b(text).digest() for text in texts if text):
        digest.update(text)
    return int.from_bytes(digest.digest(), "little", signed=True)


def _unit_spans(tokens: Tokens) -> Ints:
    """(num_units, 3): the text, first and last line of every unit; zeros for an empty one."""
    spans = np.zeros((tokens.num_units, 3), np.int32)
    order = np.argsort(tokens.units, kind="stable")
    units = tokens.units[order]
    firsts = np.flatnonzero(np.diff(units, prepend=-1))
    if len(firsts):
        held = units[firsts]
        spans[held, 0] = np.searchsorted(tokens.starts, order[firsts], "right") - 1
        spans[held, 1] = np.minimum.reduceat(tokens.lines[order], firsts)
        spans[held, 2] = np.maximum.reduceat(tokens.lines[order], firsts)
    return spans


def feature_hashes(tokens: Tokens) -> tuple[Hashes, Ints]:
    """The hash of every feature and its row of `tokens.features`; where a temporary was put in its
    place, the feature as it was written follows as one more."""
    rows = tokens.features
    hashes = np.zeros(len(rows), np.uint64)
    of_call = rows[:, 0] == SHAPE
    for chosen, sequence in ((~of_call, tokens.tokens), (of_call, tokens.shapes)):
        slices = rows[chosen]
        hashes[chosen] = SliceHashes(sequence)(slices[:, 1], slices[:, 2])
    written = SliceHashes(tokens.plain)(tokens.plain_slices[:, 0], tokens.plain_slices[:, 1])
    other = ~of_call & (written != hashes)
    again = rows[other].copy()
    again[:, 0] = AS_WRITTEN
    rows, hashes = np.concatenate([rows, again]), np.concatenate([hashes, written[other]])
    return hashes ^ _SALTS[rows[:, 0]], rows


def _grams(tokens: Tokens, k: int) -> tuple[Hashes, npt.NDArray[np.bool_]]:
    """Hashes of all slices of `k` tokens, and which of them lie inside one text."""
    grams = SliceHashes(tokens.tokens).grams(k)
    inside = np.ones(len(grams), np.bool_)
    for start in tokens.starts[1:-1]:
        inside[max(0, start - k + 1) : start] = False
    return grams, inside


def _own_grams(tokens: Tokens, covered: npt.NDArray[np.bool_]) -> tuple[Hashes, Ints]:
    """The winnowed k-grams that are not base code, and their first tokens."""
    grams, inside = _grams(tokens, K)
    chosen = [
        start + winnowed(grams[start : end - K + 1])
        for start, end in zip(tokens.starts[:-1], tokens.starts[1:], strict=True)
        if end - start >= K
    ]
    places = np.concatenate([np.zeros(0, np.int64), *chosen])
    base = np.concatenate([[0], np.cumsum(covered)])
    own = (base[places + K] - base[places]) < _BASE_SHARE * K
    places = places[own & inside[places]]
    return grams[places] ^ _SALTS[GRAM], places.astype(np.int32)


def winnowed(grams: Hashes) -> npt.NDArray[np.int64]:
    """Positions of the rightmost minimum of every window, without repetition."""
    if len(grams) <= WINDOW:
        return np.array([len(grams) - 1 - int(np.argmin(grams[::-1]))])
    windows = np.lib.stride_tricks.sliding_window_view(grams, WINDOW)
    rightmost = WINDOW - 1 - np.argmin(windows[:, ::-1], axis=1)
    return np.unique(np.arange(len(windows)) + rightmost)


def _is_in(values: Hashes, ordered: Hashes) -> npt.NDArray[np.bool_]:
    """Whether each value is in a sorted array."""
    if not len(ordered):
        return np.zeros(len(values), np.bool_)
    places = np.minimum(np.searchsorted(ordered, values), len(ordered) - 1)
    found: npt.NDArray[np.bool_] = ordered[places] == values
    return found
