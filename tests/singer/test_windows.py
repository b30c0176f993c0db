"""What Windows lacks is not needed to import this package."""

import subprocess
import sys

IMPORT_WITHOUT = """
import importlib, os, pkgutil, select, signal, socket, sys
import target_mixpanel

def import_all():
    found = pkgutil.walk_packages(target_mixpanel.__path__, "target_mixpanel.")
    for name in sorted(each.name for each in found):
        if not name.endswith("__main__"):
            importlib.import_module(name)

import_all()  # what others need of this platform they have now
for name in [name for name in sys.modules if name.partition(".")[0] == "target_mixpanel"]:
    del sys.modules[name]
for name in ("fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"):
    sys.modules[name] = None
for module, names in {
    os: "O_ASYNC O_CLOEXEC O_DIRECTORY O_DSYNC O_NOCTTY O_NOFOLLOW O_NONBLOCK O_SYNC O_TMPFILE "
        "EX_OK WNOHANG chown chroot fchmod fchown fork forkpty geteuid getgid getpgid "
        "getuid initgroups killpg mkfifo nice openpty pread preadv pwrite pwritev register_at_fork "
        "sched_getaffinity sendfile setsid setuid sync sysconf uname wait4 waitid writev",
    select: "EPOLLIN POLLHUP POLLIN POLLOUT epoll kqueue poll",
    signal: "SIGALRM SIGCHLD SIGHUP SIGKILL SIGPIPE SIGQUIT SIGTSTP SIGUSR1 SIGUSR2 SIG_BLOCK "
        "alarm pthread_kill pthread_sigmask setitimer siginterrupt sigwait",
    socket: "AF_UNIX MSG_DONTWAIT SO_REUSEPORT",
}.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
target_mixpanel = importlib.import_module("target_mixpanel")
import_all()
"""


def test_every_module_imports_without_what_windows_lacks():
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_WITHOUT], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
