"""What train.py and evaluate.py share: find the recipe, parse its options, report faults."""

from __future__ import annotations

import argparse
import io
import signal
import sys
import time

from errors import Stopped, SubmissionError
from recipes import load_recipe, recipe_names


def run_recipe(verb: str, description: str) -> int:
    """Run `train` or `evaluate` of the recipe that `--recipe` names, or of the only one.

    Returns the exit code: 0 done, 2 something to mend (said on stderr), 130 stopped by Ctrl-C or
    by a batch system.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        # a file name that the terminal cannot show must not end hours of work
        sys.stdout.reconfigure(errors="backslashreplace")
    began = time.monotonic()  # --minutes run from here: importing torch takes some of them
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--recipe")
    chosen, rest = first.parse_known_args()
    try:
        recipe = load_recipe(chosen.recipe)
        parser = argparse.ArgumentParser(
            description=description, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        parser.add_argument("--recipe", choices=recipe_names(), help="default: the only one")
        getattr(recipe, f"add_{verb}_arguments")(parser)
        getattr(recipe, verb)(parser.parse_args(rest, argparse.Namespace(began=began)))
    except SubmissionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (RuntimeError, MemoryError) as error:
        from training.devices import is_out_of_memory  # noqa: PLC0415 - torch takes seconds

        if not is_out_of_memory(error):
            raise
        reason = str(error).partition("\n")[0] or "out of memory"
        print(
            f"error: there is not enough memory ({reason}); give a smaller --batch-size, or where "
            "the images themselves do not fit, a smaller --size; files that are saved stay",
            file=sys.stderr,
        )
        return 2
    except Stopped as stopped:
        print(f"stopped: {stopped}", file=sys.stderr)
        return 128 + signal.SIGINT
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 128 + signal.SIGINT
    return 0
