"""System calls that a submission may not make, as a filter for bubblewrap.

What is refused would give a submission a user namespace, in which it is root, or
memory that no limit counts where there is no control group: files that lie in memory
alone, shared memory without a file, kernel queues.

The filter is a program for the kernel's classic BPF machine, as described in the
kernel's documentation ("Seccomp BPF"); numbers are from the kernel's syscall tables.
"""

import errno
import platform
import struct

LOAD, JUMP_IF_EQUAL, JUMP_IF_AT_LEAST, AND, RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16  # offsets in struct seccomp_data
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
X32 = 0x40000000  # calls from here on are the x32 ABI's, the same under other numbers

NEW_USER = 0x10000000  # CLONE_NEWUSER
SHARED_WITHOUT_FILE = 0x21  # MAP_SHARED | MAP_ANONYMOUS

# By machine: its number in the kernel's audit interface, then numbers of system calls.
MACHINES = {
    "x86_64": {
        "audit": 0xC000003E,
        "refused": {
            **{"unshare": 272, "setns": 308, "ptrace": 101, "process_vm_writev": 311},
            **{"memfd_create": 319, "memfd_secret": 447, "shmget": 29, "msgget": 68},
            **{"mq_open": 240, "add_key": 248, "request_key": 249, "keyctl": 250},
            **{"perf_event_open": 298, "bpf": 321, "userfaultfd": 323},
            **{"io_uring_setup": 425, "clone3": 435},
        },
        "clone": 56,
        "mmap": 9,
    },
    "aarch64": {
        "audit": 0xC00000B7,
        "refused": {
            **{"unshare": 97, "setns": 268, "ptrace": 117, "process_vm_writev": 271},
            **{"memfd_create": 279, "memfd_secret": 447, "shmget": 194, "msgget": 186},
            **{"mq_open": 180, "add_key": 217, "request_key": 218, "keyctl": 219},
            **{"perf_event_open": 241, "bpf": 280, "userfaultfd": 282},
            **{"io_uring_setup": 425, "clone3": 435},
        },
        "clone": 220,
        "mmap": 222,
    },
}


def program(machine=None):
    """The filter as bytes, or None where the machine's system calls are not known.

    Args:
        machine: as `platform.machine()` names it; by default this one.
    """
    calls = MACHINES.get(machine or platform.machine())
    if calls is None:
        return None
    # libc falls back to older calls where a call does not exist.
    absent, denied = ERRNO | errno.ENOSYS, ERRNO | errno.EPERM
    lines = [
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_IF_EQUAL, 1, 0, calls["audit"]),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (JUMP_IF_AT_LEAST, 0, 1, X32),
        (RETURN, 0, 0, absent),
    ]
    for number in calls["refused"].values():
        lines += [(JUMP_IF_EQUAL, 0, 1, number), (RETURN, 0, 0, absent)]
    for number, argument, bits in (
        (calls["clone"], 0, NEW_USER),
        (calls["mmap"], 3, SHARED_WITHOUT_FILE),
    ):
        lines += [
            (JUMP_IF_EQUAL, 0, 5, number),
            (LOAD, 0, 0, FIRST_ARGUMENT + 8 * argument),  # its lower half
            (AND, 0, 0, bits),
            (JUMP_IF_EQUAL, 0, 1, bits),
            (RETURN, 0, 0, denied),
            (RETURN, 0, 0, ALLOW),
        ]
    lines.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("<HBBI", *line) for line in lines)
