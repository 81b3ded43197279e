# SPDX-License-Identifier: BSD-3-Clause
"""Judges class D from outside: what producers sent and were told, what subscribers were delivered,
and the log's bytes must fit together. Shares no code with the log; see docs/durability.md.

check() returns violations, each "rule: what, with identity". RULES says what each one means."""
import json
import struct

import atrlog
import atrwire as wire
import classd_ack
from classd_plan import Plan

RULES = {
    'plan': 'plan chunks, generations and digests in the log belong together',
    'unsent': 'the log holds a frame or envelope that nobody sent',
    'twice': 'an identity is admitted twice',
    'allowed': 'the log admits what the plan does not allow',
    'shard': 'a source is in the log of another shard',
    'feeds': 'an envelope goes to other feeds than its plan says',
    'position': 'a commit counts other feed positions than the events say',
    'ack': 'an acknowledgement is malformed, wrongly signed, or its number is used twice',
    'ack-unlogged': 'an acknowledged event is not in the log',
    'ack-position': 'an acknowledgement tells another position than the log has',
    'ack-floor': 'a floor lies above what the log can justify',
    'refused-logged': 'a refused event is admitted in the log',
    'reply': 'a reply is malformed or promises no durability',
    'session': 'a class D feed runs under another session than the log says',
    'unlogged': 'a delivered message is not in the log',
    'differs': 'a message differs from the event with its number',
    'order': 'live messages went back without a restart',
    'undelivered': 'an event in the log was not delivered on a feed that it belongs to',
    'announced': 'a heartbeat announces more messages than the log has',
    'checkpoint': 'a signed checkpoint contradicts the log',
    'digest': 'a digest that was replayed differs from the live one',
}
STALE = 130
CONFLICT = 132
FINALLY = 10**9
PRIORITY = 0x0C


def identity(record, event=0):
    if record.kind == atrlog.ENVELOPE_KIND:
        return f'source {record.source} id {json.loads(record.body)["header"]["id"]}'
    first, = struct.unpack_from('<Q', record.body, 24)
    return f'source {record.source} sequence {first + event}'


def nanoseconds(timestamp):
    """Of an envelope's timestamp."""
    whole, _, fraction = timestamp[:-1].partition('.')
    calendar = wire.datetime.datetime.strptime(whole, '%Y-%m-%dT%H:%M:%S')
    seconds = int(calendar.replace(tzinfo=wire.datetime.timezone.utc).timestamp())
    return seconds * 10**9 + int(fraction.ljust(9, '0') or 0)


def message(record, event):
    """The message block that an event must leave as."""
    if record.kind == atrlog.ENVELOPE_KIND:
        stamp = nanoseconds(json.loads(record.body)['header']['timestamp'])
        data = struct.pack('<II', 0, len(record.body)) + bytes(28)
        return struct.pack('<Q', record.leaf) + wire.PACKET.pack(
            wire.ARENA | wire.ENVELOPE, record.topic, record.source, stamp, record.type,
            data) + record.body
    first, = struct.unpack_from('<Q', record.body, 24)
    packet = record.body[64 + 64 * event:128 + 64 * event]
    return struct.pack('<Q', first + event) + packet + payload_of(record, event, arena=True)


def payload_of(record, event, arena=False):
    """Payload of a frame's event; arena: only what is in the arena."""
    base = 64 + 64 * event
    flags, = struct.unpack_from('<Q', record.body, base)
    if not flags & wire.ARENA:
        return b'' if arena else record.body[base + 28:base + 64]
    count, = struct.unpack_from('<H', record.body, 6)
    offset, length = struct.unpack_from('<II', record.body, base + 28)
    return record.body[64 + 64 * count + offset:][:length]


def unprioritised(block):
    """An envelope's message without the bits that are to be ignored."""
    flags, = struct.unpack_from('<Q', block, 8)
    if flags & wire.ENVELOPE:
        return block[:8] + struct.pack('<Q', flags & ~PRIORITY) + block[16:]
    return block


