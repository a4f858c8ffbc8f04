#!/usr/bin/python3
"""Payments by the command: prices, what they buy, the books, and payments from a file."""

import unittest

from cli import Case


class Payments(Case):
    def setUp(self):
        super().setUp()
        self.init("ada")
        self.run_jini("price", "set", "premium", "15", "--tier", "premium")

    def pay(self, verb, *arguments, **more):
        return self.json("pay", verb, *arguments, **more)

    def books(self):
        books = self.pay("books").object()
        return tuple(books[name] for name in ("cash", "deferred", "revenue", "refunds", "unmatched"))

    def user(self):
        return self.json("user", "show", "ada").object()

    def test_prices(self):
        self.run_jini("price", "set", "pack", "9.99", "--currency", "USD", "--credits", 500, "--days", 365,
                      "--credits-expire")
        self.run_jini("price", "set", "lifetime", "300", "--tier", "Premium", "--forever")
        rows = self.json("price", "list").lines()
        self.assertEqual([(row["name"], row["amount"], row["currency"], row["tier"], row["days"], row["credits"],
                           row["credits_amount"]) for row in rows],
                         [("lifetime", "300.00", "EUR", "Premium", "for ever", 0, "0.00"),
                          ("pack", "9.99", "USD", None, 365, 500, "9.99"),
                          ("premium", "15.00", "EUR", "Premium", 30, 0, "0.00")])
        self.run_jini("price", "rm", "pack")
        self.assertEqual(len(self.json("price", "list").lines()), 2)
        self.assertEqual(self.json("price", "rm", "pack", code=3).error()["field"], "name")
        self.assertIn("premium", self.run_jini("price", "list").out)

    def test_what_is_wrong_with_a_price(self):
        for arguments, field in ((("x", "0", "--tier", "Free"), "amount"), (("x", "1.005", "--tier", "Free"), "AMOUNT"),
                                 (("x", "1e3"), "AMOUNT"), (("x", "15.", "--tier", "Free"), "AMOUNT"),
                                 (("x", "15",), "tier"), (("x y", "15", "--tier", "Free"), "name"),
                                 (("x", "15", "--currency", "euro", "--tier", "Free"), "currency"),
                                 (("x", "1.5", "--currency", "JPY", "--tier", "Free"), "AMOUNT"),
                                 (("x", "1", "--tier", "Free", "--days", "0"), "days"),
                                 (("x", "10000000000.01", "--tier", "Free"), "AMOUNT"),
                                 (("x", "5", "--credits", "5", "--credits-amount", "6"), "credits-amount"),
                                 (("x", "5", "--tier", "Free", "--days", "3", "--forever"), "days")):
            self.assertIn(field, self.json("price", "set", *arguments, code=2).error()["field"], arguments)
        self.assertIn("AMOUNT", self.json("price", "set", "--tier", "Free", "--", "x", "-1", code=2).error()["field"])
        self.assertEqual(self.json("price", "set", "x", 5, "--tier", "Golden", code=3).error()["field"], "--tier")

    def test_a_payment(self):
        made = self.pay("intend", "ada", "premium", "--id", 7).object()
        self.assertEqual((made["state"], made["amount"], made["repeated"]), ("intent", "15.00", False))
        self.assertEqual(self.pay("intend", "ada", "premium", "--id", 8).object()["id"], made["id"])
        paid = self.pay("settle", 7, "--fee", "0.45", "--provider", "stripe", "--reference", "pi_1").object()
        self.assertEqual((paid["state"], paid["fee"], paid["deferred"], paid["tier"]),
                         ("settled", "0.45", "15.00", "Premium"))
        self.assertTrue(self.pay("settle", 7, "--fee", "0.45").object()["repeated"])
        self.assertEqual(self.pay("settle", 7, "--fee", "0.46", code=21).error()["field"], "fee")
        user = self.user()
        self.assertEqual((user["tier"], user["subscription"]["state"], user["subscription"]["price"]),
                         ("Premium", "active", "premium"))
        self.assertEqual(user["tier_until"], user["subscription"]["grace_until"])
        self.assertIn("subscription.tier", self.run_jini("user", "show", "ada").out)
        self.assertEqual(self.books(), ("14.55", "15.00", "0.00", "0.00", "0.00"))
        cancelled = self.pay("cancel", "ada").object()
        self.assertEqual((cancelled["cancelled"], cancelled["grace_until"]), (True, cancelled["paid_until"]))
        self.assertFalse(self.pay("cancel", "ada", "--resume").object()["cancelled"])
        back = self.pay("refund", 7, "--amount", "5", "--reason", "was late").object()
        self.assertEqual((back["state"], back["refunded"], back["revenue"], back["reason"]),
                         ("refunded", "5.00", "10.00", "was late"))
        self.assertEqual(self.books(), ("9.55", "0.00", "10.00", "0.00", "0.00"))
        self.assertEqual((self.user()["tier"], self.user()["subscription"]), ("Free", None))
        self.assertEqual([row["state"] for row in self.pay("list", "ada").lines()], ["refunded"])
        self.assertEqual(self.pay("show", 7).object()["reference"], "pi_1")
        self.assertEqual(self.pay("show", 9, code=3).error()["name"], "E_NOT_FOUND")
        self.verify("--deep")

    def test_other_ends(self):
        self.pay("intend", "ada", "premium", "--id", 1)
        self.assertEqual(self.pay("fail", 1, "--reason", "declined").object()["state"], "failed")
        self.pay("intend", "ada", "premium", "--id", 2)
        self.pay("settle", 2)
        self.assertEqual(self.pay("dispute", 2).object()["dispute"], "open")
        self.assertEqual(self.user()["tier"], "Free")
        self.assertIn("OUTCOME", self.pay("resolve", 2, "drawn", code=2).error()["field"])
        self.assertEqual(self.pay("resolve", 2, "won").object()["dispute"], "won")
        self.assertEqual(self.user()["tier"], "Premium")
        refused = self.pay("intend", "ada", "--amount", "14.99", "--id", 3).object()
        self.assertEqual((refused["state"], refused["refusal"]), ("refused", "there is no such price"))
        self.pay("settle", 3)
        self.assertEqual(self.books()[4], "14.99")
        self.pay("refund", 3)
        self.assertEqual(self.books()[4], "0.00")
        self.assertEqual(len(self.pay("list").lines()), 3)
        self.verify()

    def test_credits(self):
        self.run_jini("price", "set", "pack", 10, "--credits", 100)
        self.run_jini("cost", "set", "", "--per-image", 3000)
        self.pay("intend", "ada", "pack", "--id", 5)
        grant = self.pay("settle", 5).object()["grant_id"]
        self.assertEqual(self.json("grant", "list", "ada").lines()[0]["remaining"], 100)
        revoked = self.json("grant", "revoke", grant).object()
        self.assertEqual((revoked["revoked"], revoked["remaining"]), (100, 0))
        self.assertEqual(self.json("grant", "revoke", 99, code=3).error()["name"], "E_NOT_FOUND")
        self.assertEqual(self.json("grant", "refund", "0198f2d4-0000-7000-8000-000000000000", code=3).error()["name"],
                         "E_NOT_FOUND")
        self.verify()


