# SPDX-License-Identifier: BSD-3-Clause
"""Disks that misbehave when told: a shim between the appliance and its segments, and small file
systems of their own."""
import fcntl
import mmap
import os
import struct
import subprocess

from atr_harness import run

HERE = os.path.dirname(os.path.abspath(__file__))
FIELDS = ('write_errno', 'sync_errno', 'write_us', 'sync_us', 'writes_failed', 'syncs_failed',
          'writes', 'syncs')
EXT4_IOC_SHUTDOWN, NO_LOG_FLUSH = 0x8004587D, 2


class Shim:
    """Built into a directory; .environment is for the appliance. Fields as in disk_shim.c."""

    def __init__(self, work):
        library, control = f'{work}/disk_shim.so', f'{work}/disk_shim.control'
        subprocess.run([os.environ.get('CC', 'cc').split()[-1], '-O2', '-shared', '-fPIC', '-o',
                        library, f'{HERE}/disk_shim.c', '-ldl'], check=True)
        with open(control, 'wb') as file:
            file.write(bytes(mmap.PAGESIZE))
        with open(control, 'r+b') as file:
            self.memory = mmap.mmap(file.fileno(), mmap.PAGESIZE)
        # atr is run by env(1), which the shim does not mind.
        self.environment = {'LD_PRELOAD': library, 'ATR_SHIM': control}

    def __getitem__(self, name):
        return struct.unpack_from('=I', self.memory, 4 * FIELDS.index(name))[0]

    def __setitem__(self, name, value):
        struct.pack_into('=I', self.memory, 4 * FIELDS.index(name), value)

    def clear(self):
        for name in FIELDS:
            self[name] = 0


class Disk:
    """An ext4 of its own in a file, mounted for this process and its children only."""

    def __init__(self, work, megabytes):
        self.image, self.path = f'{work}/disk.img', f'{work}/disk'
        os.mkdir(self.path)
        with open(self.image, 'wb') as file:
            file.truncate(megabytes << 20)
        run('mkfs.ext4', '-q', '-m', '0', '-O', '^has_journal', self.image)
        run('mount', '-o', 'loop', self.image, self.path)

    def fill(self, leave=0):
        """Takes all room that is left, but so many bytes."""
        if leave:
            room = os.statvfs(self.path)
            with open(f'{self.path}/filler', 'ab') as file:
                os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize - leave)
            return
        try:
            with open(f'{self.path}/filler', 'ab', buffering=0) as file:
                for size in 1 << 20, 4096, 1:
                    try:
                        while file.write(bytes(size)):
                            pass
                    except OSError:
                        continue
        except OSError:
            pass

    def free(self):
        os.unlink(f'{self.path}/filler')

    def shut_down(self):
        """Every write and sync from now on is an I/O error."""
        fd = os.open(self.path, os.O_RDONLY)
        fcntl.ioctl(fd, EXT4_IOC_SHUTDOWN, struct.pack('I', NO_LOG_FLUSH))
        os.close(fd)

    def read_only(self):
        """As ext4 makes itself after an error: writes are refused by EROFS."""
        run('mount', '-o', 'remount,abort', self.path)

    def mount_again(self):
        run('umount', self.path)
        subprocess.run(['e2fsck', '-p', '-f', self.image], stdout=subprocess.DEVNULL, check=False)
        run('mount', '-o', 'loop', self.image, self.path)

    def close(self):
        run('umount', '-l', self.path, check=False)
