"""The forking side of a template: what `template.rs` starts once and asks for units. It has loaded what units need and runs no user's
code. A unit is forked twice: the first child is in the process namespace that the server has made and enters the others, the second is
taken in by that namespace's first process when its parent ends. It takes on the unit's user, limits and filters, in the order in
which `spawner.rs` does it between fork and exec, before anything of a user's runs. One that stands by (`spare.rs`) waits between the
two for what it is to be: its folders, which it puts into its root itself, its variables, its limits.
"""
import array
import ctypes
import fcntl
import json
import os
import resource
import socket
import sys

LIBC = ctypes.CDLL(None, use_errno=True)
MAX_ORDER_BYTES = 1 << 20
FILES = 8
# linux/prctl.h, linux/sched.h, linux/seccomp.h
PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 4, 22, 24, 38, 47
CLEAR_ALL, FILTER = 4, 2
NEW_MOUNTS, NEW_NAME, NEW_IPC, NEW_USER, NEW_PROCESSES = 0x20000, 0x4000000, 0x8000000, 0x10000000, 0x20000000
# The same numbers on every architecture that has them.
LANDLOCK_RESTRICT_SELF, CLOSE_RANGE, MOVE_MOUNT = 446, 436, 429
# linux/fcntl.h, linux/mount.h
AT_FDCWD, MOVE_MOUNT_F_EMPTY_PATH = -100, 4
# Where a unit has its files; one that stands by has the socket of its order in the place of the view.
STATUS, VIEW = 3, 4


class Program(ctypes.Structure):
    """`struct sock_fprog`"""
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def prctl(option, *arguments):
    arguments = [*arguments, *[0] * (4 - len(arguments))]
    return LIBC.prctl(option, *[argument if isinstance(argument, ctypes.c_void_p) else ctypes.c_ulong(argument) for argument in arguments])


def serve(number, stand_by=lambda: None):
    """Answers orders until the server is gone. Returns in a unit; one that stands by calls `stand_by` before it waits."""
    orders = socket.socket(fileno=number)
    # An order holds a unit's keys, and the next unit has all of this process's memory: it lies here only, until it is wiped.
    order = bytearray(MAX_ORDER_BYTES)
    whole = (ctypes.c_char * MAX_ORDER_BYTES).from_buffer(order)
    orders.send(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})).encode())
    while True:
        length, parts, _, _ = orders.recvmsg_into([order], socket.CMSG_LEN(FILES * array.array("i").itemsize))
        if not length:
            os._exit(0)
        files = descriptors(parts)
        try:
            # Of this process's children. They end with the namespace, and that with the server.
            check(LIBC.setns(files[2], NEW_PROCESSES), "setns")
            child = os.fork()
        except OSError as error:
            say(files[1], str(error))
            child = None
        if child == 0:
            # Whatever goes wrong, a process that has not become a unit must not come back from here.
            try:
                enter(json.loads(order[:length]), files, order, stand_by)
                return
            except BaseException as error:
                say(files[1], str(error) or type(error).__name__)
                os._exit(126)
        ctypes.memset(whole, 0, length)
        for file in files:
            os.close(file)
        if child:
            os.waitpid(child, 0)


def descriptors(parts):
    """What came beside a message."""
    files = array.array("i")
    for level, kind, data in parts:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            files.frombytes(data[:len(data) - len(data) % files.itemsize])
    return list(files)


def say(status, text):
    try:
        os.write(status, text.encode("utf-8", "replace")[:4096])
    except OSError:
        pass


def enter(order, files, buffer, stand_by):
    """Returns in the unit only. `files` follows where the status is told."""
    first = files[2]
    check(LIBC.setns(first, NEW_MOUNTS | NEW_NAME | NEW_IPC), "setns")
    if order["user_namespace"]:
        check(LIBC.setns(first, NEW_USER), "setns")
    if os.fork():
        # The namespace's first process takes the child in.
        os._exit(0)
    # Out of the template's process group: a signal to one's group stays in the unit.
    os.setsid()
    take_files(files, order["errors"])
    if order["waits"]:
        order = wait(buffer, stand_by)
    confine(order)
    os.chdir(order["folder"])
    os.environ.clear()
    os.environ.update(order["environment"])
    say(STATUS, "k")
    os.close(STATUS)


