#!/usr/bin/env python3
"""Static programs with an allocator that is linked into them: attached to, and from their start."""
from attach import every_way
from lab import case, check_sites, holds, run_all
from static_allocators import KINDS, build

for _kind in KINDS:
    @case(f'{_kind}: attached to, exact, and as it was')
    def attached(lab, kind=_kind):
        said = every_way(lab, [build(lab, kind, 'attached'), '4', 'churn'])
        holds('it is named', f'of {kind.split(",")[0]}' in said, said)

    @case(f'{_kind}: recorded from its start')
    def from_start(lab, kind=_kind):
        for name, arguments in (('static', ()), ('threads', ())):
            done, path = lab.record(build(lab, kind, name), *arguments)
            check_sites(done.must().truth(), lab.report(path).complete())


if __name__ == '__main__':
    run_all()
