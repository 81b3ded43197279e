#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
# needs root: a namespace with interfaces of its own
"""The same exchange as test_netns.py over the other software drivers: AF_XDP, AF_PACKET with two
queues on two data lcores, and memif with a forwarder of DPDK's behind it."""
import os
import subprocess

import plan
import provoke
from atr_harness import Report, case, private_namespace, run, total, veth, wait_for
from lab import APPLIANCE_IP, OUR_IP, exists, udp_socket
from test_netns import Folder, appliance, exchange


@case
def over_af_xdp(_):
    """Invariant: an AF_XDP socket serves as any port does."""
    veth()
    with Folder() as work, appliance(work, 'net_af_xdp0,iface=veth0') as atr:
        exchange(atr, 'veth1')
    run('ip', 'link', 'del', 'veth1')


@case
def two_queues_spread(_):
    """Invariant: traffic that the port spreads over two data lcores is admitted once, whoever owns
    its source."""
    veth()
    flows, frames = 32, 4
    with Folder() as work:
        atr = appliance(work, 'net_af_packet0,iface=veth0,qpairs=2', args=('--shards', '2'))
        atr.command[atr.command.index('--lcores') + 1] = '(0-2)@(%s)' % ','.join(
            map(str, sorted(os.sched_getaffinity(0))))
        with atr:
            traffic = provoke.Traffic()
            for number in range(flows):
                source = ('alpha', 'beta')[number % 2]
                with udp_socket(OUR_IP, 0) as publisher:
                    for frame in traffic.seal(*(traffic.frame(source, [traffic.event()])
                                                for _ in range(frames)), source=source):
                        publisher.sendto(frame, (APPLIANCE_IP, plan.PORT))
            books = atr.settled(flows * frames)
            assert books['events']['admitted'] == flows * frames, (books, atr.reasons())
            shards = atr.pages('/atr/shards')
            assert all(one['rx_packets'] > 0 for one in shards.values()), shards
            assert sum(one['handed_over'] for one in shards.values()) > 0, shards
    run('ip', 'link', 'del', 'veth1')


@case
def over_memif(_):
    """Invariant: a memif port serves as any port does."""
    with Folder() as work:
        path = f'{work}/memif.sock'
        cpus = ','.join(map(str, sorted(os.sched_getaffinity(0))))
        memif = f'socket={path},socket-abstract=no'
        with appliance(work, f'net_memif0,role=server,{memif}') as atr:
            forwarder = subprocess.Popen(
                ['dpdk-testpmd', '--lcores', f'(0-1)@({cpus})', '--no-huge', '-m', '128',
                 '--no-pci', '--no-shconf', '--no-telemetry', '--file-prefix', f'{atr.prefix}-fwd',
                 '--vdev', f'net_memif0,role=client,{memif}', '--vdev', 'net_tap0,iface=fwd0',
                 '--', '--auto-start', '--forward-mode=io', '--total-num-mbufs=4096',
                 '--no-mlockall'],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                wait_for('the forwarder', lambda: os.path.exists('/sys/class/net/fwd0') or
                         'fwd0' in run('ip', 'link'), 20)
                run('ip', 'addr', 'add', f'{OUR_IP}/24', 'dev', 'fwd0')
                run('ip', 'link', 'set', 'fwd0', 'up')
                wait_for('the appliance to answer ping through memif', lambda: subprocess.run(
                    ['ping', '-c1', '-W1', APPLIANCE_IP], capture_output=True).returncode == 0, 20)
                exchange(atr, 'fwd0')
            finally:
                forwarder.kill()
                forwarder.wait()


def laboratory():
    exists()
    private_namespace()


if __name__ == '__main__':
    Report.main(laboratory)
