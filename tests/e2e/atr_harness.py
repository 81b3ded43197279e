# SPDX-License-Identifier: BSD-3-Clause
"""Starts the appliance, talks to its telemetry socket, holds its ledgers, and runs test cases.

ATR_BUILD names the build directory. A namespace made here is anonymous and dies with the process,
so that nothing is left behind however a test ends."""
import ctypes
import glob
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get('ATR_BUILD', os.path.join(ROOT, 'build'))
ATR = os.path.join(BUILD, 'app/atr/atr')
ATRCTL = os.path.join(BUILD, 'app/atrctl/atrctl')
CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_REC_PRIVATE = 0x4000 | 0x40000
SEGMENT_BYTES = 8 << 20  # of the log: small, so that a test does not wait for zeros
CASES = []


def case(function):
    """Marks a test case; they run in the order of the file."""
    CASES.append(function)
    return function


class Report:
    """Runs the cases of a script and prints "ok NAME" or "not ok NAME: why" for each."""

    @staticmethod
    def main(laboratory=None):
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        failed, only = 0, sys.argv[1:]
        lab = None
        try:
            lab = laboratory() if callable(laboratory) else laboratory
        except Exception as error:  # pylint: disable=broad-except
            traceback.print_exc()
            print(f'not ok start: {describe(error)}', flush=True)
            sys.exit(1)
        try:
            for function in CASES:
                name = function.__name__
                # Not those of a script that was imported for what it offers.
                if function.__module__ != '__main__' or (only and name not in only):
                    continue
                try:
                    function(lab)
                    print(f'ok {name}', flush=True)
                except Exception as error:  # pylint: disable=broad-except
                    failed += 1
                    traceback.print_exc()
                    print(f'not ok {name}: {describe(error)}', flush=True)
        finally:
            if hasattr(lab, 'close'):
                lab.close()
        sys.exit(1 if failed else 0)


def describe(error):
    last = traceback.extract_tb(error.__traceback__)[-1]
    text = f'{type(error).__name__}: {error}' if str(error) else f'{last.line}'
    return f'{os.path.basename(last.filename)}:{last.lineno} {text}'.replace('\n', ' ')[:600]


