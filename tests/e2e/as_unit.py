"""Runs what a systemd unit says as systemd would: with its capabilities, its filters and its view of the file system.

    as_unit.py UNIT KEY INSTANCE [FOLDER...]   the command of KEY (ExecStart, ExecReload, ExecStop), as root, in a mount namespace of
                                   its own. FOLDER stays visible and as writable as it is. AS_UNIT_FILTER=0: without seccomp

For the settings that our units have, and no others: one that is not known here is an error, so that none is passed over. What
systemd-analyze knows of groups of system calls is asked from it.
"""
import ctypes
import os
import resource
import shlex
import subprocess
import sys

libc = ctypes.CDLL(None, use_errno=True)
# Of no meaning for what one process may do; or done here by nature (a process of its own has no other's keyring).
PASSED_OVER = set("""Type RemainAfterExit NotifyAccess ExecStart ExecReload ExecStop Restart RestartSec RestartPreventExitStatus WatchdogSec
    TimeoutStopSec CPUSchedulingPolicy SystemCallErrorNumber SystemCallArchitectures DeviceAllow BindPaths KeyringMode PrivateIPC
    ProtectClock ProtectControlGroups ProtectHostname ProtectKernelLogs ProtectKernelModules ProtectProc PrivateMounts""".split())
DONE = set("""CapabilityBoundingSet RestrictAddressFamilies SystemCallFilter ReadWritePaths LimitMEMLOCK LimitCORE NoNewPrivileges
    ProtectSystem ProtectHome PrivateDevices PrivateTmp ProtectKernelTunables LockPersonality MemoryDenyWriteExecute RestrictNamespaces
    RestrictRealtime RestrictSUIDSGID UMask""".split())


def settings(path):
    section, found = "", {}
    with open(path) as unit:
        for line in map(str.strip, unit):
            if line.startswith("["):
                section = line
            elif section == "[Service]" and line and line[0] not in "#;":
                key, value = line.split("=", 1)
                if key not in PASSED_OVER | DONE:
                    sys.exit(f"as_unit.py does not know {key}=")
                found.setdefault(key, []).append(value)
    return found


def run(*command):
    subprocess.run(command, check=True)


def checked(result, what):
    if result != 0:
        sys.exit(f"{what}: {os.strerror(ctypes.get_errno())}")


# ---- the file system ---------------------------------------------------------------------------------------------------

def mount_points():
    with open("/proc/self/mountinfo") as mounts:
        return [line.split()[4].encode().decode("unicode_escape") for line in mounts]


def below(path, folders):
    return any(path == folder or path.startswith(folder.rstrip("/") + "/") for folder in folders)


def private_devices():
    run("mount", "-t", "tmpfs", "-o", "mode=755,nosuid,noexec", "tmpfs", "/mnt")
    for node in ("null", "zero", "full", "random", "urandom", "tty", "net/tun"):
        os.makedirs(os.path.dirname(f"/mnt/{node}"), exist_ok=True)
        open(f"/mnt/{node}", "w").close()
        run("mount", "--bind", f"/dev/{node}", f"/mnt/{node}")
    run("mount", "--move", "/mnt", "/dev")


def file_system(unit, keep):
    checked(libc.unshare(0x00020000), "unshare")  # CLONE_NEWNS
    run("mount", "--make-rprivate", "/")
    writable = [path.lstrip("-") for path in " ".join(unit["ReadWritePaths"]).split()]
    writable = [os.path.realpath(path) for path in writable if os.path.exists(path)]
    for path in writable:
        run("mount", "--bind", path, path)
    held = [os.open(folder, os.O_PATH | os.O_DIRECTORY) for folder in keep]
    for folder in ("/tmp", "/var/tmp") if "PrivateTmp" in unit else ():
        run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", folder)
    for folder, fd in zip(keep, held):
        os.makedirs(folder, exist_ok=True)
        # mount(8) would follow the link to where the folder cannot be seen any more
        checked(libc.mount(f"/proc/self/fd/{fd}".encode(), folder.encode(), None, 0x1000, None), "bind")
        os.close(fd)
    private_devices()
    for home in ("/home", "/root", "/run/user"):
        if os.path.isdir(home):
            run("mount", "-t", "tmpfs", "-o", "mode=0,ro", "tmpfs", home)
    run("mount", "--bind", "/proc/sys", "/proc/sys")
    if "/proc/sys/net" in writable:
        run("mount", "--bind", "/proc/sys/net", "/proc/sys/net")
    for point in mount_points():
        free = [*writable, *keep, "/tmp", "/var/tmp", "/dev", "/proc"]
        if below(point, ["/proc/sys"]) and not below(point, ["/proc/sys/net"]) or not below(point, free):
            subprocess.run(["mount", "-o", "remount,bind,ro", point], stderr=subprocess.DEVNULL)


