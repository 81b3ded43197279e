# SPDX-License-Identifier: BSD-3-Clause
"""A laboratory of class D: an appliance behind a veth pair in a namespace of this process, which is
killed and started again on one state, with producers and a subscriber that outlive it, and the
checker over everything at the end."""
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import atr_harness as harness
import atrlog
import classd_check
import classd_forge
import classd_producer
import classd_record
import classd_subscriber
import lab
import plan

HERE = os.path.dirname(os.path.abspath(__file__))
PRODUCER_PORT = 42000
START = 150  # seconds that a start may take on a machine with much else to do


def digests(directory):
    """path -> SHA-256 of every file below."""
    found = {}
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, 'rb') as file:
                found[os.path.relpath(path, directory)] = hashlib.file_digest(
                    file, 'sha256').hexdigest()
    return found


class Lab:
    """args: of atr. shards: how many. environment: of atr. log: where the log lies, by default in
    the state. fresh: in a namespace of its own."""

    def __init__(self, args=(), shards=1, value=None, log=None, environment=None, fresh=True):
        if fresh:
            harness.private_namespace()
            harness.veth(mac=lab.OUR_MAC)
        self.work = tempfile.mkdtemp(prefix='atr-class-d-')
        self.plan = plan.write(f'{self.work}/plan.json', value or classd_forge.class_d_plan())
        self.shards, self.environment = shards, environment or {}
        self.args = ['--addr', f'0={lab.APPLIANCE_IP}/24', '--shards', shards, *args]
        self.state, self.log = f'{self.work}/state', log or f'{self.work}/state/log'
        if log:
            self.args += ['--log', log]
        self.atr, self.keys, self.starts, self.notes = None, None, [], []
        self.children, self.journals, self.served = [], [], []

    # --- the appliance ---

    def appliance(self, *more, pipeline=True):
        queues = f',qpairs={self.shards}' if self.shards > 1 else ''
        atr = harness.Appliance(self.plan if pipeline else None,
                                [f'net_af_packet0,iface=veth0{queues}'], [*self.args, *more],
                                work=self.work)
        if self.environment:
            atr.command = ['env', *(f'{name}={value}' for name, value in
                                    self.environment.items()), *atr.command]
        return atr

    def start(self, *more, pipeline=True):
        """Starts, and waits until it serves; seconds that took."""
        self.atr = self.appliance(*more, pipeline=pipeline)
        begun = time.monotonic()
        self.starts.append(time.time_ns())
        try:
            self.atr.start(START)
        except BaseException:
            self.kill()  # or it would poll on when the test is gone
            raise
        status = self.atr.query('/atr/status')
        keys = tuple(bytes.fromhex(status[name]) for name in ('acks_key', 'checkpoint_key'))
        assert self.keys in (None, keys), 'the appliance has other keys than before'
        self.keys = keys
        self.served.append(time.monotonic() - begun)
        return self.served[-1]

    def refused(self, *more, seconds=START):
        """Starts an appliance that must refuse to; what it printed."""
        atr = self.appliance(*more)
        try:
            atr.start(seconds)
        except AssertionError:
            assert atr.process.poll() is not None, f'atr neither serves nor ends: {atr.tail()}'
            assert atr.process.returncode > 0, f'atr died: {atr.tail()}'
            return atr.tail(40)
        atr.kill()
        raise AssertionError('atr starts')

    def checkpoints(self):
        """Takes note of what each shard has signed."""
        for shard in range(self.shards):
            pieces = self.atr.query(f'/atr/checkpoint,{shard}')['note_hex']
            if pieces:
                self.notes.append(bytes.fromhex(''.join(pieces)).decode())

    def kill(self):
        self.atr.process.kill()
        self.atr.process.wait()
        self.tidy()

    def stop(self):
        try:
            return self.atr.stop()
        finally:
            self.tidy()

    def tidy(self):
        shutil.rmtree(f'/var/run/dpdk/{self.atr.prefix}', ignore_errors=True)

    # --- others ---

    def _spawn(self, script, *args):
        child = subprocess.Popen([sys.executable, f'{HERE}/{script}', *map(str, args)],
                                 stdout=subprocess.PIPE, text=True)
        self.children.append(child)
        return child

    def journal(self, name):
        path = f'{self.work}/{name}.jsonl'
        if path not in self.journals:
            self.journals.append(path)
        return path

    def producer_process(self, source, **options):
        words = [word for name, value in options.items() for word in (f'--{name}', value)]
        return self._spawn('classd_producer.py', '--journal', self.journal(source), '--source',
                           source, '--port', PRODUCER_PORT + plan.SOURCES[source][0],
                           '--acks-key', self.keys[0].hex(), *words)

    def producer(self, source, **options):
        """A producer in this process."""
        return classd_producer.Producer(self.journal(source), source,
                                        PRODUCER_PORT + plan.SOURCES[source][0], self.keys[0],
                                        **options)

    def subscriber_process(self):
        path = self.journal('subscriber')
        child = self._spawn('classd_subscriber.py', '--journal', path)
        harness.wait_for('the subscriber to listen', lambda: os.path.exists(path), 20)
        return child

    @staticmethod
    def finish(child, seconds=60):
        """Ends a child as a person would; what it printed, as JSON."""
        child.send_signal(signal.SIGTERM)
        out, _ = child.communicate(timeout=seconds)
        return json.loads(out) if out.strip() else None

    def fill(self, seconds=30):
        """Listens on in place of the subscriber until every known gap is filled."""
        follower = classd_subscriber.Follower(self.journal('subscriber'))
        try:
            # Two heartbeats: each session tells how far it goes.
            end = time.monotonic() + 2.2
            while time.monotonic() < end:
                follower.step()
            end = time.monotonic() + seconds
            while follower.missing():
                assert time.monotonic() < end, f'gaps are not filled: {follower.missing()}'
                follower.step()
        finally:
            follower.close()
        return follower

    def pause(self, seconds, *steppers):
        """Lets time pass, and steps what runs in this process."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for one in steppers:
                one.step()
            if not steppers:
                time.sleep(0.05)

    def settle(self, producer, seconds=30):
        """Steps a producer in this process until it waits for nothing."""
        producer.stopping = True
        end = time.monotonic() + seconds
        while producer.open:
            assert time.monotonic() < end, (
                f'not settled: {producer.summary()}; {self.atr.query("/atr/ledger")}; '
                f'{self.atr.reasons()}')
            producer.step()
        producer.stopping = False

    # --- judgement ---

    def judge(self, complete=True, digest_pairs=()):
        """The checker over everything; fails with the first violations. Returns the figures."""
        evidence = classd_record.Evidence().read(*(p for p in self.journals if os.path.exists(p)))
        evidence.starts = self.starts
        shards = atrlog.read(self.log)
        found, figures = classd_check.check(
            evidence, shards, self.keys[0], complete=complete, notes=self.notes,
            checkpoint_key=self.keys[1], digests=digest_pairs)
        assert not found, f'{len(found)} violations: ' + '; '.join(found[:10])
        return figures

    def close(self):
        for child in self.children:
            if child.poll() is None:
                child.kill()
                child.wait()
        if self.atr:
            self.atr.kill()
            self.tidy()
        if os.environ.get('ATR_E2E_KEEP'):
            print(f'# kept {self.work}')
        else:
            shutil.rmtree(self.work, ignore_errors=True)