class Check:
    """One judgement; violations collect in .violations."""

    def __init__(self, evidence, shards, durability='commit'):
        self.evidence, self.shards, self.durability = evidence, shards, durability
        self.violations = []
        self.by_identity = {}  # (source, sequence or uuid): (shard, record, event)
        self.by_leaf = {}  # leaf hash: [(shard, record)]
        self.messages = {}  # (feed, shard): [(record, event)], message 1 first
        self.next = {}  # source: highest admitted sequence + 1
        self.windows, self.realm = {}, None
        self.class_d = set()

    def wrong(self, rule, what):
        assert rule in RULES
        self.violations.append(f'{rule}: {what}')

    # --- the log ---

    def log(self):
        for number, shard in self.shards.items():
            plans, plan = atrlog.Plans(), None
            for group in shard.groups:
                for record in group.records:
                    if record.kind == atrlog.PLAN_KIND:
                        plan = self._plan(number, plans, plan, record)
                    elif record.kind in (atrlog.FRAME_KIND, atrlog.ENVELOPE_KIND):
                        self._record(number, plans, plan, record)
                self._commit(number, group, plans, plan)

    def _plan(self, number, plans, plan, record):
        try:
            if plans.chunk(record.body):
                plan = Plan(plans.document, self.durability)
                self.realm = plan.realm
                self.class_d |= plan.class_d
                self.windows = {source: int(entry.get('window', 4096))
                                for source, entry in plan.sources.items()}
                if wire.canonical(json.loads(plans.document)).encode() != plans.document:
                    self.wrong('plan', f'shard {number} leaf {record.leaf}: not canonical')
        except (ValueError, KeyError) as error:
            self.wrong('plan', f'shard {number} leaf {record.leaf}: {error}')
        return plan

    def _record(self, number, plans, plan, record):
        name = f'shard {number} leaf {record.leaf} {identity(record)}'
        if plan is None or record.generation != plans.generation:
            self.wrong('plan', f'{name}: generation {record.generation}, {plans.generation} is '
                               'in force')
            return
        sent = self.evidence.frames if record.kind == atrlog.FRAME_KIND else (
            self.evidence.envelopes)
        if record.body not in sent:
            self.wrong('unsent', name)
        if record.source % len(self.shards) != number:
            self.wrong('shard', name)
        self.by_leaf.setdefault(record.leaf_hash, []).append((number, record))
        if record.kind == atrlog.ENVELOPE_KIND:
            self._envelope(number, plan, record, name)
            return
        first, = struct.unpack_from('<Q', record.body, 24)
        if not any(map(record.admitted, range(record.events))):
            self.wrong('allowed', f'{name}: a frame of which nothing is admitted')
        for event in filter(record.admitted, range(record.events)):
            self._admit(number, (record.source, first + event), record, event)
            self.next[record.source] = max(self.next.get(record.source, 0), first + event + 1)
            base = 64 + 64 * event
            topic, = struct.unpack_from('<I', record.body, base + 8)
            type_id, = struct.unpack_from('<I', record.body, base + 24)
            if not plan.allowed(record.source, topic, type_id):
                self.wrong('allowed', f'{name} event {event}')
                continue
            feeds = plan.frame_feeds(record.source, topic, type_id, payload_of(record, event))
            self._publish(number, plan, feeds, record, event)

    def _envelope(self, number, plan, record, name):
        value = json.loads(record.body)
        header = value['header']
        self._admit(number, (record.source, header['id']), record, 0)
        ids = tuple(plan.ids(kind).get(header[member]) for kind, member in
                    (('sources', 'source'), ('topics', 'topic'), ('types', 'type')))
        if ids != (record.source, record.topic, record.type) or not plan.allowed(*ids):
            self.wrong('allowed', f'{name}: {ids}')
            return
        feeds = plan.envelope_feeds(*ids, value['payload'])
        if record.feeds != sum(1 << feed for feed in feeds):
            self.wrong('feeds', f'{name}: {record.feeds:#x}, the plan says {sorted(feeds)}')
        self._publish(number, plan, {f for f in range(64) if record.feeds >> f & 1}, record, 0)

    def _admit(self, number, key, record, event):
        other = self.by_identity.get(key)
        if other:
            self.wrong('twice', f'source {key[0]} identity {key[1]}: leaf {other[1].leaf} of shard '
                                f'{other[0]} and leaf {record.leaf} of shard {number}')
        self.by_identity[key] = number, record, event

    def _publish(self, number, plan, feeds, record, event):
        for feed in feeds & plan.class_d:
            self.messages.setdefault((feed, number), []).append((record, event))

    def _commit(self, number, group, plans, plan):
        name = f'shard {number} group {group.number}'
        if plan is None:
            self.wrong('plan', f'{name}: no plan is in force')
            return
        if (group.generation, group.plan_digest) != (plans.generation,
                                                      wire.sha256(plans.document)):
            self.wrong('plan', f'{name}: generation {group.generation}')
        counted = {feed: len(self.messages.get((feed, number), ())) + 1 for feed in range(64)}
        for feed, position in group.positions.items():
            if feed not in self.class_d or position != counted[feed]:
                self.wrong('position', f'{name} feed {feed}: {position}, counted {counted[feed]}')
        for feed, position in counted.items():
            if position > 1 and feed not in group.positions:
                self.wrong('position', f'{name} feed {feed}: none, counted {position}')

    # --- what producers were told ---

    def acknowledgements(self, public):
        numbers, refusals, answers = {}, {}, {}
        for _, datagram in self.evidence.acks:
            try:
                number, bodies = classd_ack.open_ack(datagram, self.realm, public)
            except classd_ack.AckError as error:
                self.wrong('ack', f'{error}: {datagram[:64].hex()}')
                continue
            if numbers.setdefault(number, datagram) != datagram:
                self.wrong('ack', f'number {number} is used twice')
            for source, floor, entries in bodies:
                limit = max(0, self.next.get(source, 0) - self.windows.get(source, 0))
                if floor > limit:
                    self.wrong('ack-floor', f'source {source}: {floor}, justified is {limit}')
                for entry in entries:
                    answers[entry.leaf] = answers.get(entry.leaf, 0) + 1
                    self._entry(entry, refusals)
        sent = {}
        for datagram, times in self.evidence.frames.items():
            sent[leaf_of(datagram)] = times
        # A network may deliver twice: net_af_packet does while it sets its second queue up.
        for (leaf, event), (entry, count) in refusals.items():
            self._refused(entry, leaf, event, count == FINALLY or
                          count >= sent.get(leaf, 0) >= answers[leaf])

    def _entry(self, entry, refusals):
        name = f'source {entry.source} sequence {entry.first}'
        found = self.by_leaf.get(entry.leaf, [])
        leaves = [record.leaf for _, record in found]
        taken = [i for i, (code, _) in enumerate(entry.results)
                 if code in (classd_ack.OK, classd_ack.DUPLICATE)]
        fresh = any(code == classd_ack.OK for code, _ in entry.results)
        for event in taken:
            holder = self.by_identity.get((entry.source, entry.first + event))
            if not holder or holder[1].leaf_hash != entry.leaf:
                self.wrong('ack-unlogged', f'{name} event {event} leaf hash {entry.leaf.hex()}')
        if entry.position != classd_ack.NO_POSITION and taken and entry.position not in leaves:
            self.wrong('ack-position', f'{name}: {entry.position}, the log has {leaves}')
        if fresh and entry.position == classd_ack.NO_POSITION:
            self.wrong('ack-position', f'{name}: none told')
        for _, record in found:
            if record.leaf == entry.position and any(
                    code == classd_ack.OK and not record.admitted(i)
                    for i, (code, _) in enumerate(entry.results[:record.events])):
                self.wrong('ack-position', f'{name}: leaf {record.leaf} does not admit all of it')
            if record.events != entry.events:
                self.wrong('ack', f'{name}: {entry.events} events of {record.events}')
        for event, (code, final) in enumerate(entry.results):
            if event not in taken and code != STALE:
                _, count = refusals.get((entry.leaf, event), (None, 0))
                refusals[entry.leaf, event] = entry, FINALLY if final else count + 1

    def _refused(self, entry, leaf, event, for_good):
        """for_good: finally, or as often as it was sent."""
        holder = self.by_identity.get((entry.source, entry.first + event))
        if for_good and holder and holder[1].leaf_hash == leaf:
            self.wrong('refused-logged', f'source {entry.source} sequence {entry.first + event} '
                                         f'{entry.results[event]}: leaf {holder[1].leaf}')

    def replies(self):
        sent = {}
        for datagram in self.evidence.envelopes:
            sent.setdefault(json.loads(datagram)['header']['id'], []).append(datagram)
        logged = {key[1]: holder for key, holder in self.by_identity.items()
                  if isinstance(key[1], str)}
        for _, reply in self.evidence.replies:
            uuid, holder = reply.get('id'), logged.get(reply.get('id'))
            if reply.get('result') in ('admitted', 'duplicate'):
                if reply.get('durability') != 'commit':
                    self.wrong('reply', f'{reply}')
                if not holder:
                    self.wrong('ack-unlogged', f'envelope {uuid}: {reply}')
                elif (holder[0], holder[1].leaf) != (reply.get('shard'), reply.get('position')):
                    self.wrong('ack-position', f'{reply}: the log has leaf {holder[1].leaf} of '
                                               f'shard {holder[0]}')
            elif reply.get('result') != 'refused':
                self.wrong('reply', f'{reply}')
            elif holder and reply['final'] and reply['reason'] not in ('stale', 'conflict') and (
                    len(sent.get(uuid, ())) == 1):
                self.wrong('refused-logged', f'envelope {uuid}: {reply}')

    # --- what subscribers got ---

    def deliveries(self, complete):
        epochs = {number: shard.groups[0].epoch for number, shard in self.shards.items()
                  if shard.groups}
        got, last, judged = {}, {}, {}
        starts = sorted(self.evidence.starts)
        for t, via, data in self.evidence.packets:
            session, sequence, count, blocks = wire.mold_packet(data)
            feed, shard, epoch = wire.mold_session(session)
            if feed not in self.class_d:
                continue
            name = f'feed {feed} shard {shard}'
            if epoch != epochs.get(shard):
                self.wrong('session', f'{name}: epoch {epoch}, the log has {epochs.get(shard)}')
                continue
            messages = self.messages.get((feed, shard), [])
            if count in (wire.HEARTBEAT, wire.END) and sequence > len(messages) + 1:
                self.wrong('announced', f'{name}: {sequence} of {len(messages)}')
            if via == 'live' and blocks:
                before, when = last.get((feed, shard), (0, 0))
                if sequence <= before and not any(when <= start <= t for start in starts):
                    self.wrong('order', f'{name}: message {sequence} behind {before}')
                last[feed, shard] = sequence + len(blocks) - 1, t
            have = got.setdefault((feed, shard), set())
            for number, block in enumerate(blocks, sequence):
                if judged.setdefault((feed, shard, number), hash(block)) == hash(block) and (
                        number in have):
                    continue
                have.add(number)
                self._delivered(name, messages, number, block)
        for key, messages in self.messages.items() if complete else ():
            missing = set(range(1, len(messages) + 1)) - got.get(key, set())
            for number in sorted(missing)[:20]:
                self.wrong('undelivered', f'feed {key[0]} shard {key[1]} message {number}: '
                           f'{identity(*messages[number - 1])} ({len(missing)} missing)')

    def _delivered(self, name, messages, number, block):
        if not 1 <= number <= len(messages):
            sequence, = struct.unpack_from('<Q', block.ljust(8, b'\0'))
            self.wrong('unlogged', f'{name} message {number} of {len(messages)}, sequence '
                                   f'{sequence}')
            return
        record, event = messages[number - 1]
        if len(block) < 72 or unprioritised(block) != unprioritised(message(record, event)):
            self.wrong('differs', f'{name} message {number}: {block[:80].hex()}, the log has '
                                  f'{identity(record, event)}')

    # --- checkpoints ---

    def checkpoints(self, notes, public):
        for note in notes:
            try:
                origin, size, root = atrlog.open_checkpoint(note, public)
                shard = int(origin.rsplit('/shard/', 1)[1])
                tree = self.shards[shard].tree
            except (ValueError, KeyError, IndexError) as error:
                self.wrong('checkpoint', f'{error}: {note!r}')
                continue
            if size > len(tree.leaves):
                self.wrong('checkpoint', f'{origin}: {size} of {len(tree.leaves)} leaves')
            elif tree.root_at(size) != root:
                self.wrong('checkpoint', f'{origin}: another root at {size}')