def wait_for(what, condition, seconds=10.0, step=0.02):
    """Waits until condition() is true and returns its value; fails by name otherwise."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f'waited {seconds} s in vain for {what}')
        time.sleep(step)


def run(*command, check=True):
    done = subprocess.run(command, capture_output=True, text=True)
    if check and done.returncode:
        raise AssertionError(f'{" ".join(command)}: {done.stderr.strip() or done.stdout.strip()}')
    return done.stdout


def _libc(name, *args):
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*args):
        raise OSError(ctypes.get_errno(), f'{name}: {os.strerror(ctypes.get_errno())}')


def private_namespace():
    """Moves this process into network and mount namespaces of its own."""
    _libc('unshare', CLONE_NEWNET | CLONE_NEWNS)
    _libc('mount', b'none', b'/', None, ctypes.c_ulong(MS_REC_PRIVATE), None)
    for name in 'all', 'default':
        with open(f'/proc/sys/net/ipv6/conf/{name}/disable_ipv6', 'w') as file:
            file.write('1')
    run('ip', 'link', 'set', 'lo', 'up')


def tmpfs(path, size):
    """Mounts a tmpfs of size bytes, seen by this process and its children only."""
    os.makedirs(path, exist_ok=True)
    run('mount', '-t', 'tmpfs', '-o', f'size={size}', 'tmpfs', path)
    return path


def veth(appliance='veth0', ours='veth1', ip='10.77.0.2/24', mac=None):
    """A pair of interfaces: one for the appliance, one with an address for our sockets."""
    run('ip', 'link', 'add', appliance, 'type', 'veth', 'peer', 'name', ours)
    for name in appliance, ours:
        # veth hands on partial checksums and unsegmented packets; a wire does not.
        run('ethtool', '-K', name, 'tx', 'off', 'rx', 'off', 'gso', 'off', 'tso', 'off',
            'gro', 'off', check=False)
        run('ip', 'link', 'set', name, 'mtu', '1500')
    if mac:
        run('ip', 'link', 'set', ours, 'address', mac)
    if ip:
        run('ip', 'addr', 'add', ip, 'dev', ours)
    for name in appliance, ours:
        run('ip', 'link', 'set', name, 'up')


def interface_mac(name):
    # sysfs shows the namespace it was mounted in, so ask over netlink.
    return json.loads(run('ip', '-j', 'link', 'show', name))[0]['address']


def total(value):
    """A number, or the sum of a dict of numbers."""
    return sum(total(v) for v in value.values()) if isinstance(value, dict) else value


class Appliance:
    """One running atr. Use as a context manager. durability: the class that the test is about."""

    def __init__(self, plan, vdevs, args=(), data_lcores=1, work=None, check=True, memory=512,
                 durability='commit'):
        self.work = work or tempfile.mkdtemp(prefix='atr-e2e-')
        self.own_work = work is None
        self.prefix = f'{os.environ.get("ATR_RUN_ID", "e2e")}-{os.getpid()}-{random.randrange(1e6)}'
        self.state, self.quarantine = (os.path.join(self.work, n) for n in ('state', 'quarantine'))
        cpus = ','.join(map(str, sorted(os.sched_getaffinity(0))))
        # Lcores float over all CPUs, so that there may be more of them than CPUs.
        self.command = [ATR, '--lcores', f'(0-{data_lcores})@({cpus})', '--no-huge', '-m',
                        str(memory), '--no-pci', '--file-prefix', self.prefix]
        for vdev in vdevs:
            self.command += ['--vdev', vdev]
        self.command += ['--', *(['--pipeline', plan] if plan else []), '--state', self.state,
                         '--quarantine', self.quarantine, '--durability', durability,
                         '--log-segment-bytes', str(SEGMENT_BYTES), *map(str, args)]
        self.process, self.check, self.socket_path, self.output = None, check, None, ''
        self.ledgers_read = 0
        self.early = []  # what /atr/status answered while it started, and once it was there

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        self.kill() if kind else self.stop()
        if self.own_work:
            shutil.rmtree(self.work, ignore_errors=True)

    def start(self, seconds=40):
        os.makedirs(self.state, exist_ok=True)
        self.log = os.path.join(self.work, f'atr-{self.prefix}.log')
        # Of use to sanitizer builds only.
        suppressions = f'suppressions={ROOT}/tests/lsan.supp:print_suppressions=0'
        environment = dict(os.environ, XDG_RUNTIME_DIR=self.work, LSAN_OPTIONS=suppressions)
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env=environment)
        wait_for('the appliance to answer /atr/status', self._ready, seconds, 0.05)
        return self

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f'atr ended with {self.process.returncode}: {self.tail()}')
        for path in (f'/var/run/dpdk/{self.prefix}/dpdk_telemetry.v2',
                     f'{self.work}/dpdk/{self.prefix}/dpdk_telemetry.v2'):
            if os.path.exists(path):
                self.socket_path = path
                try:
                    self.early.append(self.query('/atr/status'))
                    return bool(self.early[-1]) and 'state' in self.early[-1]
                except (OSError, ValueError, KeyError):
                    return False
        return False

    def tail(self, lines=12):
        with open(self.log, encoding='utf-8', errors='replace') as file:
            return ' | '.join(line.rstrip() for line in file.readlines()[-lines:])

    def query(self, command):
        """Answer of one telemetry command."""
        return json.loads(self.query_raw(command))[command.split(',')[0]]

    def query_raw(self, command):
        """The same, as it came."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as link:
            link.settimeout(10)
            link.connect(self.socket_path)
            limit = json.loads(link.recv(65536))['max_output_len']
            link.send(command.encode())
            return link.recv(limit + 4096)

    def pages(self, command):
        """All pages of a paged command, merged."""
        merged, offset = {}, 0
        while True:
            page = self.query(f'{command},{offset}')
            following = page.pop('next', None)
            merged.update(page)
            if following is None or int(following) <= offset:
                return merged
            offset = int(following)

    def ledger(self):
        """Both ledgers, which must balance at the moment they are read."""
        reading = self.query('/atr/ledger')
        for kind in 'datagrams', 'events':
            book = reading[kind]
            right = sum(total(book[part])
                        for part in ('admitted', 'refused', 'duplicate', 'in_flight'))
            assert total(book['received']) == right, f'{kind} do not balance: {book}'
        self.ledgers_read += 1
        return reading

    def reasons(self):
        """name -> {'datagrams': n, 'events': n} of every refusal so far."""
        page = self.pages('/atr/reasons')
        return page.get('reasons', page)

    def durable(self, seconds=20):
        """Waits until what was logged is durable and all told; /atr/log by shard."""
        def done():
            logs = self.pages('/atr/log')
            return all(one['groups_under_way'] == 0 for one in logs.values()) and (logs or True)
        return wait_for('the log to be durable', done, seconds)

    def settled(self, received, seconds=20):
        """Waits until that many datagrams were received and nothing is in flight."""
        def done():
            self.alive()
            books = self.ledger()
            return (books['datagrams']['received'] >= received and books
                    if total(books['datagrams']['in_flight']) == 0 else None)
        try:
            return wait_for(f'{received} datagrams to be settled', done, seconds, 0.02)
        except AssertionError as error:
            raise AssertionError(f'{error}; ledger {self.query("/atr/ledger")}') from None

    def alive(self):
        assert self.process.poll() is None, (
            f'atr died with {self.process.returncode}: {self.tail()}')

    def audit(self):
        """All lines of the quarantine's audit so far."""
        lines = []
        for path in sorted(glob.glob(self.quarantine + '/*.jsonl')):
            with open(path, encoding='utf-8') as file:
                # The last line may be half written while the appliance runs.
                lines += [json.loads(line) for line in file if line.endswith('\n')]
        return lines

    def threads(self):
        """name -> thread id."""
        found = {}
        for path in glob.glob(f'/proc/{self.process.pid}/task/*/comm'):
            try:
                with open(path) as file:
                    found[file.read().strip()] = int(path.split('/')[4])
            except FileNotFoundError:
                continue  # that thread, of a telemetry client's, has ended
        return found

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self, seconds=30):
        """Ends the appliance as a person would; it must go quietly. Returns what it printed."""
        if self.process and self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f'atr did not stop in {seconds} s: {self.tail()}') from None
        with open(self.log, encoding='utf-8', errors='replace') as file:
            self.output = file.read()
        for word in 'ERROR: AddressSanitizer', 'runtime error:', 'Segmentation':
            assert word not in self.output, f'atr printed "{word}": {self.tail(40)}'
        if self.check:
            assert self.process.returncode == 0, f'atr: {self.process.returncode}: {self.tail()}'
        return self.output

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if os.environ.get('ATR_E2E_VERBOSE') and os.path.exists(self.log):
            sys.stderr.write(open(self.log, errors='replace').read())
