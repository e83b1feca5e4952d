"""Many small attempts to get out or to change something; says which of them were not refused.

One argument, JSON: `secret` and `shared` host files, `grader` a process id, `tcp` and `udp` ports and `unix`,
`datagram` and `abstract` socket names of the host. Writes attempts.json: name → what was reached,
or null where it was refused.
"""

import contextlib
import ctypes
import json
import mmap
import os
import platform
import resource
import socket
import sys

GIVEN = json.loads(sys.argv[1])
SECRET, GRADER = GIVEN["secret"], GIVEN["grader"]
LIBC = ctypes.CDLL(None, use_errno=True)
X86 = platform.machine() == "x86_64"
ATTEMPTS = {}


def attempt(name):
    def register(function):
        ATTEMPTS[name] = function
        return function

    return register


def call(number_x86, number_arm, *arguments):
    """A raw system call; raises OSError when the kernel refuses."""
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = LIBC.syscall(ctypes.c_long(number_x86 if X86 else number_arm), *words)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def connect(family, kind, address):
    with socket.socket(family, kind) as connection:
        connection.settimeout(0.5)
        connection.connect(address)
        return f"connected to {address}"


def read(path, size=16):
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        return repr(os.read(descriptor, size))
    finally:
        os.close(descriptor)


def write(path):
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644))
    return f"wrote {path}"


@attempt("read a secret file")
def _():
    return read(SECRET)


@attempt("list the secret's folder")
def _():
    return str(os.listdir(os.path.dirname(SECRET)))


@attempt("read a secret through a symbolic link")
def _():
    with contextlib.suppress(FileExistsError):
        os.symlink(SECRET, "innocent")
    return read("innocent")


@attempt("hard-link a secret into the working directory")
def _():
    os.link(SECRET, "linked")
    return read("linked")


@attempt("change a secret file")
def _():
    os.truncate(SECRET, 1)
    return "truncated"


@attempt("read the password file's secrets")
def _():
    return read("/etc/shadow")


@attempt("read the grader's environment")
def _():
    return read(f"/proc/{GRADER}/environ")


@attempt("read the grader's memory")
def _():
    return read(f"/proc/{GRADER}/mem")


@attempt("go through the grader's root folder")
def _():
    return str(os.listdir(f"/proc/{GRADER}/root/home"))


@attempt("find a variable of the grader's environment")
def _():
    return next((name for name in os.environ if name.startswith("GRADER_")), None)


@attempt("inherit an open file of the grader's")
def _():
    found = []
    for descriptor in range(3, 4096):
        with contextlib.suppress(OSError):
            os.fstat(descriptor)
            found.append(descriptor)
    return str(found) if found else None


@attempt("signal the grader")
def _():
    os.kill(GRADER, 0)
    if os.path.exists("/proc/1/stat") and os.getppid() == 1:
        return None if GRADER < 5 else f"process {GRADER}"  # a small number is a process of ours
    return f"process {GRADER}"


@attempt("trace the grader")
def _():
    return str(call(101, 117, 16, GRADER, 0, 0))


@attempt("trace a child of one's own")
def _():
    return str(call(101, 117, 0, 0, 0, 0))


@attempt("read another process's memory by a call")
def _():
    buffer = ctypes.create_string_buffer(8)
    vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)
    return str(call(310, 270, GRADER, vector, 1, vector, 1, 0))


@attempt("change the grader's limits")
def _():
    resource.prlimit(GRADER, resource.RLIMIT_NOFILE, (64, 64))
    return "changed"


@attempt("slow down the grader")
def _():
    os.setpriority(os.PRIO_PROCESS, GRADER, 19)
    return "slowed down"


@attempt("raise a limit")
def _():
    resource.setrlimit(resource.RLIMIT_NPROC, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return "raised"


@attempt("become root")
def _():
    os.setuid(0)
    return "root"


@attempt("write to the system")
def _():
    return write("/usr/planted")


@attempt("write to the root folder")
def _():
    return write("/planted")


@attempt("write to the configuration")
def _():
    return write("/etc/planted")


@attempt("write beside the working directory")
def _():
    return write(os.path.join(os.getcwd(), "..", "planted"))


@attempt("write among the devices")
def _():
    return write("/dev/planted")


@attempt("change an input image")
def _():
    with open(f"{GIVEN['inputs']}/image.png", "ab") as file:
        file.write(b"changed")
    return "changed"


@attempt("add an input image")
def _():
    return write(f"{GIVEN['inputs']}/planted.png")


@attempt("remove an input image")
def _():
    os.unlink(f"{GIVEN['inputs']}/image.png")
    return "removed"


@attempt("change the kernel's settings")
def _():
    descriptor = os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY)
    os.close(descriptor)
    return "opened core_pattern for writing"


@attempt("press the system request key")
def _():
    os.close(os.open("/proc/sysrq-trigger", os.O_WRONLY))
    return "opened for writing"


@attempt("open a disk")
def _():
    for name in ("sda", "vda", "nvme0n1", "mem", "kmsg", "port"):
        with contextlib.suppress(OSError):
            return f"/dev/{name}: " + read(f"/dev/{name}")
    return None


@attempt("make a device")
def _():
    os.mknod("null", 0o20666, os.makedev(1, 3))
    return read("null")


