#!/usr/bin/env python3
"""seep blocks: sizes, places, texts and classes are what the programs say they are."""
import json
import re
import shlex
import socket
import struct

from clients import listening
from lab import BUILD, SOURCE, Skip, case, free_port, holds, need, refuses, run_all, same, victim

METER = BUILD / 'examples' / 'batterymeter'
TURNS = 400
BATTERY, CPU = 3072, 4560
BATTERY_TEXT = 'utf16:Battery Internal Info Structure'


def usable(size):
    """What glibc makes of a request on 64-bit machines."""
    return max(24, (size + 8 + 15) // 16 * 16 - 8)


def blocks(lab, *arguments):
    return json.loads(lab.seep('blocks', '--format', 'json', *arguments).must().out)


def start_meter(lab, recorded=False, turns=TURNS):
    start = lab.start if recorded else lab.background
    meter = start(METER / 'batterymeter-debug', '--headless', '--rate', '0', '--turns', '0')
    meter.say(f'turn {turns}')
    return meter, meter.truth()


def rows_by_size(answer):
    return {row['size']: row for row in answer['rows']}


@case('BatteryMeter: its two sizes are on top, exactly as many as it leaked')
def sizes(lab):
    _, truth = start_meter(lab)
    answer = blocks(lab, truth['pid'])
    same('schema', answer['schema'], 'seep-blocks-1')
    same('blocks leaked', truth['leaked_blocks'], 2 * TURNS)
    for row, size in zip(answer['rows'], (CPU, BATTERY)):
        same('size', row['size'], usable(size))
        same(f'blocks of {size}', row['blocks'], TURNS)
        same(f'bytes of {size}', row['bytes'], TURNS * usable(size))
    totals = answer['totals']
    same('sum of blocks', sum(r['blocks'] for r in answer['rows']), totals['busy_blocks'])
    same('sum of bytes', sum(r['bytes'] for r in answer['rows']), totals['busy_bytes'])
    heaps = json.loads(lab.seep('heaps', '--format', 'json', truth['pid']).must().out)
    same('busy bytes as seep heaps has them',
         sum(r['busy_bytes'] for r in heaps['rows']), totals['busy_bytes'])


@case('BatteryMeter recorded: sizes as asked for, sites, ages; growth since a snapshot')
def recorded(lab):
    meter, truth = start_meter(lab, recorded=True)
    pid = truth['pid']
    found = rows_by_size(blocks(lab, pid))
    for size in (CPU, BATTERY):
        same(f'blocks of {size}', found[size]['blocks'], TURNS)
    listed = blocks(lab, '--list', '--filter', f'func=battery_info_init size={BATTERY}', pid)
    same('by site', listed['totals']['matching_blocks'], TURNS)
    for row in listed['rows']:
        same('usable', row['usable'], usable(BATTERY))
        holds('site', row['site'].startswith('battery_info_init (battery.h:'), row)
        holds('an age', row['age_ms'] is not None, row)
    one = lab.snap(pid, 'one.seep')
    same('the snapshot', rows_by_size(blocks(lab, one))[CPU]['blocks'], TURNS)
    meter.say('turn 50')
    meter.truth()
    two = lab.snap(pid, 'two.seep')
    for newer in (pid, two):
        grown = blocks(lab, one, newer)
        for row, size in zip(grown['rows'], (CPU, BATTERY)):
            same('what grew', row['size'], size)
            same(f'more blocks of {size}', row['blocks_change'], 50)
            same(f'more bytes of {size}', row['bytes_change'], 50 * size)
        top = blocks(lab, '--top', one, newer)
        same('the size that grew', top['totals']['size'], CPU)
        same('new blocks', top['totals']['new_blocks'], 50)
        same('who made the new ones', top['stacks'][0]['blocks'], 50)
        same('the callers', [f['function'] for f in top['stack'][:2]],
             ['cpu_info_init', 'take_turn'])
    text = lab.seep('blocks', one, two).must().out
    holds('the sentence', f'Blocks of {CPU:,} bytes grew most: +50 blocks' in text, text)


@case('BatteryMeter: a text is found in every block that has it, and nowhere else')
def search(lab):
    _, truth = start_meter(lab)
    pid = truth['pid']
    answer = blocks(lab, '--search', BATTERY_TEXT, pid)
    same('hits', answer['totals']['hits'], TURNS)
    same('blocks', answer['totals']['blocks'], TURNS)
    same('unread', answer['totals']['unread_bytes'], 0)
    same('different blocks', len({row['address'] for row in answer['rows']}), TURNS)
    for row in answer['rows']:
        same('size', row['size'], usable(BATTERY))
        same('offset', row['offset'], 0)
    same('contents are not shown unasked', {row['content'] for row in answer['rows']}, {None})
    raw = 'Battery Internal'.encode('utf-16-le').hex(' ')
    same('as bytes', blocks(lab, '--search', f'bytes:{raw}', pid)['totals']['hits'], TURNS)
    word = struct.unpack('<Q', 'Batt'.encode('utf-16-le'))[0]
    same('as a word', blocks(lab, '--search', f'word:{word:#x}', pid)['totals']['hits'], TURNS)
    same('what is not there',
         blocks(lab, '--search', 'utf16:Battery External', pid)['totals']['hits'], 0)
    everywhere = blocks(lab, '--search', BATTERY_TEXT, '--everywhere', pid)
    holds('everywhere is more', everywhere['totals']['hits'] >= TURNS, everywhere['totals'])
    texts = {row['text']: row for row in blocks(lab, '--strings', pid)['rows']}
    row = texts['"Battery Internal Info Structure"']
    same('as a string', (row['count'], row['encoding']), (TURNS, 'utf16'))


@case('BatteryMeter: a block from its address, from its middle, from its header')
def at(lab):
    _, truth = start_meter(lab)
    pid = truth['pid']
    hits = blocks(lab, '--search', BATTERY_TEXT, pid)['rows']
    addr = int(hits[TURNS // 2]['address'], 16)
    for offset in (0, 16, usable(BATTERY) - 1):
        answer = blocks(lab, '--at', hex(addr + offset), pid)
        this = {row['relation']: row for row in answer['rows']}
        same('the block', this['this']['address'], hex(addr))
        same('offset', answer['totals']['offset'], offset)
        same('the block after', int(this['after']['address'], 16), addr + usable(BATTERY) + 8)
        holds('the header is told', any('0xc10' in n for n in answer['notes']), answer['notes'])
    text = lab.seep('blocks', '--at', hex(addr - 4), pid).must().out
    holds('in the header', 'is in the header of a busy block of 3,080 bytes' in text, text)
    holds('how it was read', 'stood still' in text, text)
    holds('no content unasked', 'Battery' not in text, text)
    text = lab.seep('blocks', '--at', hex(addr), '--content', pid).must().out
    holds('the content', 'u"Battery Internal Info Structure"' in text, text)


@case('BatteryMeter: the chain of --top ends at the blocks that leak')
def top(lab):
    _, truth = start_meter(lab)
    answer = blocks(lab, '--top', '--content', truth['pid'])
    same('size', answer['totals']['size'], usable(CPU))
    same('blocks', answer['totals']['blocks'], TURNS)
    holds('examples', len(answer['rows']) == 5, answer['rows'])
    for row in answer['rows']:
        same('what is in them', row['content'], 'u"CPU Internal Info Structure"')
    text = lab.seep('blocks', '--top', truth['pid']).must().out
    holds('no content unasked', 'Internal' not in text, text)


def classes_of(lab, target):
    rows = blocks(lab, '--by', 'class', target)['rows']
    return {row['class']: row['blocks'] for row in rows if row['class']}


def check_classes(name):
    @case(f'{name}: every object has its class, live and from a core; nothing else has one')
    def run(lab):
        program = lab.background(victim(name))
        truth = program.truth()
        want = {k: v for k, v in truth['classes'].items() if k}
        if name == 'classes-no-rtti':
            want = {}
        same('classes', classes_of(lab, truth['pid']), want)
        core = lab.path('core')
        lab.seep('core', '-o', core, truth['pid']).must()
        program.wait().must()
        same('classes in the core', classes_of(lab, core), want)
        if want:
            found = blocks(lab, '--list', '--filter', "class=shop::Order", core)
            same('listed', found['totals']['matching_blocks'], want['shop::Order'])
    return run


for build in ('classes', 'classes-stripped', 'classes-static', 'classes-no-rtti'):
    if victim(build).exists():
        check_classes(build)


@case('python3: texts and objects of its own heap')
def python(lab):
    python3 = need('python3')
    program = lab.background(
        python3, '-c',
        'import os\n'
        'kept = ["needle-%06d-in-the-heap" % i for i in range(3000)]\n'
        'print(\'{"pid": %d}\' % os.getpid(), flush=True)\n'
        'input()\n')
    pid = program.truth()['pid']
    found = blocks(lab, '--search', 'text:-in-the-heap', '--limit', '0', pid)
    holds('every needle', found['totals']['hits'] >= 3000, found['totals'])
    listed = {row['address'] for row in found['rows']}
    holds('in different blocks', len(listed) >= 3000, len(listed))
    strings = blocks(lab, '--strings', '--min-length', '20', pid)['rows']
    needles = [r for r in strings if re.fullmatch(r'"needle-\d{6}-in-the-heap"', r['text'])]
    same('different needles', len(needles), 3000)


@case('python3: its objects have their types, small and large')
def python_types(lab):
    python3 = need('python3')
    program = lab.background(
        python3, '-c',
        'import os\n'
        'class Slotted:\n'
        '    __slots__ = ("a", "b")\n'
        'class Ordinary:\n'
        '    pass\n'
        'class Large(bytes):\n'
        '    pass\n'
        'slotted = [Slotted() for _ in range(777)]\n'
        'ordinary = [Ordinary() for _ in range(1234)]\n'
        'large = [Large(b"x" * 5000) for _ in range(99)]\n'
        'types = [[Slotted] * 40 for _ in range(50)]\n'  # pointers to types, no objects
        'print(\'{"pid": %d}\' % os.getpid(), flush=True)\n'
        'input()\n')
    pid = program.truth()['pid']
    if not any('python' in str(r) for r in
               json.loads(lab.seep('heaps', '--format', 'json', pid).must().out)['rows']):
        raise Skip('this Python has an allocator of another kind')
    found = classes_of(lab, pid)
    same('objects', {k: found.get(k) for k in ('Slotted', 'Ordinary', 'Large')},
         {'Slotted': 777, 'Ordinary': 1234, 'Large': 99})


@case('redis-server (jemalloc): what a client stored is found in its blocks')
def redis(lab):
    server = need('redis-server')
    port = free_port()
    running = lab.background(server, '--port', port, '--bind', '127.0.0.1', '--save', '',
                             '--dir', lab.folder, '--daemonize', 'no')
    running.until('redis listens', listening(port))
    with socket.create_connection(('127.0.0.1', port)) as client:
        for i in range(500):
            value = f'{i:04d}-seep-was-here-' + 'x' * 300
            client.sendall(f'SET key{i} {value}\r\n'.encode())
        answer = b''
        while answer.count(b'+OK') < 500:
            answer += client.recv(65536)
    pid = running.process.pid
    stat = blocks(lab, pid)
    same('sum of bytes', sum(r['bytes'] for r in stat['rows']), stat['totals']['busy_bytes'])
    found = blocks(lab, '--search', 'text:-seep-was-here-xxx', '--filter', 'size=321..384', pid)
    values = {row['address'] for row in found['rows']}
    same('values', len(values), 500)


@case('nginx: sizes add up to what seep heaps says')
def nginx(lab):
    server = need('nginx')
    port = free_port()
    conf = lab.folder / 'nginx.conf'
    conf.write_text(f'daemon off; master_process off; pid {lab.folder}/pid; error_log stderr;\n'
                    'events {}\n'
                    f'http {{ access_log off; client_body_temp_path {lab.folder}/b;\n'
                    f' proxy_temp_path {lab.folder}/p; fastcgi_temp_path {lab.folder}/f;\n'
                    f' uwsgi_temp_path {lab.folder}/u; scgi_temp_path {lab.folder}/s;\n'
                    f' server {{ listen 127.0.0.1:{port}; }} }}\n')
    running = lab.background(server, '-c', conf, '-p', lab.folder)
    running.until('nginx listens', listening(port))
    pid = running.process.pid
    stat = blocks(lab, pid)['totals']
    heaps = json.loads(lab.seep('heaps', '--format', 'json', pid).must().out)
    same('busy bytes', sum(r['busy_bytes'] for r in heaps['rows']), stat['busy_bytes'])
    same('busy blocks', sum(r['busy_blocks'] for r in heaps['rows']), stat['busy_blocks'])
    holds('pools of nginx', stat['busy_blocks'] > 10, stat)


def examples():
    """Command lines of the manual's EXAMPLES, as words after "seep"."""
    page = (SOURCE / 'doc' / 'man' / 'seep-blocks.1.scd').read_text()
    part = page.split('# EXAMPLES')[1].split('\n# ')[0]
    return [shlex.split(line) for line in re.findall(r'^\*seep (.*)\*$', part, re.M)]


@case('every example of the manual does what it says')
def manual(lab):
    meter, truth = start_meter(lab)
    pid = truth['pid']
    core = lab.path('core')
    lab.seep('core', '-o', core, pid).must()
    snapshot = lab.snap(pid, 'one.seep')
    addr = blocks(lab, '--search', BATTERY_TEXT, '--limit', '1', pid)['rows'][0]['address']
    names = {'batterymeter': pid, 'program.core': core, 'one.seep': snapshot,
             '0x55d0c0a4f2b0': addr, 'ptr:0x55d0c0a4f2b0': f'ptr:{addr}'}
    meter.say('turn 10')
    meter.truth()
    said = {}
    for words in examples():
        said[' '.join(words)] = lab.seep(*(names.get(w, w) for w in words)).must().out
    holds('there are examples', len(said) >= 8, said)
    for start, word in {
            'blocks one.seep': 'grew most: +10 blocks',
            'blocks --top': 'some of them:',
            'blocks --list --filter': 'matching block',
            'blocks --at': 'is the beginning of a busy block of 3,080 bytes',
            'blocks --search utf16': f'found {TURNS + 10} times',
            'blocks --search ptr': 'found',
            'blocks --by class': 'busy blocks'}.items():
        found = [text for line, text in said.items() if line.startswith(start)]
        holds(f'{start} says {word!r}', found and word in found[0], found)
    same('the table of all blocks', len((lab.folder / 'blocks.csv').read_text().splitlines()) - 1,
         blocks(lab, snapshot)['totals']['busy_blocks'])


@case('addresses in no block, nobody to look at, and snapshots without contents')
def refusals(lab):
    _, truth = start_meter(lab, turns=1)
    pid = truth['pid']
    refuses(lab.seep('blocks', '--at', '0x10', pid), 3, 'nothing is mapped')
    stack = re.search(r'^([0-9a-f]+)-.*\[stack\]', open(f'/proc/{pid}/maps').read(), re.M)
    refuses(lab.seep('blocks', '--at', stack.group(1), pid), 3, r'in no block .* \[stack\]')
    refuses(lab.seep('blocks', '--search', f'ptr:0x{stack.group(1)}', pid), 3, 'in no block',
            'word:0x')
    refuses(lab.seep('blocks', '--at', 'here', pid), 2, "'here' is not an address")
    refuses(lab.seep('blocks', '--search', 'foo', pid), 2, "cannot search for 'foo'", 'utf16:')
    snapshot = lab.snap(pid, 'one.seep')
    for form in (['--search', 'text:a'], ['--strings'], ['--list', '--content'],
                 ['--by', 'class'], ['--list', '--filter', 'class~x']):
        refuses(lab.seep('blocks', *form, snapshot), 4, 'holds no contents', 'seep core')
    refuses(lab.seep('blocks', '999999999'), 3, '999999999')
    other = lab.background('sleep', '1000')
    refuses(lab.seep('blocks', snapshot, other.process.pid), 2, 'not of the same process',
            '--force')
    forced = lab.seep('blocks', '--force', snapshot, other.process.pid).must()
    holds('told all the same', 'warning' in forced.err, forced)


if __name__ == '__main__':
    run_all()
