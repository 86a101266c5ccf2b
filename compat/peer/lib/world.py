"""Starts and ends the programs that are compared: redis-server groups and sentinels.

They end however the script ends: by a signal as well, and should it be killed, the kernel ends each of them with it.
"""
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from resp import TLS_PORTS, Closed, Connection, pairs

ROOT = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../.."))
STOCK = os.environ.get("STOCK_SENTINEL", "redis-sentinel")
VIGIA = os.environ.get("VIGIA", os.path.join(ROOT, "target/debug/vigia"))
PROGRAMS = {"stock": STOCK, "vigia": VIGIA}

_LIBC = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1


def die_with(parent):
    """For a child that `parent` has just started: the kernel kills it when the thread that started it ends."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


# Worlds that are in use.
_OPEN = []


def _end(number, _):
    """A signal ends all worlds, then the script."""
    for world in list(_OPEN):
        world.__exit__()
    if threading.active_count() > 1:
        # The others wait for what has just ended.
        os._exit(128 + number)
    sys.exit(128 + number)


for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(_number, _end)


def wait_for(what, condition, seconds=60):
    """Waits until `condition` is true, and returns what it returned."""
    end = time.monotonic() + seconds
    while True:
        try:
            found = condition()
        except (OSError, Closed):
            found = None
        if found:
            return found
        if time.monotonic() > end:
            raise AssertionError(f"timed out: {what}")
        time.sleep(0.02)


def free_port():
    """A port below the range from which the system takes ports of its own."""
    while True:
        port = random.randint(15000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class World:
    """A folder and the processes started in it; `with World() as world`."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="vigia-peer-")
        self.processes = []
        # Certificates: from then on every program listens with TLS only.
        self.tls = None
        # Vigía under the name of the original, as which it then answers.
        self.programs = {**PROGRAMS, "as-redis": self.path("redis-sentinel")}
        os.symlink(os.path.abspath(VIGIA), self.programs["as-redis"])

    def _listen(self, port):
        """Directives for a port."""
        if self.tls is None:
            return f"port {port}\n"
        TLS_PORTS[port] = self.tls.context()
        return "".join(line + "\n" for line in ("port 0", f"tls-port {port}", *self.tls.lines()))

    def __enter__(self):
        _OPEN.append(self)
        return self

    def __exit__(self, *_):
        if self in _OPEN:
            _OPEN.remove(self)
        for process in self.processes:
            if process.poll() is None:
                process.kill()
        for process in self.processes:
            process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def spawn(self, name, words, **more):
        """Starts a program; its output goes to the file `name`.log."""
        with open(self.path(name + ".log"), "ab") as log:
            return self.popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, **more)

    def popen(self, words, preexec_fn=lambda: None, **more):
        """As subprocess.Popen; the process ends with this world."""
        here = os.getpid()

        def prepare():
            preexec_fn()
            die_with(here)

        process = subprocess.Popen(words, preexec_fn=prepare, **more)
        self.processes.append(process)
        return process

    def log(self, name):
        with open(self.path(name + ".log"), encoding="utf-8", errors="replace") as log:
            return log.read()

    def _listening(self, name, start, seconds=30):
        """Calls `start(port)` with free ports until the program answers there."""
        for _ in range(10):
            port = free_port()
            process = start(port)
            end = time.monotonic() + seconds
            while process.poll() is None and time.monotonic() < end:
                try:
                    reply = Connection(port).call("PING")[1]
                    if "PONG" in reply or "NOAUTH" in reply:
                        return port, process
                except (OSError, Closed):
                    pass
                time.sleep(0.02)
            if process.poll() is None:
                process.kill()
            elif "in use" not in self.log(name):
                break
        raise AssertionError(f"{name} does not start:\n{self.log(name)}")

    def redis(self, name, *options):
        """A redis-server without persistence."""
        def start(port):
            folder = self.path(f"{name}-{port}")
            os.mkdir(folder)
            with open(os.path.join(folder, "redis.conf"), "w", encoding="utf-8") as conf:
                conf.write(f"{self._listen(port)}bind 127.0.0.1\ndir {folder}\nsave \"\"\nrepl-diskless-sync-delay 0\n")
                conf.write("".join(line + "\n" for line in options))
            return self.spawn(name, ["redis-server", os.path.join(folder, "redis.conf")])
        return Node(self, name, *self._listening(name, start))

    def sentinel(self, name, program, lines, **more):
        """A sentinel of the `program` (stock or vigia) with these lines of configuration."""
        def start(port):
            with open(self.path(name + ".conf"), "w", encoding="utf-8") as conf:
                conf.write(f"{self._listen(port)}bind 127.0.0.1\n" + "".join(line + "\n" for line in lines))
            return self.spawn(name, [self.programs.get(program, program), self.path(name + ".conf")], **more)
        return Node(self, name, *self._listening(name, start))

    def restart(self, node, program):
        """Starts a sentinel that has ended again, from the file that it left, maybe as the other program."""
        process = self.spawn(node.name, [self.programs[program], self.path(node.name + ".conf")])
        node.process = process
        def answers():
            if process.poll() is not None:
                raise AssertionError(f"{node.name} does not start again as {program}:\n{self.log(node.name)[-2000:]}")
            return Connection(node.port).call("PING")
        wait_for(f"{node.name} answers", answers)

    def group(self, name, replicas=2, options=(), replica_options=()):
        """A master and its replicas, in sync."""
        master = self.redis(f"{name}-master", *options)
        nodes = [master]
        for index in range(replicas):
            follow = (f"replicaof 127.0.0.1 {master.port}",)
            nodes.append(self.redis(f"{name}-replica{index}", *options, *follow, *replica_options))
        wait_for("replicas in sync", lambda: all("master_link_status:up" in node.info() for node in nodes[1:]))
        return nodes


class Node:
    """One running program that speaks RESP."""

    password = None

    def __init__(self, world, name, port, process):
        self.world, self.name, self.port, self.process = world, name, port, process

    def connect(self):
        connection = Connection(self.port)
        if self.password:
            connection.call("AUTH", self.password)
        return connection

    def call(self, *words):
        connection = self.connect()
        try:
            return connection.call(*words)
        finally:
            connection.close()

    def info(self):
        return self.call("INFO", "replication")[1]

    def master(self, name="m"):
        return pairs(self.call("SENTINEL", "MASTER", name))

    def conf(self):
        with open(self.world.path(self.name + ".conf"), encoding="utf-8") as conf:
            return conf.read()

    def end(self, how=signal.SIGKILL):
        self.process.send_signal(how)
        return self.process.wait(30)
