#!/usr/bin/python3
"""The tables of results in core/ledger/README.md have every result of the header, and each has its case."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADER = (ROOT / "core/include/jini/ledger.h").read_text()
README = (ROOT / "core/ledger/README.md").read_text()
CASES = (ROOT / "tests/unit/ledger/results.c").read_text()


def results(macro):
    """(name, number, text) of each result of a map, in its order."""
    begin = HEADER.index("#define " + macro)
    text = HEADER[begin:HEADER.index("\nenum", begin)].replace("\\\n", " ")
    return re.findall(r'X\(([A-Z0-9_]+), (\d+),\s*"([a-z0-9_]+)"\)', text)


def rows(title):
    """(number, text, case) of each row of a table, in its order."""
    table = README[README.index(f"**{title}**"):].split("\n\n")[1]
    return re.findall(r"^\| `\w+` \| (\d+) \| `(\w+)` \| `(\w+)` \|$", table, re.MULTILINE)


class LedgerResults(unittest.TestCase):
    def check(self, macro, title):
        known = results(macro)
        self.assertGreater(len(known), 20)
        self.assertEqual([(number, text) for _, number, text in known],
                         [(number, text) for number, text, _ in rows(title)])
        for (name, _, _), (_, _, case) in zip(known, rows(title)):
            kind, _, rest = case.partition("_")
            if rest == name:
                self.assertRegex(CASES, rf"{kind.upper()}_CASE\({name},")
            else:
                before = CASES[:CASES.index(f"TEST({case},")]
                self.assertRegex(before[before.rindex("/*"):], rf"\b{name}\b")

    def test_accounts(self):
        self.check("JINI_ACCOUNT_RESULT_MAP", "Accounts")

    def test_transfers(self):
        self.check("JINI_TRANSFER_RESULT_MAP", "Transfers")


if __name__ == "__main__":
    unittest.main()
