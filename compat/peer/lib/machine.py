"""A machine beside this one: the same files (copy on write), a systemd of its own, a loopback of its own."""
import os
import shutil
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SYSTEMD = "/lib/systemd/systemd"
CGROUPS = ["/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified"]


def impossible():
    """Why no such machine can be made here; None if one can."""
    if os.geteuid() != 0:
        return "it needs root, for namespaces and mounts"
    for program in (SYSTEMD, *map(shutil.which, ("unshare", "nsenter", "ip", "systemctl"))):
        if not program or not os.path.exists(program):
            return "it needs systemd, util-linux and iproute2"
    if not any(os.path.exists(os.path.join(folder, "cgroup.procs")) for folder in CGROUPS):
        return "there are no control groups to be managed"
    done = subprocess.run(["unshare", "--mount", "--pid", "--fork", "--net", "--cgroup", "true"], capture_output=True, check=False)
    return None if done.returncode == 0 else "namespaces are not allowed: " + done.stderr.decode().strip()


class Machine:
    """`with Machine(tell) as machine`: boots it, and ends everything in it.

    `tell(machine)` is added to what is said when something does not come true in time.
    """

    def __init__(self, tell):
        self.tell = tell

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="vigia-machine-")
        self.groups = [os.path.join(folder, os.path.basename(self.folder)) for folder in CGROUPS
                       if os.path.exists(os.path.join(folder, "cgroup.procs"))]
        for group in self.groups:
            os.mkdir(group)
        self.log = open(self.folder + ".log", "wb")  # noqa: SIM115 - closed at the end
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--uts", "--ipc", "--net", "--cgroup",
             os.path.join(HERE, "boot"), self.folder],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=self._enter_groups,
        )
        try:
            self.wait("it boots", lambda: self.run("systemctl", "is-system-running") == "running")
        except BaseException:
            self.__exit__()
            raise
        return self

    def _enter_groups(self):
        for group in self.groups:
            with open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii") as procs:
                procs.write(str(os.getpid()))

    def __exit__(self, *_):
        first = self._first()
        if first:
            os.kill(first, 9)
        self.process.kill()
        self.process.wait()
        self.log.close()
        for group in self.groups:
            for folder, _, _ in os.walk(group, topdown=False):
                for _ in range(100):
                    try:
                        os.rmdir(folder)
                        break
                    except OSError:
                        time.sleep(0.02)
        os.rmdir(self.folder)
        os.unlink(self.log.name)

    def _first(self):
        """Its first process, by our number."""
        path = f"/proc/{self.process.pid}/task/{self.process.pid}/children"
        with open(path, encoding="ascii") as children:
            return next((int(child) for child in children.read().split()), None)

    def run(self, *words):
        """What a command says in it, without the last end of line; errors too."""
        first = self._first()
        if not first:
            return ""
        enter = ["nsenter", "--target", str(first), "--all", "--root", "--wd", *words]
        done = subprocess.run(enter, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return done.stdout.decode("utf-8", "replace").strip("\n")

    def put(self, source, target):
        """Copies a file of this machine over one of that machine."""
        with open(source, "rb") as data:
            enter = ["nsenter", "--target", str(self._first()), "--all", "--root", "--wd"]
            command = ["sh", "-c", 'cat >"$0.new" && chmod 755 "$0.new" && mv "$0.new" "$0"', target]
            subprocess.run([*enter, *command], stdin=data, check=True)

    def wait(self, what, condition, seconds=30):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                with open(self.log.name, encoding="utf-8", errors="replace") as log:
                    console = log.read()[-2000:]
                journal = self.run("journalctl", "--no-pager", "--lines=20")
                raise AssertionError(f"timed out: {what}\n{console}\n{journal}\n{self.tell(self)}")
            time.sleep(0.05)
