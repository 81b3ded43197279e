#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
# needs root: a namespace with a veth pair, loop mounts
"""Class D on disks in trouble: full and slow here, failing in test_disk_broken.py. What cannot be
made durable is neither acknowledged nor published, the appliance says why, keeps answering, and
goes on or stays stopped as documented; after a restart the checker finds nothing wrong."""
import atr_harness as harness
import classd_disk
import lab
from atr_harness import Report, case, wait_for
from disk_trouble import Shim

SEGMENT = 4 << 20
SMALL_DISK = 16  # MiB: room for three segments
SOURCE = 'alpha'
FAST = 1500  # frames a second
FEW_BUFFERS = ['--log-buffers', 2, '--commit-bytes', 16384]  # a producer's window fills them
QUIET = 1.0  # seconds in which nothing may be acknowledged


class Trouble(classd_disk.DiskLab):
    """A lab whose log is on a disk of its own (disk), or behind the shim (shim)."""

    def __init__(self, disk=False, shim=False, args=()):
        self.shim = shim
        super().__init__(['--log-segment-bytes', SEGMENT, *args], SMALL_DISK if disk else 0)

    def prepare(self):
        if not self.shim:
            return
        self.shim = Shim(self.lab.work)
        self.lab.environment = {**self.shim.environment,
                                'ASAN_OPTIONS': 'verify_asan_link_order=0'}
        self.lab.args += ['--log-engine', 'pwritev2']

    def begin(self):
        self.producer = self.lab.producer(SOURCE, rate=FAST)

    def taken(self):
        return self.producer.counts['taken']

    def serve(self, seconds=1.0):
        """Everything is well: what is sent is acknowledged."""
        before = self.taken()
        self.lab.pause(seconds, self.producer)
        self.lab.settle(self.producer)
        assert self.taken() > before, 'nothing was acknowledged'

    def state(self):
        return self.lab.atr.query('/atr/log')['0']

    def until(self, state, seconds=30):
        """Runs load until the log is in a state; what it says."""
        def reached():
            self.producer.step()
            return self.state()['state'] == state
        wait_for(f'the log to be {state}', reached, seconds, 0)
        return self.state()['sentence']

    def shed(self, name):
        """Under load for a while: not a thing is acknowledged, all is refused for that reason, and
        Query still answers."""
        # Buffers that are free still take some frames, and hold them.
        start = self.refusals(name)
        wait_for(name, lambda: self.producer.step() or self.refusals(name) > start, 20, 0)
        before, refused = self.taken(), self.refusals(name)
        self.lab.pause(QUIET, self.producer)
        assert self.taken() == before, f'{self.taken() - before} acknowledged'
        assert self.refusals(name) > refused, self.lab.atr.reasons()
        self.lab.atr.ledger()
        assert self.lab.atr.query('/atr/status')['state'] == 'serving'

    def refusals(self, name):
        return self.lab.atr.reasons().get(name, {}).get('datagrams', 0)

    def end(self):
        """All is settled; gaps are filled; the checker agrees. Returns its figures."""
        self.lab.settle(self.producer)
        self.lab.finish(self.subscriber)
        self.lab.fill()
        self.lab.checkpoints()
        self.lab.stop()
        return self.lab.judge()

    def restart(self):
        """What a person would do about a broken log: repair the disk, start again."""
        self.lab.stop()
        self.lab.judge(complete=False)
        if self.shim:
            self.shim.clear()
        if self.disk:
            self.disk.mount_again()
        self.lab.start()

    def broken(self, *words):
        """The log is broken, for good, and says so."""
        sentence = self.until('broken')
        assert all(word in sentence for word in words), sentence
        self.shed('log_broken')
        if self.shim:
            self.shim.clear()  # the disk is well again: what was promised is not mended by that
        self.shed('log_broken')
        assert self.state()['state'] == 'broken' and self.state()['sentence'] == sentence


@case
def full(_):
    """Invariant: on a full disk all is shed as log_full; when there is room again, what is sent
    again is admitted once."""
    with Trouble(disk=True, args=FEW_BUFFERS) as trouble:
        trouble.serve()
        trouble.disk.fill()
        sentence = trouble.until('full', 60)
        assert 'full' in sentence or 'room' in sentence or 'space' in sentence, sentence
        trouble.shed('log_full')
        trouble.disk.free()
        trouble.until('ok')
        trouble.serve()
        trouble.end()


@case
def full_at_a_restart(_):
    """Invariant: what was logged before a full disk and a kill is delivered after."""
    with Trouble(disk=True) as trouble:
        trouble.serve()
        trouble.disk.fill()
        trouble.until('full', 60)
        trouble.lab.kill()
        trouble.disk.free()
        trouble.lab.start()
        trouble.serve()
        trouble.end()


@case
def slow(_):
    """Invariant: a slow disk delays acknowledgements and sheds as log_wait; nothing is lost."""
    with Trouble(shim=True, args=FEW_BUFFERS) as trouble:
        trouble.serve()
        trouble.shim['sync_us'] = 300_000
        before = trouble.taken()
        wait_for('log_wait', lambda: trouble.producer.step() or trouble.refusals('log_wait'), 30, 0)
        trouble.lab.pause(2, trouble.producer)
        assert trouble.taken() > before, 'nothing is acknowledged'
        assert trouble.state()['state'] == 'ok'
        trouble.lab.atr.ledger()
        trouble.shim['sync_us'] = 0
        trouble.serve()
        trouble.end()


def laboratory():
    lab.exists()
    harness.private_namespace()
    harness.veth(mac=lab.OUR_MAC)


if __name__ == '__main__':
    Report.main(laboratory)
