#!/usr/bin/python3
"""Credits by the command: grants, the price list, and images that cost some."""

import unittest

from cli import Case, png


class Credits(Case):
    def setUp(self):
        super().setUp()
        self.init("ada")

    def grant(self, *arguments, **more):
        return self.json("grant", "add", "ada", *arguments, **more)

    def grants(self):
        return self.json("grant", "list", "ada").lines()

    def test_grants(self):
        made = self.grant(500, "--id", 7).object()
        self.assertEqual((made["granted"], made["remaining"], made["reserved"], made["category"], made["expires"]),
                         (500, 500, 0, "paid", None))
        self.assertEqual(self.grant(500, "--id", 7).object(), made)
        conflict = self.grant(501, "--id", 7, code=21).error()
        self.assertEqual((conflict["name"], conflict["field"]), ("E_CONFLICT", "id"))
        self.grant(20, "--promotional", "--expires", "2099-12-31", "--priority", 1)
        self.grant(30, "--expires", "2098-12-31")
        self.assertEqual([row["remaining"] for row in self.grants()], [30, 500, 20])
        self.assertIn("550 credits may be drawn now, 0 are reserved", self.run_jini("grant", "list", "ada").out)

    def test_what_is_wrong_with_a_grant(self):
        for arguments, field in ((("0",), "CREDITS"), (("1.5",), "CREDITS"), (("all",), "CREDITS"),
                                 ((str((1 << 62) + 1),), "CREDITS"), (("5", "--id", "x"), "id"),
                                 (("5", "--priority", "256"), "priority"), (("5", "--expires", "tomorrow"), "expires"),
                                 (("5", "--expires", "2001-01-01"), "expires")):
            self.assertIn(field, self.grant(*arguments, code=2).error()["field"], arguments)
        self.assertEqual(self.json("grant", "add", "bob", 5, code=3).error()["name"], "E_NOT_FOUND")
        self.assertEqual(self.grants(), [])

    def test_costs(self):
        self.assertEqual(self.json("cost", "list").lines(), [])
        self.assertEqual(self.json("cost", "set", "sdxl", "--per-image", 1500).object()["version"], 1)
        self.json("cost", "set", "", "--per-megapixel-step", 50)
        self.json("cost", "set", "sdxl", "--per-image", 2000, "--per-step", 1)
        rows = self.json("cost", "list").lines()
        self.assertEqual([(row["model"], row["per_image"], row["per_step"], row["per_megapixel_step"], row["version"])
                          for row in rows], [("", 0, 0, 50, 2), ("sdxl", 2000, 1, 0, 3)])
        self.run_jini("cost", "rm", "sdxl")
        self.assertEqual([row["model"] for row in self.json("cost", "list").lines()], [""])
        self.assertEqual(self.json("cost", "rm", "sdxl", code=3).error()["field"], "model")

    def test_images_that_cost_credits(self):
        self.run_jini("cost", "set", "", "--per-image", 2000)
        self.grant(3)
        paths = [self.file(f"{n}.png", png(n)) for n in range(2)]
        lines = sorted(self.json("put", "ada", *paths, code=32).lines(), key=lambda line: line["status"])
        self.assertEqual([line["status"] for line in lines], ["E_FUNDS", "OK"])
        self.assertEqual(lines[0]["error"]["message"], "it costs 2 credits, and the wallet has 1")
        self.assertEqual([(row["remaining"], row["reserved"]) for row in self.grants()], [(1, 0)])
        self.verify("--deep")


if __name__ == "__main__":
    unittest.main()