def wait(buffer, stand_by):
    """Until the server says what this is to be, with its view, where there is one, and the folders that it gets."""
    stand_by()
    say(STATUS, "k")
    orders = socket.socket(fileno=VIEW)
    os.close(STATUS)
    length, parts, _, _ = orders.recvmsg_into([buffer], socket.CMSG_LEN(FILES * array.array("i").itemsize))
    if not length:
        os._exit(0)
    order = json.loads(buffer[:length])
    status, *files = descriptors(parts)
    orders.close()
    view = [files.pop(0)] if order["view"] else []
    for file, place in zip(files, order["attached"], strict=True):
        attach(file, place)
    move_files([status, *view])
    return order


def attach(tree, place):
    """Puts a mount that is nowhere yet over what is at the place."""
    at = [ctypes.c_int(tree), b"", ctypes.c_int(AT_FDCWD), place.encode(), ctypes.c_uint(MOVE_MOUNT_F_EMPTY_PATH)]
    check(LIBC.syscall(ctypes.c_long(MOVE_MOUNT), *at), f"move_mount: {place}")


def take_files(files, apart):
    """Output, errors where they are apart, status and, where there is one, the Landlock rules or the order's socket."""
    output, status, _, *more = files
    errors = more.pop(0) if apart else output
    for file, place in ((os.open("/dev/null", os.O_RDONLY), 0), (output, 1), (errors, 2)):
        os.dup2(file, place)
    move_files([status, *more])
    files[1] = STATUS


def move_files(files):
    """To `STATUS` and on; nothing else stays open."""
    # First out of the way of the places that they are to take.
    copies = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, VIEW + 1) for file in files]
    for file, place in zip(copies, (STATUS, VIEW)):
        os.dup2(file, place, inheritable=False)
    last = STATUS + len(files) - 1
    check(LIBC.syscall(CLOSE_RANGE, ctypes.c_uint(last + 1), ctypes.c_uint(0xFFFFFFFF), 0), "close_range")


def confine(order):
    limits = order["limits"]
    for name in ("CORE", "NOFILE", "FSIZE", "DATA", "CPU"):
        limit(name, limits.get(name))
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("800")
    prctl(PR_CAP_AMBIENT, CLEAR_ALL)
    for capability in range(64):
        # A number that this kernel does not know, or without the right to do it: then there is nothing to drop.
        prctl(PR_CAPBSET_DROP, capability)
    user = order["user"]
    if user is not None:
        for stream in (1, 2):
            os.fchown(stream, user, user)
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    header, none = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    check(LIBC.capset(header, none), "capset")
    limit("NPROC", limits.get("NPROC"))
    check(prctl(PR_SET_NO_NEW_PRIVS, 1), "PR_SET_NO_NEW_PRIVS")
    # A change of user takes it away, as if a program of somebody else's were running.
    check(prctl(PR_SET_DUMPABLE, 1), "PR_SET_DUMPABLE")
    if order["view"]:
        check(LIBC.syscall(LANDLOCK_RESTRICT_SELF, VIEW, 0), "landlock_restrict_self")
        os.close(VIEW)
    for text in order["filters"]:
        code = bytes.fromhex(text)
        program = Program(len(code) // 8, code)
        check(prctl(PR_SET_SECCOMP, FILTER, ctypes.cast(ctypes.byref(program), ctypes.c_void_p)), "PR_SET_SECCOMP")


def limit(name, value):
    """Lowers a limit; never above what the server itself has."""
    if value is None:
        return
    kind = getattr(resource, "RLIMIT_" + name)
    most = resource.getrlimit(kind)[1]
    if most != resource.RLIM_INFINITY:
        value = min(value, most)
    resource.setrlimit(kind, (value, value))
