"""The system call filter: a small BPF assembler and the rules it assembles.

Everything is allowed but what is listed, because PyTorch, its thread pools and its data loaders use
a broad and changing part of the kernel. What is listed falls into four groups: calls that change
namespaces or mounts, or that reach other processes; kernel interfaces with a history of holes that
no assignment needs (bpf, io_uring, keyrings, perf, userfaultfd); memory that the watchdog cannot
see (memfd, System V shared memory, anonymous shared mappings); sockets of families that a network
namespace does not cover (vsock). Without namespaces (Landlock) the filter carries more: see
`_without_namespaces`.

A filter sees numbers, not what pointers point at, so nothing here decides by a path.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass

from grader.sandbox.syscalls import NEWEST_REVIEWED, syscall_numbers

# linux/seccomp.h, linux/bpf_common.h, linux/audit.h
_RET_ALLOW = 0x7FFF0000
_RET_ERRNO = 0x00050000
_RET_USER_NOTIF = 0x7FC00000
_RET_KILL_PROCESS = 0x80000000
_LOAD_WORD = 0x20
_AND = 0x54
_JUMP_EQUAL = 0x15
_JUMP_GREATER = 0x25
_RETURN = 0x06
_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_OFFSET_NUMBER, _OFFSET_ARCH, _OFFSET_ARGUMENTS = 0, 4, 16

# linux/sched.h, mman.h, tty_ioctl.h
_CLONE_NAMESPACES = 0x7E020000  # NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_MAP_SHARED_ANONYMOUS = 0x21
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_SOCKET_TYPE = 0xF  # without SOCK_CLOEXEC and SOCK_NONBLOCK
_PERSONALITY_QUERY = 0xFFFFFFFF
_LOW_WORD = 0xFFFFFFFF

# asm-generic/fcntl.h, mman-common.h; O_CREAT and O_TRUNC are the same on both machines
_OPENS_FOR_MORE_THAN_READING = os.O_ACCMODE | os.O_CREAT | os.O_TRUNC
_PROT_EXEC = 4
_DECODERS_CALLS = (
    "read readv pread64 write writev close lseek fstat newfstatat stat lstat statx fcntl "
    "getdents64 readlink readlinkat mmap munmap mremap mprotect madvise brk futex sched_yield "
    "rt_sigaction rt_sigprocmask rt_sigreturn sigaltstack restart_syscall clock_gettime getrandom "
    "getpid gettid getrlimit setrlimit exit exit_group"
)

_LANDLOCK_ABI_TRUNCATE = 3
_LANDLOCK_ABI_SIGNALS = 6


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds when `(low word of the argument & mask) == value`, or `!=` when `equal` is False.

    The low word is all that the kernel itself reads of the arguments tested here.
    """

    argument: int
    value: int
    mask: int = _LOW_WORD
    equal: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """`action` for each of `calls` when every condition holds."""

    calls: tuple[str, ...]
    action: int
    conditions: tuple[Condition, ...] = ()


def _refuse(code: int, calls: str, *conditions: Condition) -> Rule:
    return Rule(tuple(calls.split()), _RET_ERRNO | code, conditions)


def _allowed_only(argument: int, values: Iterable[int], mask: int = _LOW_WORD) -> list[Condition]:
    """Conditions that hold for everything but `values`."""
    return [Condition(argument, value, mask, equal=False) for value in values]


def _always(*, gpu: bool) -> list[Rule]:
    rules = [
        _refuse(
            errno.EPERM,
            "unshare setns mount umount2 pivot_root chroot move_mount open_tree open_tree_attr "
            "fsopen fsconfig fsmount fspick mount_setattr statmount listmount "
            "keyctl add_key request_key bpf perf_event_open "
            "io_uring_setup io_uring_enter io_uring_register "
            "shmget shmat shmctl shmdt semget semctl semop semtimedop "
            "msgget msgsnd msgrcv msgctl mq_open mq_unlink "
            "userfaultfd ptrace process_vm_readv process_vm_writev process_madvise kcmp "
            "pidfd_getfd "
            "kexec_load kexec_file_load init_module finit_module delete_module create_module "
            "get_kernel_syms query_module reboot swapon swapoff sethostname setdomainname acct "
            "quotactl quotactl_fd syslog settimeofday clock_settime adjtimex clock_adjtime "
            "nfsservctl iopl ioperm modify_ldt lookup_dcookie name_to_handle_at open_by_handle_at "
            "vhangup fanotify_init fanotify_mark vmsplice migrate_pages move_pages "
            "set_mempolicy_home_node uselib ustat sysfs _sysctl vserver memfd_secret",
        ),
        # clone3 hides its flags behind a pointer: "no such call" makes the C library use clone.
        _refuse(errno.ENOSYS, "clone3"),
        _refuse(errno.EPERM, "clone", Condition(0, 0, _CLONE_NAMESPACES, equal=False)),
        _refuse(errno.EPERM, "ioctl", Condition(1, _TIOCSTI)),
        _refuse(errno.EPERM, "ioctl", Condition(1, _TIOCLINUX)),
        _refuse(errno.EPERM, "personality", *_allowed_only(0, (0, _PERSONALITY_QUERY))),
        _refuse(errno.EPERM, "prlimit64", Condition(0, 0, equal=False)),
    ]
    if not gpu:  # the CUDA driver keeps its pinned memory in such mappings
        rules += [
            _refuse(errno.EPERM, "memfd_create"),
            _refuse(
                errno.EPERM, "mmap", Condition(3, _MAP_SHARED_ANONYMOUS, _MAP_SHARED_ANONYMOUS)
            ),
        ]
    return rules