# ---- rights ------------------------------------------------------------------------------------------------------------

def capabilities(names):
    known = {}
    with open("/usr/include/linux/capability.h") as header:
        for line in header:
            words = line.split()
            if len(words) == 3 and words[1].startswith("CAP_") and words[2].isdigit():
                known[words[1]] = int(words[2])
    kept = {known[name] for name in names}
    with open("/proc/sys/kernel/cap_last_cap") as last:
        for number in range(int(last.read()) + 1):
            if number not in kept:
                checked(libc.prctl(24, number, 0, 0, 0), "PR_CAPBSET_DROP")


def groups():
    """@NAME: what lies in it, calls and groups."""
    said = subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], check=True, capture_output=True, text=True).stdout
    found, group = {}, None
    for line in said.splitlines():
        if line.startswith("@"):
            group = found.setdefault(line, [])
        elif line.startswith("    ") and line.strip()[0] != "#" and group is not None:
            group.append(line.strip())
        else:  # calls of no group come last
            group = group if line.startswith("    #") else None
    return found


def system_calls(names, known):
    calls = set()
    for name in names:
        calls |= system_calls(known[name], known) if name[0] == "@" else {name}
    return calls


class Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


EQUAL, MASKED_EQUAL, ALLOW, EPERM = 4, 7, 0x7FFF0000, 0x00050001
NAMESPACES = 0x7E020080  # CLONE_NEW*


def only_if(unit):
    """The calls that are allowed with some arguments only: for each, the comparisons of which one must hold."""
    families = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10, "AF_NETLINK": 16}
    wanted = " ".join(unit["RestrictAddressFamilies"]).split()
    limited = {"socket": [Compare(0, EQUAL, families[name], 0) for name in wanted],
               "unshare": [Compare(0, MASKED_EQUAL, NAMESPACES, 0)], "clone": [Compare(0, MASKED_EQUAL, NAMESPACES, 0)],
               "setns": [], "clone3": [], "personality": [Compare(0, EQUAL, 0, 0)], "sched_setscheduler": []}
    for name, arg in (("chmod", 1), ("fchmod", 1), ("fchmodat", 2), ("mkdir", 1), ("mkdirat", 2)):
        limited[name] = [Compare(arg, MASKED_EQUAL, 0o6000, 0)]
    return limited


def system_call_filter(unit):
    allowed, known = set(), groups()
    for value in unit["SystemCallFilter"]:
        calls = system_calls(value.lstrip("~").split(), known)
        allowed = allowed - calls if value[0] == "~" else allowed | calls
    lib = ctypes.CDLL("libseccomp.so.2")
    lib.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(lib.seccomp_init(ctypes.c_uint32(EPERM)))
    limited = only_if(unit)
    for call in sorted(allowed):
        number = lib.seccomp_syscall_resolve_name(call.encode())
        if number < 0:
            continue  # of another machine
        if call == "clone3":  # its flags cannot be seen: libc falls back to clone
            lib.seccomp_rule_add_array(context, ctypes.c_uint32(0x00050026), number, 0, None)  # ENOSYS
        elif call not in limited:
            lib.seccomp_rule_add_array(context, ctypes.c_uint32(ALLOW), number, 0, None)
        else:
            for comparison in limited[call]:
                lib.seccomp_rule_add_array(context, ctypes.c_uint32(ALLOW), number, 1, ctypes.byref(comparison))
    if lib.seccomp_load(context) != 0:
        sys.exit("seccomp_load failed")


def main(path, key, instance, *keep):
    unit = settings(path)
    command = shlex.split(unit[key][0].lstrip("-").replace("%i", instance))
    file_system(unit, keep)
    try:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except ValueError:  # a container that may not
        print("as_unit.py: LimitMEMLOCK= is as before", file=sys.stderr)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(int(unit["UMask"][0], 8))
    os.chdir("/")
    filtered = os.environ.pop("AS_UNIT_FILTER", "1") != "0"
    capabilities(" ".join(unit["CapabilityBoundingSet"]).split())
    checked(libc.prctl(38, 1, 0, 0, 0), "no_new_privs")
    if filtered:
        libc.prctl(65, 1, 0, 0, 0)  # PR_SET_MDWE; of Linux 6.3
        system_call_filter(unit)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
