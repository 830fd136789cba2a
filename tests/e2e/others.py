"""Being somebody else, and a seep that everybody can read."""
import os
import pwd
import shutil

from lab import BUILD, SEEP, Skip, need

ORDINARY_USERS = ('nobody', 'daemon')


def ordinary_user():
    """Somebody else to be; None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ORDINARY_USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise Skip('there is no user to change to')


def as_other():
    """The beginning of a command that becomes that user; nothing when we are not root."""
    user = ordinary_user()
    if not user:
        return []
    return [need('setpriv'), f'--reuid={user.pw_uid}', f'--regid={user.pw_gid}', '--clear-groups',
            '--']


def copy_of_seep(lab):
    """Where everybody may read it, whatever folder the build is in."""
    os.chmod(lab.folder, 0o755)
    home = lab.folder / 'seep'
    (home / 'rec').mkdir(parents=True)
    shutil.copy(SEEP, home / 'seep')
    shutil.copy(BUILD / 'rec' / 'libseep-rec.so', home / 'rec')
    for path in (home, home / 'rec'):
        path.chmod(0o755)
    return home / 'seep'