def _with_namespaces() -> list[Rule]:
    """The network namespace is empty; families that it does not cover are refused."""
    families = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
    return [_refuse(errno.EAFNOSUPPORT, "socket socketpair", *_allowed_only(0, families))]


def _without_namespaces(landlock_abi: int) -> list[Rule]:
    """What Landlock does not cover when the program shares network, processes and user.

    Sockets are unix streams only, and connecting one asks the supervisor, which alone can see the
    address (datagrams could name an address without connecting). Calls that change a file's modes
    or times act on every file of the user, so they answer success and do nothing: `shutil.copy`
    goes on working.
    """
    rules = [
        _refuse(errno.EAFNOSUPPORT, "socket socketpair", *_allowed_only(0, (socket.AF_UNIX,))),
        _refuse(
            errno.EPROTONOSUPPORT,
            "socket socketpair",
            *_allowed_only(1, (socket.SOCK_STREAM,), _SOCKET_TYPE),
        ),
        Rule(("connect",), _RET_USER_NOTIF),
        _refuse(
            0,
            "chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat "
            "utime utimes futimesat utimensat",
        ),
        _refuse(
            errno.ENOTSUP,
            "setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr "
            "removexattrat file_setattr",
        ),
        _refuse(errno.EPERM, "setpriority ioprio_set sched_setattr"),
        *(
            _refuse(errno.EPERM, call, Condition(0, 0, equal=False))
            for call in ("sched_setscheduler", "sched_setparam")
        ),
        # a listener of the program's own could answer `connect` in the supervisor's stead
        _refuse(errno.EPERM, "seccomp"),
    ]
    if landlock_abi < _LANDLOCK_ABI_TRUNCATE:
        rules.append(_refuse(errno.EPERM, "truncate"))
    if landlock_abi < _LANDLOCK_ABI_SIGNALS:
        rules.append(
            _refuse(
                errno.EPERM,
                "kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal",
            )
        )
    return rules


def namespace_filter(machine: str, *, gpu: bool = False) -> bytes:
    """The program for a command in namespaces of its own; SandboxError for an unknown machine."""
    return assemble(machine, [*_always(gpu=gpu), *_with_namespaces()])


def shared_filter(machine: str, landlock_abi: int, *, gpu: bool = False) -> bytes:
    """The program for a command that Landlock alone holds; SandboxError for an unknown machine."""
    return assemble(machine, [*_always(gpu=gpu), *_without_namespaces(landlock_abi)])


def decoder_filter(machine: str) -> bytes:
    """The program for the grader's own decoders of strangers' bytes, once they have started.

    The other way round than for students: what is not listed is refused. Reading files, computing
    and answering stay; no program, process, thread, socket, signal or link can be made, no file be
    opened for writing, and no memory become executable. SandboxError for an unknown machine.
    """
    reading = Condition(2, 0, _OPENS_FOR_MORE_THAN_READING)
    rules = [
        _refuse(errno.EPERM, "mmap mprotect", Condition(2, _PROT_EXEC, _PROT_EXEC)),
        _refuse(errno.EPERM, "mmap", Condition(3, _MAP_SHARED_ANONYMOUS, _MAP_SHARED_ANONYMOUS)),
        Rule(("openat",), _RET_ALLOW, (reading,)),
        Rule(("open",), _RET_ALLOW, (Condition(1, 0, _OPENS_FOR_MORE_THAN_READING),)),
        Rule(("prlimit64",), _RET_ALLOW, (Condition(0, 0),)),
        Rule(tuple(_DECODERS_CALLS.split()), _RET_ALLOW),
    ]
    return assemble(machine, rules, otherwise=_RET_ERRNO | errno.EPERM)


def assemble(machine: str, rules: Iterable[Rule], otherwise: int = _RET_ALLOW) -> bytes:
    """`struct sock_filter[]` for `rules`, first match wins; calls that a machine lacks are skipped.
    `otherwise` is the answer to a call that no rule matches.

    A foreign calling convention kills the process; calls newer than `NEWEST_REVIEWED`, and with
    them the x32 convention, answer "no such call".
    """
    numbers = syscall_numbers(machine)
    program = [
        (_LOAD_WORD, 0, 0, _OFFSET_ARCH),
        (_JUMP_EQUAL, 1, 0, _AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _RET_KILL_PROCESS),
        (_LOAD_WORD, 0, 0, _OFFSET_NUMBER),
        (_JUMP_GREATER, 0, 1, NEWEST_REVIEWED),
        (_RETURN, 0, 0, _RET_ERRNO | errno.ENOSYS),
    ]
    for rule in rules:
        body = _body(rule)
        for call in rule.calls:
            if call in numbers:
                program += [(_JUMP_EQUAL, 0, len(body), numbers[call]), *body]
    program.append((_RETURN, 0, 0, otherwise))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _body(rule: Rule) -> list[tuple[int, int, int, int]]:
    """What follows a matched number: the tests, the answer, and the number loaded again."""
    answer = (_RETURN, 0, 0, rule.action)
    if not rule.conditions:
        return [answer]
    body: list[tuple[int, int, int, int]] = []
    for count, condition in enumerate(reversed(rule.conditions)):
        # a test is three instructions; when it fails, skip the later tests and the answer
        skip = 3 * count + 1
        jumps = (0, skip) if condition.equal else (skip, 0)
        body[:0] = [
            (_LOAD_WORD, 0, 0, _OFFSET_ARGUMENTS + 8 * condition.argument),
            (_AND, 0, 0, condition.mask),
            (_JUMP_EQUAL, *jumps, condition.value),
        ]
    return [*body, answer, (_LOAD_WORD, 0, 0, _OFFSET_NUMBER)]
