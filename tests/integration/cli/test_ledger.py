#!/usr/bin/python3
"""Accounts, transfers and balances by the command, as text and as JSON."""

import unittest

from cli import Case


def uuid(number):
    """A number as an id of the ledger."""
    digits = f"{number:032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


class Ledger(Case):
    def setUp(self):
        super().setUp()
        self.run_jini("init")
        self.account(1)
        self.account(2, "--debits-must-not-exceed-credits", "--history")

    def account(self, number, *options, **more):
        return self.json("account", "create", number, "--ledger", 978, "--code", 10, *options, **more)

    def move(self, debit, credit, amount, *options, number=(), **more):
        return self.json("transfer", "create", *number, "--debit", debit, "--credit", credit, "--amount", amount,
                         "--ledger", 978, "--code", 1, *options, **more)

    def balance(self, number, *options):
        return self.json("balance", number, *options).object()

    def test_accounts(self):
        made = self.account(3, "--history", "--user-data-64", 7, "--user-data-128", uuid(5)).object()
        self.assertEqual((made["id"], made["ledger"], made["code"], made["flags"], made["result"]),
                         (uuid(3), 978, 10, ["history"], "created"))
        self.assertEqual((made["user_data_64"], made["user_data_128"], made["user_data_32"]), (7, uuid(5), 0))
        again = self.account(uuid(3), "--history", "--user-data-64", 7, "--user-data-128", 5).object()
        self.assertEqual((again["result"], again["timestamp"]), ("exists", made["timestamp"]))
        shown = self.json("account", "show", 3).object()
        self.assertEqual({**shown, "result": "created"}, made)
        self.assertRegex(self.run_jini("account", "show", 3).out, r"balance.credits_posted +0")
        largest = self.account((1 << 128) - 2).object()
        self.assertEqual(largest["id"], uuid((1 << 128) - 2))
        new = self.json("account", "create", "--ledger", 1, "--code", 1).object()["id"]
        self.assertEqual(self.json("account", "show", new).object()["ledger"], 1)

    def test_transfers_and_balances(self):
        made = self.move(1, 2, 999, number=(6,)).object()
        self.assertEqual((made["id"], made["amount"], made["result"]), (uuid(6), "999", "created"))
        self.assertEqual(made["credit_balance"]["credits_posted"], "999")
        again = self.move(1, 2, 999, number=(6,)).object()
        self.assertEqual((again["result"], again["timestamp"]), ("exists", made["timestamp"]))
        held = self.move(2, 1, 10, "--pending", "--timeout", 300, number=(7,)).object()
        self.assertEqual((held["flags"], held["timeout_s"], held["debit_balance"]["debits_pending"]),
                         (["pending"], 300, "10"))
        posted = self.json("transfer", "create", 8, "--post", 7, "--amount", 6).object()
        self.assertEqual((posted["flags"], posted["pending"], posted["amount"]), (["post"], uuid(7), "6"))
        self.move(2, 1, 20, "--pending", number=(9,))
        self.assertEqual(self.json("transfer", "create", 10, "--post", 9).object()["amount"], "20")
        self.move(2, 1, 30, "--pending", number=(11,))
        self.assertEqual(self.json("transfer", "create", 12, "--void", 11).object()["flags"], ["void"])
        now = self.balance(2)
        self.assertEqual(now, {"debits_pending": "0", "debits_posted": "26", "credits_pending": "0",
                               "credits_posted": "999"})
        shown = self.json("transfer", "show", 8).object()
        self.assertEqual({key: posted[key] for key in shown}, shown)
        times = [row["timestamp"] for row in self.json("balance", 2, "--history").lines()]
        self.assertEqual(len(times), 7)
        self.assertEqual(times, sorted(times))
        newest = self.json("balance", 2, "--history", "--reverse", "--limit", 1).object()
        self.assertEqual({key: newest[key] for key in now}, now)
        self.assertEqual(self.balance(2, "--at", times[0])["credits_posted"], "999")
        self.assertEqual(self.balance(2, "--at", times[0] - 1)["credits_posted"], "0")
        self.assertEqual(self.balance(2, "--at", "2100-01-01T00:00:00Z")["debits_posted"], "26")
        self.assertRegex(self.run_jini("balance", 2).out, r"debits_posted +26")
        self.assertEqual(self.verify()["problems"], 0)

    def test_lists(self):
        for number in range(21, 27):
            self.move(*((1, 2) if number % 2 else (2, 1)), number if number % 2 else 1, "--user-data-64",
                      1 + number % 3, number=(number,))

        def listed(*options):
            return [int(row["id"].replace("-", ""), 16) for row in self.json("transfer", "list", *options).lines()]

        self.assertEqual(listed(), list(range(21, 27)))
        self.assertEqual(listed(1, "--reverse", "--limit", 2), [26, 25])
        self.assertEqual(listed(2, "--credits"), [21, 23, 25])
        self.assertEqual(listed(2, "--debits", "--user-data-64", 3), [26])
        second = self.json("transfer", "show", 22).object()["timestamp"]
        self.assertEqual(listed("--from", second, "--to", second), [22])
        self.assertEqual(listed("--to", "2000-01-01"), [])
        self.assertEqual(listed("--code", 2), [])
        self.assertIn("no transfers", self.run_jini("transfer", "list", "--ledger", 2).out)
        self.assertRegex(self.run_jini("transfer", "list").out, r"^TIME +ID +DEBIT +CREDIT +AMOUNT +CODE")
        self.assertEqual(listed(1, "--debits", "--credits"), listed(1))
        self.check_error(self.json("transfer", "list", "--debits", code=2), "E_INVALID", "ACCOUNT")
        backwards = self.json("transfer", "list", "--from", second, "--to", second - 1, code=2)
        self.check_error(backwards, "E_INVALID", "--to", "before")

    def test_refusals(self):
        self.check_error(self.move(2, 1, 1, code=21), "E_CONFLICT", "transfer", "exceeds_credits")
        self.check_error(self.move(1, 5, 1, code=3), "E_NOT_FOUND", "transfer", "credit_account_not_found")
        self.check_error(self.move(1, 1, 1, code=2), "E_INVALID", "transfer", "accounts_must_be_different")
        self.move(1, 2, 5, number=(6,))
        self.check_error(self.move(1, 2, 6, number=(6,), code=4), "E_EXISTS", "transfer",
                         "exists_with_different_amount")
        self.check_error(self.account(1, "--history", code=4), "E_EXISTS", "account", "exists_with_different_flags")
        self.check_error(self.json("account", "create", code=2), "E_INVALID", "account", "ledger_must_not_be_zero")
        self.move(2, 1, 5, "--pending", number=(7,))
        self.json("transfer", "create", "--void", 7)
        self.check_error(self.json("transfer", "create", "--post", 7, code=21), "E_CONFLICT", "transfer",
                         "pending_transfer_already_voided")
        self.check_error(self.json("transfer", "create", "--post", 6, "--void", 7, code=2), "E_INVALID", "--post")
        self.assertEqual(self.balance(2)["debits_posted"], "0")

    def test_wrong_words(self):
        for amount in ("5.5", "-1", "", "1e3", str(1 << 128)):
            self.check_error(self.json("transfer", "create", "--debit", 1, "--credit", 2, f"--amount={amount}",
                                       code=2), "E_INVALID", "--amount", "whole number")
        self.check_error(self.json("transfer", "create", "--debit", 1, "--credit", 2, code=2), "E_INVALID", "--amount")
        self.check_error(self.json("transfer", "create", "--debit", "x", "--credit", 2, "--amount", 1, code=2),
                         "E_INVALID", "--debit", "UUID")
        self.check_error(self.json("account", "show", str(1 << 128), code=2), "E_INVALID", "ID", "2^128")
        self.check_error(self.json("account", "show", 5, code=3), "E_NOT_FOUND", "ID")
        self.check_error(self.json("transfer", "show", 5, code=3), "E_NOT_FOUND", "ID")
        self.check_error(self.json("balance", 5, code=3), "E_NOT_FOUND", "ACCOUNT")
        self.check_error(self.json("balance", 2, "--at", "yesterday", code=2), "E_INVALID", "--at", "Z")
        self.check_error(self.json("balance", 1, "--at", 1, code=23), "E_UNSUPPORTED", "ACCOUNT", "--history")
        self.check_error(self.json("balance", 1, "--history", code=23), "E_UNSUPPORTED", "ACCOUNT", "--history")
        self.check_error(self.json("balance", 2, "--history", "--at", 1, code=2), "E_INVALID", "--at")

    def test_times_and_ids_that_are_none(self):
        self.move(1, 2, 10)
        for words in (("balance", 2, "--at", "2600-01-01"), ("balance", 2, "--at", "1970-01-01"), ("balance", 2, "--at", 0),
                      ("balance", 2, "--at", "2026-02-31"), ("balance", 2, "--limit", 1),
                      ("balance", 2, "--from", "2026-01-01"), ("transfer", "list", "--to", 0), ("transfer", "list", 0),
                      ("transfer", "list", "--to", "2600-01-01"), ("account", "show", 0)):
            with self.subTest(words=words):
                self.assertEqual(self.json(*words, code=2).error()["name"], "E_INVALID")
        self.assertEqual(len(self.json("transfer", "list", "--to", "2500-01-01").lines()), 1)


if __name__ == "__main__":
    unittest.main()
