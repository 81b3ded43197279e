# SPDX-License-Identifier: BSD-3-Clause
"""Starts and ends what is compared: servers on loopback with files in a directory of their own."""
import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

HOST = '127.0.0.1'
PR_SET_PDEATHSIG = 1
START_SECONDS = 15
STOP_SECONDS = 10
LIBC = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """A pass that does not count, with the reason."""


def child_setup(cpus):
    """What a child does before it starts: it dies with us and keeps to its CPUs."""
    def setup():
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if cpus:
            os.sched_setaffinity(0, cpus)
    return setup


def start(command, cpus=None, **more):
    return subprocess.Popen(list(map(str, command)), preexec_fn=child_setup(cpus), **more)


def end(process):
    """Ends a process of ours, gently at first."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port():
    with socket.socket() as one:
        one.bind((HOST, 0))
        return one.getsockname()[1]


class Server:
    """A server on a free port of loopback, or none (command() is None: the publisher listens).
    Use as a context manager; address is where clients go."""

    def __init__(self, cpus=None, work=None):
        self.cpus, self.parent = cpus, work
        self.process = self.directory = self.address = None

    def command(self, port):
        """How it is started; may write configuration to self.directory."""
        raise NotImplementedError

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix='compare-', dir=self.parent)
        try:
            self.open()
        except BaseException:
            self.__exit__()
            raise
        return self

    def open(self):
        port = free_port()
        self.address = f'{HOST}:{port}'
        command = self.command(port)
        if not command:
            return
        self.log = os.path.join(self.directory, 'server.log')
        with open(self.log, 'wb') as log:
            self.process = start(command, self.cpus, stdout=log, stderr=log,
                                 stdin=subprocess.DEVNULL, cwd=self.directory)
        until = time.monotonic() + START_SECONDS
        while True:
            self.alive()
            try:
                socket.create_connection((HOST, port), 1).close()
                return
            except OSError:
                if time.monotonic() > until:
                    raise Failed(f'{command[0]} did not listen: {self.tail()}') from None
                time.sleep(0.02)

    def alive(self):
        if self.process and self.process.poll() is not None:
            raise Failed(f'the server ended with {self.process.returncode}: {self.tail()}')

    def tail(self):
        with open(self.log, encoding='utf-8', errors='replace') as file:
            return ' | '.join(line.rstrip() for line in file.readlines()[-5:])

    def __exit__(self, *_):
        if self.process:
            end(self.process)
        shutil.rmtree(self.directory, ignore_errors=True)


class NoServer(Server):
    def command(self, port):
        return None


class Nats(Server):
    """max_pending, what the server keeps for a subscriber that reads slowly, is raised so that it
    slows the publisher instead of cutting the subscriber off."""
    jetstream = False

    def command(self, port):
        path = os.path.join(self.directory, 'nats.conf')
        with open(path, 'w', encoding='utf-8') as file:
            file.write(f'listen: "{HOST}:{port}"\nmax_pending: 1GB\nwrite_deadline: "60s"\n')
            if self.jetstream:
                file.write(f'jetstream {{ store_dir: "{self.directory}/store", '
                           'max_file_store: 16GB }\n')
        return ['nats-server', '-c', path]


class JetStream(Nats):
    jetstream = True


class Redis(Server):
    """fsync: no append-only file at all (None), or appendfsync."""
    fsync = None

    def command(self, port):
        persist = ['--appendonly', 'yes', '--appendfsync', self.fsync] if self.fsync else [
            '--appendonly', 'no']
        return ['redis-server', '--port', port, '--bind', HOST, '--dir', self.directory, '--save',
                '', '--daemonize', 'no', '--client-output-buffer-limit', 'normal 0 0 0', *persist,
                # A rewrite of the file in the middle of a pass would be measured, too.
                '--auto-aof-rewrite-percentage', '0']


class RedisSecond(Redis):
    fsync = 'everysec'


class RedisAlways(Redis):
    fsync = 'always'
