"""The filter's bytes, run by a small interpreter of the machine they are written for."""

from __future__ import annotations

import errno
import re
import socket
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.errors import SandboxError
from grader.sandbox.seccomp import Condition, Rule, assemble, namespace_filter, shared_filter
from grader.sandbox.syscalls import NEWEST_REVIEWED, syscall_numbers

ALLOW, KILL, NOTIFY, ERRNO = 0x7FFF0000, 0x80000000, 0x7FC00000, 0x00050000
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MACHINES = list(ARCH)
READ = {"x86_64": 0, "aarch64": 63}
PYTORCH = {  # calls that it makes and that the filter must let pass
    "x86_64": {"futex": 202, "execve": 59, "fork": 57, "openat": 257, "madvise": 28, "mmap": 9},
    "aarch64": {"futex": 98, "execve": 221, "openat": 56, "madvise": 233, "mmap": 222},
}


def decide(
    program: bytes, machine: str, number: int, *arguments: int, arch: int | None = None
) -> int:
    """What the kernel would answer: classic BPF over struct seccomp_data."""
    words = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("<IIQ6Q", number, arch or ARCH[machine], 0, *words)
    instructions = list(struct.iter_unpack("=HBBI", program))
    assert len(instructions) <= 4096
    accumulator = position = 0
    while True:
        code, if_true, if_false, k = instructions[position]
        position += 1
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, k)[0]
        elif code == 0x54:
            accumulator &= k
        elif code == 0x15:
            position += if_true if accumulator == k else if_false
        elif code == 0x25:
            position += if_true if accumulator > k else if_false
        elif code == 0x06:
            return k
        else:
            raise AssertionError(f"instruction {code:#x} is not one of the assembler's")


def refused(code: int) -> int:
    return ERRNO | code


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


def test_ordinary_calls_pass(machine: str) -> None:
    for program in (namespace_filter(machine), shared_filter(machine, 7)):
        assert decide(program, machine, READ[machine]) == ALLOW
        for number in PYTORCH[machine].values():
            assert decide(program, machine, number) == ALLOW


def test_another_convention_is_killed_and_newer_calls_do_not_exist(machine: str) -> None:
    program = namespace_filter(machine)
    assert decide(program, machine, READ[machine], arch=0x40000003) == KILL  # i386
    newer = refused(errno.ENOSYS)
    assert decide(program, machine, NEWEST_REVIEWED + 1) == newer
    assert decide(program, machine, 0x40000000 | READ[machine]) == newer  # x32
    assert decide(program, machine, NEWEST_REVIEWED) == ALLOW


@pytest.mark.parametrize(
    "call",
    ["ptrace", "mount", "unshare", "setns", "bpf", "io_uring_setup", "keyctl", "perf_event_open",
     "userfaultfd", "memfd_create", "shmget", "msgget", "process_vm_writev", "pivot_root"],
)  # fmt: skip
def test_what_nobody_needs_is_refused(machine: str, call: str) -> None:
    number = syscall_numbers(machine)[call]
    for program in (namespace_filter(machine), shared_filter(machine, 1)):
        assert decide(program, machine, number) == refused(errno.EPERM)


def test_arguments_decide(machine: str) -> None:
    numbers = syscall_numbers(machine)
    program = namespace_filter(machine)

    def answer(call: str, *arguments: int) -> int:
        return decide(program, machine, numbers[call], *arguments)

    new_user, sigchld, thread = 0x10000000, 17, 0x3D0F00
    assert answer("clone", sigchld) == ALLOW
    assert answer("clone", thread) == ALLOW
    assert answer("clone", new_user | sigchld) == refused(errno.EPERM)
    assert answer("clone", (1 << 40) | thread) == ALLOW  # the kernel reads the low word
    assert answer("clone3") == refused(errno.ENOSYS)
    private, shared, anonymous = 2, 1, 0x20
    assert answer("mmap", 0, 4096, 3, private | anonymous) == ALLOW
    assert answer("mmap", 0, 4096, 3, shared) == ALLOW
    assert answer("mmap", 0, 4096, 3, shared | anonymous) == refused(errno.EPERM)
    assert answer("mmap", 0, 4096, 3, 3 | anonymous) == refused(errno.EPERM)  # SHARED_VALIDATE
    assert answer("prlimit64", 0, 7) == ALLOW
    assert answer("prlimit64", 1, 7) == refused(errno.EPERM)
    assert answer("ioctl", 1, 0x5401) == ALLOW
    assert answer("ioctl", 1, 0x5412) == refused(errno.EPERM)
    assert answer("personality", 0xFFFFFFFF) == ALLOW
    assert answer("personality", 0x40000) == refused(errno.EPERM)


