"""Test cases on standard output, in the Test Anything Protocol."""
import sys


class Tap:
    def __init__(self):
        self.nr = self.failed = 0

    def case(self, name, problems):
        """One case: passed when there are no problems (strings)."""
        self.nr += 1
        problems = list(problems)
        print(f"{'not ' if problems else ''}ok {self.nr} - {name}")
        for problem in problems:
            print(f'# {problem}')
        self.failed += bool(problems)

    def skip(self, name, why):
        self.nr += 1
        print(f'ok {self.nr} - {name} # skip {why}')

    def done(self):
        print(f'1..{self.nr}')
        sys.exit(1 if self.failed else 0)
