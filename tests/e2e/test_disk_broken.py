#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
# long
# needs root: a namespace with a veth pair, loop mounts
"""Class D on disks that fail: writes, syncs, a whole file system, one that makes itself read-only.
The log is broken until a restart, and after it the checker finds nothing wrong."""
import errno

from atr_harness import Report, case
from test_disk import Trouble, laboratory


@case
def failed_write(_):
    """Invariant: after EIO on a write nothing is acknowledged until a restart."""
    with Trouble(shim=True) as trouble:
        trouble.serve()
        trouble.shim['write_errno'] = errno.EIO
        trouble.broken('write')
        trouble.restart()
        trouble.serve()
        trouble.end()


@case
def failed_sync(_):
    """Invariant: after EIO on a sync nothing is acknowledged until a restart, and the sync is not
    tried again as if nothing had been."""
    with Trouble(shim=True) as trouble:
        trouble.serve()
        trouble.shim['sync_errno'] = errno.EIO
        trouble.until('broken')
        assert trouble.shim['syncs_failed'] >= 1
        trouble.lab.pause(0.5, trouble.producer)
        writes, syncs = trouble.shim['writes'], trouble.shim['syncs']
        trouble.broken('sync')
        assert (trouble.shim['writes'], trouble.shim['syncs']) in ((writes, syncs), (0, 0)), (
            'the log was written or synced after a sync had failed')
        trouble.restart()
        trouble.serve()
        trouble.end()


@case
def failed_disk(_):
    """Invariant: the same with a file system that fails as a whole, through the best engine."""
    with Trouble(disk=True) as trouble:
        trouble.serve()
        trouble.disk.shut_down()
        trouble.broken()
        trouble.lab.atr.terminate()
        trouble.lab.atr.process.wait(30)
        trouble.lab.tidy()
        trouble.disk.mount_again()
        trouble.lab.start()
        trouble.serve()
        trouble.end()


@case
def read_only(_):
    """Invariant: a file system that makes itself read-only breaks the log like any failed write."""
    with Trouble(disk=True) as trouble:
        trouble.serve()
        trouble.disk.read_only()
        trouble.broken()
        trouble.restart()
        trouble.serve()
        trouble.end()


if __name__ == '__main__':
    Report.main(laboratory)