@pytest.mark.parametrize("family", range(46))
def test_socket_families(machine: str, family: int) -> None:
    number = syscall_numbers(machine)["socket"]
    networked = {socket.AF_UNIX, socket.AF_INET, socket.AF_INET6}
    expected = ALLOW if family in networked else refused(errno.EAFNOSUPPORT)
    assert decide(namespace_filter(machine), machine, number, family, 1) == expected
    expected = ALLOW if family == socket.AF_UNIX else refused(errno.EAFNOSUPPORT)
    flags = socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    assert decide(shared_filter(machine, 7), machine, number, family, flags) == expected


def test_without_namespaces_more_is_held_back(machine: str) -> None:
    numbers = syscall_numbers(machine)
    new, old = shared_filter(machine, 7), shared_filter(machine, 1)
    datagram = (socket.AF_UNIX, socket.SOCK_DGRAM)
    for call in ("socket", "socketpair"):
        assert decide(new, machine, numbers[call], *datagram) == refused(errno.EPROTONOSUPPORT)
    assert decide(new, machine, numbers["connect"]) == NOTIFY
    assert decide(namespace_filter(machine), machine, numbers["connect"]) == ALLOW
    assert decide(new, machine, numbers["fchmodat"]) == ERRNO  # answers 0: done, it says
    assert decide(new, machine, numbers["truncate"]) == ALLOW  # Landlock holds it from ABI 3 on
    assert decide(old, machine, numbers["truncate"]) == refused(errno.EPERM)
    assert decide(new, machine, numbers["kill"]) == ALLOW  # and signals from ABI 6 on
    assert decide(old, machine, numbers["tgkill"]) == refused(errno.EPERM)


def test_a_graphics_processor_may_pin_memory(machine: str) -> None:
    numbers = syscall_numbers(machine)
    program = namespace_filter(machine, gpu=True)
    assert decide(program, machine, numbers["mmap"], 0, 4096, 3, 0x21) == ALLOW
    assert decide(program, machine, numbers["memfd_create"]) == ALLOW
    assert decide(program, machine, numbers["ptrace"]) == refused(errno.EPERM)


CONDITIONS = st.builds(
    Condition,
    argument=st.integers(0, 5),
    value=st.integers(0, 3),
    mask=st.sampled_from([1, 2, 3, 0xFFFFFFFF]),
    equal=st.booleans(),
)
RULES = st.lists(
    st.builds(
        Rule,
        calls=st.lists(st.sampled_from(["ptrace", "mmap", "clone"]), min_size=1).map(tuple),
        action=st.integers(0, 100).map(lambda code: ERRNO | code),
        conditions=st.lists(CONDITIONS, max_size=4).map(tuple),
    ),
    max_size=8,
)


@given(RULES, st.sampled_from(MACHINES), st.lists(st.integers(0, 4), min_size=6, max_size=6))
def test_the_assembler_means_what_the_rules_say(
    rules: list[Rule], machine: str, arguments: list[int]
) -> None:
    numbers = syscall_numbers(machine)
    for call in ("ptrace", "mmap", "clone"):
        expected = ALLOW
        for rule in rules:
            holds = all(
                ((arguments[c.argument] & c.mask) == c.value) is c.equal for c in rule.conditions
            )
            if call in rule.calls and holds:
                expected = rule.action
                break
        assert decide(assemble(machine, rules), machine, numbers[call], *arguments) == expected


def test_an_unknown_machine_is_an_error() -> None:
    with pytest.raises(SandboxError, match="pdp11"):
        namespace_filter("pdp11")


@pytest.mark.parametrize(
    ("machine_name", "header"),
    [
        ("x86_64", "/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
        ("aarch64", "/usr/include/asm-generic/unistd.h"),
    ],
)
def test_the_numbers_are_the_kernels(machine_name: str, header: str) -> None:
    path = Path(header)
    if not path.is_file():
        pytest.skip(f"{header} is not installed")
    pattern = re.compile(r"#define __NR(?:3264)?_(\w+)\s+(\d+)")
    kernel = {name: int(number) for name, number in pattern.findall(path.read_text())}
    ours = syscall_numbers(machine_name)
    compared = ours.keys() & kernel.keys()
    assert len(compared) > 70
    assert {name: ours[name] for name in compared} == {name: kernel[name] for name in compared}