HEADER = "id,user,amount,date\r\n"


class Import(Case):
    def setUp(self):
        super().setUp()
        self.init("ada", "bob")
        self.run_jini("price", "set", "premium", "15", "--tier", "Premium")

    def load(self, text, *arguments, **more):
        path = self.file("payments.csv", text.encode() if isinstance(text, str) else text)
        return self.json("import", "payments", path, *arguments, **more)

    def test_a_file(self):
        text = HEADER + '1,ada,15.00,2026-01-05T10:00:00.123456Z\r\n"2",bob,"15.00","2026-01-06"\n' \
            '3,ada,14.99,2026-01-07 10:00:00\n'
        self.assertEqual(self.load(text, "--dry-run").object(), {"type": "dry_run", "rows": 3, "known": 0})
        self.assertEqual(self.json("pay", "list").lines(), [])
        total = self.load(text).object()
        self.assertEqual(total, {"type": "total", "rows": 3, "known": 0, "currency": "EUR", "amount": "44.99",
                                 "states": {"settled": {"payments": 2, "amount": "30.00"},
                                            "refused": {"payments": 1, "amount": "14.99"}}})
        again = self.load(text).object()
        self.assertEqual((again["known"], again["states"]), (3, total["states"]))
        self.assertEqual(self.json("pay", "books").object()["cash"], "44.99")
        self.assertEqual(self.json("pay", "show", 1).object()["arrived"], "2026-01-05T10:00:00.123Z")
        self.assertIn("44.99", self.run_jini("import", "payments", self.file("p.csv", text.encode())).out)
        self.verify()

    def test_the_columns_stand_in_any_order(self):
        self.load("date,amount,id,user\n2026-01-05,15,9,ada\n")
        self.assertEqual(self.json("pay", "show", 9).object()["price"], "premium")

    def test_rows_that_are_wrong(self):
        text = HEADER + '1,ada,15.00,2026-01-05\nx,ada,15,2026-01-05\n3,eve,15,2026-01-05\n4,ada,-15,2026-01-05\n' \
            '5,ada,0,2026-01-05\n6,ada,1.005,2026-01-05\n7,ada,15,2026-02-30\n8,ada,15\n9,ada,15,2026-01-05,x\n' \
            '10,"ada,15,2026-01-05\n'
        rows = self.load(text, code=1).lines()
        self.assertEqual([(row["line"], row["field"]) for row in rows],
                         [(3, "id"), (4, "user"), (5, "amount"), (6, "amount"), (7, "amount"), (8, "date"), (9, "row"),
                          (10, "row"), (11, "row")])
        self.assertEqual(self.json("pay", "list").lines(), [])
        text = HEADER + '1,ada,"15"0,2026-01-05\n2,a"da,15,2026-01-05\n\n4,ada,15,2999-01-05\n5,"a\nda",15,2026-01-05\n' \
            '6,ada,15,2026-01-05\n6,ada,15,2026-01-05\n'
        rows = self.load(text, code=1).lines()
        self.assertEqual([(row["line"], row["field"]) for row in rows],
                         [(2, "row"), (3, "row"), (6, "user"), (9, "id"), (5, "date")])
        self.assertEqual(self.json("pay", "list").lines(), [])

    def test_files_that_are_wrong(self):
        for text in ("", "id,user,amount\n", "id,user,amount,when\n", "id;user;amount;date\n", "1,ada,15,2026-01-05\n"):
            self.assertEqual(self.load(text, code=2).error()["field"], "FILE")
        self.assertEqual(self.json("import", "payments", "missing.csv", code=3).error()["field"], "FILE")
        self.assertEqual(self.load("\ufeff" + HEADER).object()["rows"], 0)
        self.assertEqual(self.load(HEADER + "1,ada," + "1" * 9000 + ",x\n2,ada,15,2026-01-05\n", code=1).lines()[0]["line"],
                         2)

    def test_what_is_there_already(self):
        self.load(HEADER + "1,ada,15,2026-01-05\n")
        rows = self.load(HEADER + "1,bob,15,2026-01-05\n2,ada,15,2026-01-05\n", code=1).lines()
        self.assertEqual([(row["line"], row["field"]) for row in rows], [(2, "user")])
        rows = self.load(HEADER + "1,ada,16,2026-01-05\n", code=1).lines()
        self.assertEqual([(row["line"], row["field"]) for row in rows], [(2, "amount")])
        self.assertEqual(len(self.json("pay", "list").lines()), 1)

    def test_a_price_of_ones_own(self):
        self.run_jini("price", "set", "other", "15", "--tier", "Basic")
        self.assertEqual(self.load(HEADER + "1,ada,15,2026-01-05\n", code=2).error()["field"], "price")
        self.load(HEADER + "1,ada,15,2026-01-05\n2,ada,15,2026-01-06\n", "--price", "other")
        self.assertEqual(self.json("pay", "show", 2).object()["price"], "other")
        self.assertEqual(self.load(HEADER, "--price", "none", code=3).error()["field"], "--price")

    def test_many_rows(self):
        rows = [f"{n},{'ada' if n % 2 else 'bob'},15,20{10 + n % 16}-0{1 + n % 9}-05\n" for n in range(1, 501)]
        total = self.load(HEADER + "".join(rows[:200])).object()
        self.assertEqual(total["states"], {"settled": {"payments": 200, "amount": "3000.00"}})
        total = self.load(HEADER + "".join(rows)).object()
        self.assertEqual((total["known"], total["amount"]), (200, "7500.00"))
        self.assertEqual(self.json("pay", "books").object()["cash"], "7500.00")
        self.verify()


if __name__ == "__main__":
    unittest.main()
