#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
# release only
"""Drives atrctl pub as a user would: frames, sequences, envelopes and their replies."""
import json
import os
import signal
import socket
import struct
import subprocess
import threading

from atrctl_lab import ATRCTL, HOST, SLOW, Lab, event, lines_json, main, run


class Frames(Lab):
    """Invariant: published frames pass every gate and carry every event, in order, once."""

    def test_capture_round_trip(self):
        count = 3000
        sources = ['one' if i % 3 else 'two' for i in range(count)]
        self.document['rules'][0]['roles'] = ['sensors', 'guests']
        self.write_plan()
        report = self.save('\n'.join(event(i, source=s) for i, s in enumerate(sources)),
                           '--tree', 7)
        self.assertEqual(report['events'], count)
        self.assertFalse(report['acknowledged'])
        found = {'one': [], 'two': []}
        *packets, summary = self.inspect()
        self.assertEqual((summary['admitted'], summary['refused'], summary['events']),
                         (report['frames'], 0, count))
        for packet in packets:
            self.assertLessEqual(packet['bytes'], 1500 - 28)
            self.assertLessEqual(packet['frame']['leaf_count'], 7)
            for e in packet['events']:
                found[e['source']].append((e['sequence'], e['payload']))
        for name, got in found.items():
            want = [json.loads(event(i))['payload'] for i in range(count) if sources[i] == name]
            got.sort(key=lambda pair: pair[0])
            self.assertEqual([sequence for sequence, _ in got], list(range(1, len(want) + 1)))
            self.assertEqual([payload for _, payload in got], want)

    def test_any_changed_byte_is_refused(self):
        self.save('\n'.join(event(i, source='one') for i in range(45)), '--tree', 4)
        frames = self.datagrams()
        self.assertGreater(len(frames), 2)
        frame = frames[1]
        for at in range(0, len(frame), 7):
            changed = frame[:at] + bytes([frame[at] ^ 0x20]) + frame[at + 1:]
            run('verify', '--plan', self.plan, '--json', stdin=changed, status=1)

    def test_unfit_lines_are_numbered_and_the_rest_goes(self):
        text = '\n'.join([event(1, source='one'),
                          event(2, source='one').replace('0.002', '0.0021'),
                          event(3, source='nobody'),
                          event(4, source='one').replace('"c4"', '"toolong"'),
                          event(5, source='one').replace('0.005', 'null')])
        done = run('pub', '--plan', self.plan, '--key-dir', self.keys, '--to', '10.77.0.1:26400',
                   '--from', '10.77.0.2', '--jsonl', '-', '--as', 'frames', '--no-acks',
                   '--first-sequence', 9,
                   '--save', self.path('out.pcap'), '--json', stdin=text, status=1)
        report = json.loads(done.stdout)
        self.assertEqual((report['events'], report['lines_unfit']), (2, 3))
        for number in (2, 3, 4):
            self.assertIn(f'line {number}:'.encode(), done.stderr)
        events = self.inspect()[0]['events']
        self.assertEqual([(e['sequence'], e['payload']['celsius']) for e in events],
                         [(9, 0.001), (10, None)])

    def test_source_filters(self):
        text = '\n'.join(event(i, source='one' if i % 2 else 'two') for i in range(10))
        report = self.save(text, '--source', 'one')
        self.assertEqual((report['events'], report['lines_of_other_sources']), (5, 5))

    def test_shuffle_loss_repeat(self):
        text = '\n'.join(event(i, source='one') for i in range(2000))
        plain = self.save(text)['datagrams_sent']
        a = self.save(text, '--shuffle', 1, '--loss', '10', '5', '--repeat', 2)
        self.assertEqual(a['datagrams_sent'] + a['datagrams_lost_on_purpose'], 2 * plain)
        self.assertGreater(a['datagrams_lost_on_purpose'], 0)
        *packets, summary = self.inspect(status=0)
        self.assertEqual(summary['refused'], 0)
        self.assertGreater(summary['duplicate'], 0)
        order = [p['frame']['first_sequence'] for p in packets]
        self.assertNotEqual(order, sorted(order))

    def test_csv(self):
        text = ('topic,type,source,timestamp,celsius,count,code,text\r\n'
                'room.cellar,reading,one,2024-02-29T12:00:00Z,1.5,7,12,"a ""b"", c\nd"\r\n'
                'room.roof,reading,one,2024-02-29T12:00:00Z,,8,,plain\r\n'
                'room.roof,reading,one,2024-02-29T12:00:00Z,1\r\n')
        done = run('pub', '--plan', self.plan, '--key-dir', self.keys, '--to', '10.77.0.1:26400',
                   '--from', '10.77.0.2', '--csv', '-', '--as', 'frames', '--no-acks',
                   '--first-sequence', 1,
                   '--save', self.path('out.pcap'), stdin=text.replace('\nd', ' d'), status=1)
        self.assertIn(b'line 4:', done.stderr)
        events = self.inspect()[0]['events']
        self.assertEqual([e['payload'] for e in events],
                         [{'celsius': 1.5, 'count': 7, 'code': '12', 'text': 'a "b", c d'},
                          {'celsius': None, 'count': 8, 'code': '', 'text': 'plain'}])

    def test_generate(self):
        report = json.loads(run(
            'pub', '--plan', self.plan, '--source', 'one', '--key', self.key(), '--to',
            '10.77.0.1:26400', '--from', '10.77.0.2', '--generate', 5000, '--topic', 'room.roof',
            '--type', 'reading', '--as', 'frames', '--no-acks', '--first-sequence', 1, '--save',
            self.path('out.pcap'), '--json', '--mtu', 9000).stdout)
        self.assertEqual((report['events'], report['lines_unfit']), (5000, 0))
        self.assertEqual(self.inspect()[-1]['events'], 5000)

    def test_options_are_checked(self):
        base = ('pub', '--plan', self.plan, '--key-dir', self.keys, '--to', '10.77.0.1:1')
        frames = (*base, '--as', 'frames', '--jsonl', '-')
        self.assertIn(b'--outbox', run(*frames, status=2).stderr)
        self.assertIn(b'--outbox', run(*frames, '--outbox', self.path('o'), status=2).stderr)
        self.assertIn(b'--sequence-file', run(*frames, '--no-acks', status=2).stderr)
        self.assertIn(b'--no-acks', run(*frames, '--sequence-file', 'x', status=2).stderr)
        self.assertIn(b'--as', run(*base, '--as', 'pigeons', '--jsonl', '-', status=2).stderr)
        self.assertIn(b'--jsonl', run(*base, '--as', 'envelopes', status=2).stderr)
        self.assertIn(b'--from', run(*base, '--as', 'envelopes', '--jsonl', '-', '--save',
                                     self.path('x'), status=2).stderr)
        run(*base, '--as', 'envelopes', '--jsonl', self.path('missing'), status=2)