def leaf_of(datagram):
    count, = struct.unpack_from('<H', datagram, 6)
    arena, = struct.unpack_from('<I', datagram, 40)
    return wire.sha256(datagram[:64 + 64 * count + arena])


def check(evidence, shards, acks_key, *, durability='commit', complete=True, notes=(),
          checkpoint_key=None, digests=()):
    """Judges everything; returns (violations, figures). shards: atrlog.read(). acks_key: public.
    complete: subscribers have filled their gaps. notes: signed checkpoints that were seen.
    digests: (what, live, replayed)."""
    one = Check(evidence, shards, durability)
    one.log()
    one.acknowledgements(acks_key)
    one.replies()
    one.deliveries(complete)
    one.checkpoints(notes, checkpoint_key)
    for what, live, replayed in digests:
        if live != replayed:
            one.wrong('digest', f'{what}: {live} live, {replayed} replayed')
    figures = {'frames sent': len(evidence.frames), 'envelopes sent': len(evidence.envelopes),
               'acknowledgements': len(evidence.acks), 'replies': len(evidence.replies),
               'events in the log': len(one.by_identity),
               'messages': sum(map(len, one.messages.values())),
               'packets delivered': len(evidence.packets),
               'groups': sum(len(shard.groups) for shard in shards.values())}
    return one.violations, figures
