#!/usr/bin/env python3
"""Static programs with an allocator that is linked into them: attached to, and from their start."""
from attach import every_way
from attach_programs import handling, throwing
from lab import case, check_sites, holds, run_all
from static_allocators import KINDS, build

for _kind in KINDS:
    @case(f'{_kind}: attached to, exact, and as it was')
    def attached(lab, kind=_kind):
        said = every_way(lab, [build(lab, kind, 'attached.c'), '4', 'churn'])
        holds('it is named', f'of {kind.split(",")[0]}' in said, said)

    @case(f'{_kind}: recorded from its start')
    def from_start(lab, kind=_kind):
        for name, arguments in (('static', ()), ('threads', ())):
            done, path = lab.record(build(lab, kind, f'{name}.c'), *arguments)
            check_sites(done.must().truth(), lab.report(path).complete())

    # mimalloc has operator new for programs that include its header only.
    if _kind != 'mimalloc':
        @case(f'{_kind}: what operator new throws passes through, and it runs once a call')
        def throws(lab, kind=_kind):
            throwing(lab, build(lab, kind, 'attached_throws.cpp'))
            handling(lab, build(lab, kind, 'attached_new.cpp'))


if __name__ == '__main__':
    run_all()