class Sequences(Lab):
    """Invariant: no sequence is given to two events, whatever run or crash lies in between."""

    def next(self):
        with open(self.path('seq'), encoding='utf-8') as file:
            return json.load(file)['next']

    def publish(self, count, **more):
        return self.save('\n'.join(event(i, source='one') for i in range(count)),
                         '--no-acks', '--sequence-file', self.path('seq'), **more)

    def test_kept_across_runs(self):
        self.publish(50, name='a.pcap')
        self.publish(70, name='b.pcap')
        sequences = [e['sequence'] for name in ('a.pcap', 'b.pcap')
                     for p in self.inspect(name)[:-1] for e in p['events']]
        self.assertEqual(sequences, list(range(1, 121)))
        self.assertEqual(self.next(), {'one': 121})

    def test_reserved_before_sending(self):
        """Killed while it sends: what was received lies below what the file gives next."""
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind((HOST, 0))
        receiver.settimeout(SLOW)
        text = '\n'.join(event(i, source='one') for i in range(3000))
        process = subprocess.Popen(
            [ATRCTL, 'pub', '--plan', self.plan, '--key-dir', self.keys, '--to',
             f'{HOST}:{receiver.getsockname()[1]}', '--jsonl', '-', '--as', 'frames', '--tree',
             '4', '--rate', '200', '--no-acks', '--sequence-file', self.path('seq')],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        threading.Thread(target=lambda: self.feed(process, text), daemon=True).start()
        highest = 0
        for _ in range(20):
            frame = receiver.recv(9000)
            count = struct.unpack_from('<H', frame, 6)[0]
            highest = max(highest, struct.unpack_from('<Q', frame, 24)[0] + count - 1)
            self.assertGreater(self.next()['one'], highest)
        process.send_signal(signal.SIGKILL)
        process.wait()
        receiver.settimeout(0.2)
        try:
            while True:
                frame = receiver.recv(9000)
                count = struct.unpack_from('<H', frame, 6)[0]
                highest = max(highest, struct.unpack_from('<Q', frame, 24)[0] + count - 1)
        except socket.timeout:
            pass
        receiver.close()
        self.assertGreater(self.next()['one'], highest)
        reserved = self.next()['one']
        self.publish(5)
        self.assertEqual(self.inspect()[0]['frame']['first_sequence'], reserved)

    @staticmethod
    def feed(process, text):
        try:
            process.stdin.write(text.encode())
            process.stdin.close()
        except BrokenPipeError:
            pass

    def test_damaged_file_stops(self):
        for text in ('', '{', '[]', '{"atr_sequences":2,"next":{}}',
                     '{"atr_sequences":1,"next":{"one":-1}}',
                     '{"atr_sequences":1,"next":{"one":"1"}}',
                     '{"atr_sequences":1,"next":{"one":1,"one":2}}'):
            with open(self.path('seq'), 'w', encoding='utf-8') as file:
                file.write(text)
            done = run('pub', '--plan', self.plan, '--key-dir', self.keys, '--to', '10.77.0.1:1',
                       '--jsonl', '-', '--as', 'frames', '--no-acks', '--sequence-file',
                       self.path('seq'),
                       stdin=event(1, source='one'), status=2)
            self.assertIn(b'--first-sequence', done.stderr)


    def test_two_names_of_a_file_never_share_sequences(self):
        """Writing replaces the file, so behind a link the next run would begin again."""
        self.publish(5)
        os.symlink(self.path('seq'), self.path('soft'))
        os.link(self.path('seq'), self.path('hard'))
        for name in 'soft', 'hard':
            done = run('pub', '--plan', self.plan, '--key-dir', self.keys, '--to', '10.77.0.1:1',
                       '--jsonl', '-', '--as', 'frames', '--no-acks', '--sequence-file',
                       self.path(name),
                       stdin=event(1, source='one'), status=2)
            self.assertIn(b'name the file itself', done.stderr)
        self.assertEqual(self.next(), {'one': 6})

    def test_complaints_are_neutral_on_a_terminal(self):
        """Invariant: names in refused lines never reach the terminal as control characters."""
        done = run('pub', '--plan', self.plan, '--key-dir', self.keys, '--to', '10.77.0.1:1',
                   '--jsonl', '-', '--as', 'frames', '--no-acks', '--first-sequence', 1, '--from',
                   '10.77.0.2',
                   '--save', self.path('out.pcap'),
                   stdin=event(1, source='\x1b]0;owned\x07\r\n\u202e\x9b2J'), status=1)
        self.assertIn(b'owned', done.stderr)
        self.assertEqual(done.stderr.count(b'\n'), 1)
        self.assertTrue(all(0x20 <= c < 0x7f or c == 10 for c in done.stderr), done.stderr)


class Replies(threading.Thread):
    """Stands in for the appliance's replies: answers as the script tells, by arrival."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.answer, self.seen, self.times = answer, [], {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((HOST, 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            try:
                data, peer = self.socket.recvfrom(9000)
            except OSError:
                return
            uuid = json.loads(data)['header']['id']
            self.seen.append(data)
            nth = self.times[uuid] = self.times.get(uuid, 0) + 1
            reply = self.answer(len(self.times), nth)
            if isinstance(reply, bytes):
                self.socket.sendto(reply, peer)
            elif reply:
                self.socket.sendto(json.dumps({'atr': 1, 'id': uuid, **reply}).encode(), peer)


class Envelopes(Lab):
    """Invariant: every envelope ends in exactly one account: admitted, duplicate, refused by a
    reason, or unanswered; a resend is the same bytes."""

    def publish(self, answer, count, *more, status=0):
        replies = Replies(answer)
        self.addCleanup(replies.socket.close)
        done = run('pub', '--plan', self.plan, '--key-dir', self.envelope_keys, '--to',
                   f'{HOST}:{replies.port}', '--jsonl', '-', '--as', 'envelopes', '--json',
                   '--wait', 40, *more, status=status,
                   stdin='\n'.join(event(i, source='one') for i in range(count)))
        return json.loads(done.stdout), replies

    def test_all_admitted(self):
        report, replies = self.publish(lambda n, nth: {'result': 'admitted', 'shard': 0,
                                                       'position': n, 'durability': 'none'}, 500)
        self.assertEqual(report['replies']['admitted'], 500)
        self.assertEqual(len(replies.times), 500)
        done = lines_json(run('verify', '--plan', self.plan, '--json',
                              stdin=b'\n'.join(sorted(set(replies.seen)))))
        self.assertEqual(len(done), 500)

    def test_bug_class_d_was_reported_as_none(self):
        for name in 'none', 'async', 'commit':
            report, _ = self.publish(lambda n, nth: {'result': 'admitted', 'shard': 0,
                                                     'position': n, 'durability': name}, 2)
            self.assertEqual(report['durability'], name)
        report, _ = self.publish(lambda n, nth: {'result': 'admitted', 'durability': 'magic'}, 1)
        self.assertNotIn('durability', report)

    def test_unanswered_are_sent_again_the_same(self):
        report, replies = self.publish(
            lambda n, nth: {'result': 'admitted'} if nth == 3 else None, 5)
        self.assertEqual(report['replies']['admitted'], 5)
        self.assertEqual(report['replies']['retransmissions'], 10)
        self.assertEqual(len(set(replies.seen)), 5)

    def test_reasons_and_silence(self):
        def answer(n, nth):
            if n % 3 == 0:
                return None
            if n % 3 == 1:
                return {'result': 'refused', 'reason': 'stale', 'gate': 'identity', 'final': True}
            return b'\xff{}'

        report, _ = self.publish(answer, 9, '--retries', 1, '--window', 1, status=1)
        self.assertEqual(report['replies']['reasons'], {'stale': 3})
        self.assertEqual(report['replies']['unanswered'], 6)
        self.assertGreaterEqual(report['replies']['foreign_replies'], 6)

    def test_retry_reasons_are_retried(self):
        report, _ = self.publish(
            lambda n, nth: {'result': 'admitted'} if nth == 2 else
            {'result': 'refused', 'reason': 'bridge_full', 'gate': 'overload', 'final': False}, 4)
        self.assertEqual((report['replies']['admitted'], report['replies']['refused']), (4, 0))
        report, _ = self.publish(
            lambda n, nth: {'result': 'refused', 'reason': 'rate_source', 'gate': 'ruleset',
                            'final': False}, 2, '--retries', 1, status=1)
        self.assertEqual(report['replies']['reasons'], {'rate_source': 2})

    def test_save_and_inspect(self):
        self.save('\n'.join(event(i, source='one') for i in range(30)), way='envelopes')
        *packets, summary = self.inspect()
        self.assertEqual((summary['admitted'], summary['refused']), (30, 0))
        self.assertEqual({p['kind'] for p in packets}, {'envelope'})


if __name__ == '__main__':
    main()
