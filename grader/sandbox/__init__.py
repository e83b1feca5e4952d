"""The room where student code runs: apart from the grader, the truth and the machine.

    policy → bubblewrap | direct → launch → process → supervise → collect

`policy` says what a command may see and use; a back end turns that into a `Launch`; `process`
starts it; `supervise` watches until everything is dead; `collect` brings out what was left. The
programs in `inside/` run on the other side. docs/security.md tells what holds which attack.
"""

from grader.sandbox.gpu import GpuReport, probe_gpu
from grader.sandbox.policy import NOT_HELD, Backend, BackendReport, Command, Outcome
from grader.sandbox.probe import choose_backend, probe_backends

__all__ = [
    "NOT_HELD",
    "Backend",
    "BackendReport",
    "Command",
    "GpuReport",
    "Outcome",
    "choose_backend",
    "probe_backends",
    "probe_gpu",
]
