"""Where the grader's own Python lies: what the sandbox must let a program read to run it."""

from __future__ import annotations

import site
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# Nothing of the grader's environment is handed on. Threads, hashing, time zone, language and the
# plot back end are pinned; model hubs are told that there is no network, so that they fail at once.
_ENVIRONMENT = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "TZ": "UTC",
    "USER": "student",
    "LOGNAME": "student",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",
    "PYTHONUNBUFFERED": "1",  # what was printed before a time limit is evidence
    "PYTHONUTF8": "1",
    "MPLBACKEND": "Agg",
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "WANDB_MODE": "disabled",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The interpreter that student code runs under.

    `executable` is the real program, no link; `launched_as` is how the grader itself was started.
    `prefixes` hold the standard library and shared libraries and must be readable under their own
    names. `environment` is the virtual environment's folder, None outside of one; `site_packages`
    are the folders with installed packages, best first; `user_packages` is the user's own such
    folder where it counts, which no interpreter looks for under another home.
    """

    executable: Path
    launched_as: Path
    prefixes: tuple[Path, ...]
    environment: Path | None
    site_packages: tuple[Path, ...]
    user_packages: tuple[Path, ...] = ()

    @property
    def folders(self) -> tuple[Path, ...]:
        """Everything that has to be readable for it to run."""
        environment = () if self.environment is None else (self.environment,)
        return (*self.prefixes, *environment, *self.site_packages, *self.user_packages)

    @property
    def version(self) -> str:
        return ".".join(map(str, sys.version_info[:3]))

    @property
    def packages_folder(self) -> str:
        """Where a virtual environment keeps its packages, relative to its own folder."""
        return f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"

    def clean_environment(self, home: str, programs: str) -> dict[str, str]:
        """A program's whole environment; `home` is its disposable folder for temporary files, and
        `programs` the folder with the interpreter."""
        packages = {"PYTHONPATH": ":".join(map(str, self.user_packages))}
        return {
            **_ENVIRONMENT,
            **(packages if self.user_packages else {}),
            "HOME": home,
            "TMPDIR": home,
            "XDG_CACHE_HOME": home,
            "MPLCONFIGDIR": home,
            "TORCH_HOME": home,
            "PATH": f"{programs}:{_SYSTEM_PATH}",
        }


@cache
def find_interpreter() -> Interpreter:
    """Describe the running interpreter. Folders on `sys.path` that are not site-packages (the
    grader's own checkout, PYTHONPATH) are left out: student code has no business there."""
    prefixes = {Path(sys.base_prefix), Path(sys.base_exec_prefix)}
    executable = Path(sys.executable).resolve(strict=True)
    if not any(executable.is_relative_to(prefix) for prefix in prefixes):
        prefixes.add(executable.parent)  # links led elsewhere
    user = [site.getusersitepackages()] if site.ENABLE_USER_SITE else []
    return Interpreter(
        executable=executable,
        launched_as=Path(sys.executable),
        prefixes=tuple(sorted(prefixes)),
        environment=Path(sys.prefix) if sys.prefix != sys.base_prefix else None,
        site_packages=_existing(site.getsitepackages()),
        user_packages=_existing(user),
    )


def _existing(folders: list[str]) -> tuple[Path, ...]:
    return tuple(Path(folder) for folder in folders if Path(folder).is_dir())
