"""Which of the assignment's accepted command lines suits a script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from grader.source.arguments import CommandLine, Option

Template = tuple[str, ...]

# The first meaning of which a name holds a word counts: `model_dir` is about the model.
_MEANINGS = {
    "checkpoint": {"ckpt", "checkpoint", "model", "weights", "weight", "pth", "pt", "resnet"},
    "images": {"test", "img", "imgs", "image", "images", "data", "dataset", "eval", "input"},
    "checkpoint_dir": {"ckpt", "checkpoint", "model", "models", "weights", "save", "out", "output"},
    "train_images": {"train", "data", "dataset", "img", "imgs", "image", "images", "input"},
}


class Fit(NamedTuple):
    """How a template suits a script: 2 it does, 1 it may, 0 it does not; and why."""

    rank: int
    reason: str


def order_variants(
    detected: CommandLine, templates: Sequence[Template]
) -> list[tuple[Template, str]]:
    """The templates worth trying, best first, each with the reason in words.

    `templates`: the assignment's own form first, `("python", "{script}", …)`. Templates that the
    source rules out are left out. Where none is left, a form is put together from the script's
    own option names if these are plain (`--weights`, `--test_dir`); else the assignment's form
    stands alone. Never empty.
    """
    own = templates[0]
    fits = [(template, judge(detected, template)) for template in templates]
    for rank in (2, 1):
        chosen = [(template, fit.reason) for template, fit in fits if fit.rank == rank]
        if chosen:
            return chosen
    derived = derive_template(detected, own)
    if derived is not None:
        return [(derived, detected.describe())]
    return [(own, fits[0][1].reason)]


def judge(detected: CommandLine, template: Template) -> Fit:
    """Whether the words of `template` after the script are what the script accepts."""
    words = template[2:]
    if detected.style == "unknown":
        return Fit(1, detected.describe())
    if detected.style == "none":
        plain = not any(word.startswith("-") for word in words)
        return Fit(2 if plain else 0, "takes no arguments")
    positional, given, objection = _deal_out(detected, words)
    missing = [item.name for item in detected.options if item.required and item not in given]
    if missing and not objection:
        objection = f"needs {missing[0]}"
    if objection:
        return Fit(0, objection)
    fit = _judge_positionals(detected, positional, words)
    return Fit(1, fit.reason) if fit.rank and not detected.exact else fit


def _deal_out(detected: CommandLine, words: Sequence[str]) -> tuple[list[str], set[Option], str]:
    """The plain words, the options given, and what the script would object to ("" for nothing)."""
    positional: list[str] = []
    given: set[Option] = set()
    waiting = list(words)
    while waiting:
        word = waiting.pop(0)
        option = _option(detected, word) if word.startswith("-") else None
        if option is not None:
            given.add(option)
            value = waiting.pop(0) if option.takes_value and waiting else ""
            if option.takes_value and not _suits(option.name, value, words, option.choices):
                return positional, given, f"{word} is for something else"
        elif not word.startswith("-"):
            positional.append(word)
        elif not (detected.takes_rest and detected.options):
            return positional, given, f"has no option {word}"
    return positional, given, ""


def _option(detected: CommandLine, word: str) -> Option | None:
    """The option that `word` names, in full or, as argparse lets one, by a unique beginning."""
    for option in detected.options:
        if word in option.flags:
            return option
    starts = [
        option
        for option in detected.options
        if word.startswith("--") and any(flag.startswith(word) for flag in option.flags)
    ]
    return starts[0] if len(starts) == 1 and detected.style == "argparse" else None


def may_be_given(flags: Sequence[str], templates: Sequence[Template]) -> bool:
    """Whether a command line of `templates` may give the option that has these `flags`."""
    words = {word for template in templates for word in template[1:]}
    fields = [word[1:-1] for word in words if word.startswith("{")]
    # `checkpoint_bn` is a checkpoint: one of several experiments'.
    kinds = [field if field in _MEANINGS else field.partition("_")[0] for field in fields]
    return any(flag in words or _meaning(flag, kinds) is not None for flag in flags)


def _judge_positionals(detected: CommandLine, given: list[str], words: Sequence[str]) -> Fit:
    least = sum(item.least for item in detected.positionals)
    most = sum(item.most for item in detected.positionals)
    if len(given) < least:
        return Fit(0, f"needs {least} arguments")
    if len(given) > most and not detected.takes_rest:
        return Fit(0, f"takes only {most} arguments" if most else "takes no plain arguments")
    for item, word in zip(detected.positionals, given, strict=False):
        if item.most == 1 and not _suits(item.name, word, words, item.choices):
            return Fit(0, detected.describe())
    # Words that nobody reads leave a doubt about what the ones that are read mean.
    return Fit(2 if len(given) <= most else 1, detected.describe())


def _suits(name: str, word: str, words: Sequence[str], choices: tuple[str, ...] | None) -> bool:
    """Whether an argument called `name` may be given `word`: False only on a contradiction."""
    if not word.startswith("{"):
        return choices is None or word in choices
    if choices:
        return False
    fields = [other[1:-1] for other in words if other.startswith("{")]
    meaning = _meaning(name, fields)
    return meaning is None or meaning == word[1:-1]


def _meaning(name: str, fields: Sequence[str]) -> str | None:
    """Which of `fields` an argument's name speaks of, None if of none or of several."""
    tokens = set(re.findall(r"[a-z]+", re.sub(r"([a-z])([A-Z])", r"\1 \2", name).lower()))
    # A checkpoint's words win: "model_test.pth" and "train_model_dir" are about the model.
    order = sorted(fields, key=lambda field: not field.startswith("checkpoint"))
    for field in order:
        if tokens & _MEANINGS.get(field, set()):
            return field
    return None


def derive_template(detected: CommandLine, own: Template) -> Template | None:
    """A form of the script's own making, when every argument it needs has a plain meaning.

    Only where the source shows everything, and each of the assignment's fields is meant by
    exactly one argument: nothing is guessed.
    """
    fields = [word[1:-1] for word in own[2:] if word.startswith("{")]
    if not detected.exact or detected.style not in ("argparse", "click", "optparse", "argv"):
        return None
    asks = [(item.name, "", item.least > 0) for item in detected.positionals]
    asks += [(item.name, item.name, item.required) for item in detected.options if item.takes_value]
    words: list[str] = []
    used: list[str] = []
    for name, flag, required in asks:
        meaning = _meaning(name, fields)
        if meaning is not None and meaning not in used:
            used.append(meaning)
            words += [flag, f"{{{meaning}}}"] if flag else [f"{{{meaning}}}"]
        elif required:
            return None
    return (*own[:2], *words) if sorted(used) == sorted(fields) else None
