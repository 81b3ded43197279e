# SPDX-License-Identifier: BSD-3-Clause
"""Which feeds an event goes to, from a plan's document and docs/pipeline.md alone."""
import json
import struct
from fractions import Fraction

KINDS = {'u8': 'B', 'u16': 'H', 'u32': 'I', 'u64': 'Q', 'i8': 'b', 'i16': 'h', 'i32': 'i',
         'i64': 'q'}
# none promises least; a feed has the weaker class of its own and the pipeline's.
CLASSES = ('none', 'async', 'commit')


def matches(pattern, topic):
    """Does a topic match? '*' is one token, a final '>' one or more."""
    wanted, found = pattern.split('.'), topic.split('.')
    if wanted[-1] == '>':
        wanted = wanted[:-1]
        if len(found) <= len(wanted):
            return False
        found = found[:len(wanted)]
    return len(wanted) == len(found) and all(w in ('*', f) for w, f in zip(wanted, found))


def holds(condition, value):
    """value: a number, or None where the field is absent."""
    if value is None:
        return False
    wanted = condition['value']
    convert = (lambda number: number) if isinstance(value, Fraction) else float
    if condition['op'] == 'in':
        return any(value == convert(one) for one in wanted)
    if condition['op'] == 'between':
        return convert(wanted[0]) <= value <= convert(wanted[1])
    wanted = convert(wanted)
    return {'==': value == wanted, '!=': value != wanted, '<': value < wanted,
            '<=': value <= wanted, '>': value > wanted, '>=': value >= wanted}[condition['op']]


class Plan:
    """text: the document. durability: the pipeline's."""

    def __init__(self, text, durability='commit'):
        document = json.loads(text, parse_float=Fraction, parse_int=Fraction)
        entries = {kind: {int(entry['id']): entry for entry in document[kind]}
                   for kind in ('sources', 'types', 'topics', 'feeds')}
        self.sources, self.types = entries['sources'], entries['types']
        self.topics, self.rules = entries['topics'], document['rules']
        self.realm = int(document['realm'], 16)
        self.feeds = {entry['name']: number for number, entry in entries['feeds'].items()}
        classes = {number: min(entry['durability'], durability, key=CLASSES.index)
                   for number, entry in entries['feeds'].items()}
        self.class_d = {number for number, name in classes.items() if name == 'commit'}
        self.chosen = {}  # (source, topic, type): rules that match

    def ids(self, kind):
        """name -> id of sources, types or topics."""
        return {entry['name']: number for number, entry in getattr(self, kind).items()}

    def matching(self, source, topic, type_id):
        """Rules that match; None if one of the three is not in the plan."""
        key = source, topic, type_id
        if key not in self.chosen:
            one, subject = self.sources.get(source), self.topics.get(topic)
            kind = self.types.get(type_id)
            self.chosen[key] = None if not (one and subject and kind) else [
                rule for rule in self.rules
                if (rule.get('any_source') or one['name'] in rule.get('sources', ()) or
                    one['role'] in rule.get('roles', ())) and kind['name'] in rule['types'] and
                any(matches(pattern, subject['name']) for pattern in rule['topics'])]
        return self.chosen[key]

    def allowed(self, source, topic, type_id):
        return bool(self.matching(source, topic, type_id))

    def _feeds(self, key, value_of):
        return {self.feeds[name] for rule in self.matching(*key) or ()
                if all(holds(one, value_of(one['field'])) for one in rule.get('where', ()))
                for name in rule['feeds']}

    def frame_feeds(self, source, topic, type_id, payload):
        """Ids of all feeds that an event of a frame goes to."""
        def value_of(name):
            field = next(one for one in self.types[type_id]['binary']['fields']
                         if one['name'] == name)
            raw, = struct.unpack_from('<' + KINDS[field['kind']], payload, int(field['at']))
            if raw == field.get('absent_raw'):
                return None
            return Fraction(raw, 10 ** int(field.get('scale', 0)))
        return self._feeds((source, topic, type_id), value_of)

    def envelope_feeds(self, source, topic, type_id, payload):
        """Ids of all feeds that an envelope goes to; payload: its member of that name."""
        def value_of(name):
            value = payload.get(name) if isinstance(payload, dict) else None
            good = isinstance(value, (int, float)) and not isinstance(value, bool)
            return float(value) if good else None
        return self._feeds((source, topic, type_id), value_of)
