"""One module per assignment: what is trained, how it is evaluated, what is written.

A recipe is a module with `add_train_arguments(parser)`, `train(arguments)`,
`add_evaluate_arguments(parser)` and `evaluate(arguments)`.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from errors import SubmissionError


def recipe_names() -> list[str]:
    """The recipes in this folder, sorted."""
    return sorted(
        path.stem for path in Path(__file__).parent.glob("*.py") if not path.stem.startswith("_")
    )


def load_recipe(name: str | None) -> ModuleType:
    """The recipe `name`; None means the only one there is.

    Raises SubmissionError for an unknown name, and for None when there are several.
    """
    names = recipe_names()
    if name is None:
        if len(names) != 1:
            raise SubmissionError(f"--recipe NAME is needed; there are: {', '.join(names)}")
        name = names[0]
    if name not in names:
        raise SubmissionError(f'no recipe "{name}"; there are: {", ".join(names)}')
    return importlib.import_module(f"recipes.{name}")