@attempt("reach a TCP port of the host")
def _():
    return connect(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", GIVEN["tcp"]))


@attempt("send a UDP packet to the host")
def _():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.sendto(b"escaped", ("127.0.0.1", GIVEN["udp"]))
    return None  # nobody can refuse this; the host looks whether it came


@attempt("reach the internet")
def _():
    return connect(socket.AF_INET, socket.SOCK_STREAM, ("192.0.2.1", 80))


@attempt("reach a unix socket of the host")
def _():
    return connect(socket.AF_UNIX, socket.SOCK_STREAM, GIVEN["unix"])


@attempt("reach a unix socket through a symbolic link")
def _():
    with contextlib.suppress(FileExistsError):
        os.symlink(os.path.dirname(GIVEN["unix"]), "sockets")
    name = os.path.basename(GIVEN["unix"])
    return connect(socket.AF_UNIX, socket.SOCK_STREAM, f"sockets/{name}")


@attempt("reach an abstract socket of the host")
def _():
    return connect(socket.AF_UNIX, socket.SOCK_STREAM, "\0" + GIVEN["abstract"])


@attempt("send a datagram to a unix socket of the host")
def _():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as connection:
        connection.sendto(b"escaped", GIVEN["datagram"])
    return "sent"


@attempt("send a datagram through one end of a pair")
def _():
    end, _other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    end.sendto(b"escaped", GIVEN["datagram"])
    return "sent"


@attempt("reach the hypervisor (vsock)")
def _():
    with socket.socket(40, socket.SOCK_STREAM):
        return "made a socket"


@attempt("talk to the kernel (netlink)")
def _():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW):
        return "made a socket"


@attempt("use the kernel's ciphers (AF_ALG)")
def _():
    with socket.socket(38, socket.SOCK_SEQPACKET):
        return "made a socket"


@attempt("hide memory in an unnamed file (memfd)")
def _():
    return str(os.memfd_create("hidden"))


@attempt("hide memory in System V shared memory")
def _():
    return str(call(29, 194, 0, 4096, 0o1600))


@attempt("hide memory in a shared anonymous mapping")
def _():
    with mmap.mmap(-1, 4096, mmap.MAP_SHARED | mmap.MAP_ANONYMOUS):
        return "mapped"


@attempt("hide memory behind /dev/zero")
def _():
    descriptor = os.open("/dev/zero", os.O_RDWR)
    with mmap.mmap(descriptor, 4096, mmap.MAP_SHARED):
        return "mapped"


@attempt("hide memory in a message queue")
def _():
    return str(call(68, 186, 0, 0o1600))


@attempt("make a user namespace")
def _():
    return str(call(272, 97, 0x10000000))


@attempt("make a namespace by clone")
def _():
    pid = call(56, 220, 0x10000000 | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "made"


@attempt("make a namespace by clone3")
def _():
    arguments = (ctypes.c_uint64 * 11)(0x10000000, 0, 0, 0, 17)
    pid = call(435, 435, arguments, ctypes.sizeof(arguments))
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    return "made"


@attempt("enter a namespace")
def _():
    return str(call(308, 268, 0, 0))


@attempt("mount a file system")
def _():
    return str(call(165, 40, b"none", b"/tmp", b"tmpfs", 0, 0))


@attempt("change the root folder")
def _():
    os.chroot(".")
    return "changed"


@attempt("use io_uring")
def _():
    return str(call(425, 425, 1, ctypes.create_string_buffer(120)))


@attempt("load a BPF program")
def _():
    return str(call(321, 280, 0, ctypes.create_string_buffer(64), 64))


@attempt("use the performance counters")
def _():
    return str(call(298, 241, ctypes.create_string_buffer(112), 0, -1, -1, 0))


@attempt("use the kernel's keyrings")
def _():
    return str(call(250, 219, 0, -3, 1))


@attempt("handle page faults in user space")
def _():
    return str(call(323, 282, 1))


@attempt("open a file by its handle")
def _():
    handle = ctypes.create_string_buffer(b"\x80\0\0\0", 136)
    return str(call(303, 264, -100, b"/usr", handle, ctypes.create_string_buffer(4), 0))


@attempt("switch off address randomisation")
def _():
    return str(call(135, 92, 0x40000))


@attempt("read the kernel's log")
def _():
    return str(call(103, 116, 3, ctypes.create_string_buffer(64), 64))


@attempt("take another process's descriptor")
def _():
    return str(call(438, 438, os.pidfd_open(GRADER), 1, 0))


@attempt("ask for the size of a file whose path it knows")
def _():
    return str(os.stat(SECRET).st_size)


@attempt("open the grader's shared memory by its name")
def _():
    return read(GIVEN["shared"])


@attempt("change the grader's processor affinity")
def _():
    os.sched_setaffinity(GRADER, os.sched_getaffinity(GRADER))
    return "set"


results = {}
for name, function in ATTEMPTS.items():
    try:
        results[name] = function()
    except (OSError, ValueError) as error:
        results[name] = None
        print(f"{name}: {error}")
for change in (
    lambda: os.chmod(SECRET, 0o777),
    lambda: os.utime(SECRET, (1, 1)),
    lambda: os.chmod(f"{GIVEN['inputs']}/image.png", 0o777),
    lambda: os.utime(f"{GIVEN['inputs']}/image.png", (1, 1)),
    lambda: os.fchmod(os.open(f"{GIVEN['inputs']}/image.png", os.O_RDONLY), 0o777),
    lambda: os.setxattr(f"{GIVEN['inputs']}/image.png", "user.changed", b"1"),
):
    with contextlib.suppress(OSError):  # the host looks whether anything happened
        change()
with open("program.py" if os.path.exists("program.py") else "attempts.py", "w") as file:
    file.write("# the student's own copy is free to change\n")
with open("attempts.json", "w") as file:
    json.dump(results, file)
