"""What tests of attach and detach share."""


def attach(lab, pid, *options):
    return lab.seep('attach', *options, pid).must()


def detach(lab, pid, *options):
    return lab.seep('detach', *options, pid).must()
