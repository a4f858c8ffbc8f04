#!/usr/bin/python3
"""Users, tiers and limits by the command, as text and as JSON."""

import os
import pty
import select
import unittest

from cli import Case, JINI, SANITIZED


class Users(Case):
    def setUp(self):
        super().setUp()
        self.init()

    def test_init_is_repeatable(self):
        again = self.json("init").object()
        self.assertEqual(again["tiers"], ["Free", "Basic", "Premium"])
        self.assertFalse(again["created"])
        self.assertTrue(self.json("--db", "other", "init").object()["created"])
        self.assertIn("there is a database already", self.run_jini("init").out)

    def test_add_and_show(self):
        user = self.json("user", "add", "alice", "--email", "Alice@Example.org", "--tier", "basic",
                         "--first-name", "Alice", "--last-name", "Ağa", "--staff").object()
        self.assertEqual((user["tier"], user["email"], user["staff"]), ("Basic", "Alice@Example.org", True))
        for name in (user["id"], "ALICE", "alice@example.ORG"):
            shown = self.json("user", "show", name).object()
            self.assertEqual(shown["id"], user["id"])
        self.assertEqual(shown["last_name"], "Ağa")
        self.assertEqual(shown["allowance"]["limits"], "5/minute; 30/day")
        self.assertEqual(shown["usage"]["images"], 0)
        self.assertRegex(shown["created"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        text = self.run_jini("user", "show", "alice").out
        self.assertRegex(text, r"allowance.retention_days +90 days")
        self.assertRegex(text, r"usage.bytes +0 B")

    def test_name_from_address(self):
        self.assertEqual(self.json("user", "add", "--email", "zoe@example.org").object()["username"], "zoe")

    def test_errors_name_field_and_rule(self):
        self.run_jini("user", "add", "alice", "--email", "a@example.org")
        self.check_error(self.json("user", "add", "ALICE", code=4), "E_EXISTS", "username")
        self.check_error(self.json("user", "add", "b", "--email", "A@example.org", code=4), "E_EXISTS", "--email")
        self.check_error(self.json("user", "add", "c", "--email", "no", code=2), "E_INVALID", "--email", "@")
        self.check_error(self.json("user", "add", "a b", code=2), "E_INVALID", "username")
        self.check_error(self.json("user", "add", "c", "--tier", "Gold", code=3), "E_NOT_FOUND", "--tier")
        self.check_error(self.json("user", "add", "x" * 400, code=2), "E_INVALID", "username")
        self.check_error(self.json("user", "show", "nobody", code=3), "E_NOT_FOUND", "USER", "user list")
        self.check_error(self.json("user", "set", "alice", code=2), "E_INVALID", "options")
        self.check_error(self.json("user", "add", "--email", "", code=2), "E_INVALID", "NAME", "--email")
        self.check_error(self.json("user", "set", "alice", "--limits", "5/fortnight", code=2), "E_INVALID",
                         "--limits", "fortnight")

    def test_names_and_addresses_are_one_namespace(self):
        self.run_jini("user", "add", "alice", "--email", "a@example.org")
        self.run_jini("user", "add", "b@example.org", "--email", "B@example.org")
        self.check_error(self.json("user", "add", "A@example.org", code=4), "E_EXISTS", "username", "email address")
        self.check_error(self.json("user", "set", "alice", "--email", "b@example.org", code=4), "E_EXISTS", "--email")
        self.run_jini("verify")

    def test_digits_that_mean_two_users_are_refused(self):
        first = self.json("user", "add", "alice").object()["id"]
        named = self.json("user", "add", str(first)).object()["id"]
        own = self.json("user", "add", str(named + 1)).object()
        self.assertEqual(own["username"], str(own["id"]))
        long = self.json("user", "add", "9" * 20).object()["id"]
        for verb in (["show"], ["set", "--first-name", "X"], ["disable"], ["passwd", "--none"]):
            self.check_error(self.json("user", *verb, str(first), code=2), "E_INVALID", "USER", f"name:{first}")
        for text, user in ((f"id:{first}", first), (f"name:{first}", named), (named, named), (own["id"], own["id"]),
                           ("name:ALICE", first), (f"id:000{first}", first), ("9" * 20, long)):
            self.assertEqual(self.json("user", "show", text).object()["id"], user)
        self.run_jini("user", "set", f"name:{first}", "--first-name", "Named")
        self.assertEqual(self.json("user", "show", f"id:{first}").object()["first_name"], "")
        self.assertEqual(self.json("user", "show", f"id:{named}").object()["first_name"], "Named")
        for text in ("id:99", "id:0", "id:" + "9" * 20, "name:id:1", "name:", "77", "9" * 21):
            self.check_error(self.json("user", "show", text, code=3), "E_NOT_FOUND", "USER")
        for text in ("id:", "id:x", "id:-1"):
            self.check_error(self.json("user", "show", text, code=2), "E_INVALID", "USER", "digits")
        self.assertIn("id:12", self.run_jini("user", "set", "--help").out)
        self.assertIn("id:12", self.run_jini("help", "--man").out)

    def test_list_pages(self):
        count = 16 if SANITIZED else 70  # 70 are more than the command reads at once
        for i in range(count):
            self.run_jini("--set", "store.sync=none", "user", "add", f"user{i:02}")
        users = self.json("user", "list").lines()
        self.assertEqual([u["username"] for u in users], [f"user{i:02}" for i in range(count)])
        page = self.json("user", "list", "--after", users[9]["id"], "--limit", "5").lines()
        for verb in (["user", "list"], ["ls"]):
            self.assertIn("--after", self.run_jini(*verb, "--limit", str(len(users) - 1)).err)
            self.assertNotIn("--after", self.run_jini(*verb, "--limit", str(len(users))).err)
        self.assertEqual([u["id"] for u in page], [u["id"] for u in users[10:15]])
        self.assertEqual(len(self.json("ls").lines()), count)
        text = self.run_jini("user", "list").out.splitlines()
        self.assertEqual(len(text), count + 1)
        self.assertEqual(text[0].index("NAME"), text[1].index("user00"))

    def test_set_changes_what_is_named(self):
        self.run_jini("user", "add", "alice", "--email", "a@example.org", "--staff")
        user = self.json("user", "set", "alice", "--tier", "Premium", "--username", "alicia",
                         "--first-name", "A", "--staff", "no").object()
        self.assertEqual((user["username"], user["tier"], user["staff"], user["email"]),
                         ("alicia", "Premium", False, "a@example.org"))
        user = self.json("user", "set", "alicia", "--limits", "7/minute", "--parallel-max", "2",
                         "--retention-days", "0", "--width-max", "100", "--height-max", "200",
                         "--steps-max", "30").object()
        self.assertEqual(user["overrides"], {"limits": "7/minute", "width_max": 100, "height_max": 200,
                                             "steps_max": 30, "parallel_max": 2, "retention_days": 0})
        self.assertEqual(user["allowance"], user["overrides"])
        user = self.json("user", "set", "alicia", "--parallel-max", "tier", "--limits", "tier").object()
        self.assertEqual((user["allowance"]["parallel_max"], user["allowance"]["limits"]),
                         (20, "60/minute; 2000/day"))
        self.assertEqual(user["overrides"]["width_max"], 100)
        user = self.json("user", "set", "alicia", "--clear-overrides", "--revoke", "--email", "").object()
        self.assertEqual((user["overrides"], user["revocation_epoch"], user["email"]), ({}, 1, ""))

    def test_disable_and_enable(self):
        self.run_jini("user", "add", "alice", "--staff")
        user = self.json("user", "disable", "alice").object()
        self.assertEqual((user["active"], user["staff"]), (False, True))
        self.check_error(self.json("limit", "check", "alice", code=28), "E_INACTIVE", "subject")
        self.assertTrue(self.json("user", "enable", "alice").object()["active"])
        self.json("limit", "check", "alice")

    def test_passwords_from_standard_input(self):
        self.run_jini("user", "add", "alice", "--password-stdin", stdin=b"secret\nnot this\n")
        epoch = self.json("user", "show", "alice").object()["revocation_epoch"]
        self.assertTrue(self.json("user", "passwd", "alice", "--password-stdin", stdin=b"new")
                        .object()["has_password"])
        self.assertEqual(self.json("user", "show", "alice").object()["revocation_epoch"], epoch + 1)
        self.assertFalse(self.json("user", "passwd", "alice", "--none").object()["has_password"])
        self.check_error(self.json("user", "passwd", "alice", "--password-stdin", stdin=b"\n", code=2),
                         "E_INVALID", "password", "empty")
        self.check_error(self.json("user", "passwd", "alice", "--password-stdin", stdin=b"x" * 2000, code=2),
                         "E_INVALID", "password", "longer than 1024")
        self.check_error(self.json("user", "add", "x", "--password", "--password-stdin", code=2), "E_INVALID",
                         "--password", "exclude each other")
        self.check_error(self.json("user", "passwd", "alice", start_new_session=True, code=2), "E_INVALID",
                         "password", "--password-stdin")

    def test_imported_hashes(self):
        good = "pbkdf2_sha256$600000$c2FsdHNhbHQ$" + "A" * 43 + "="
        self.run_jini("user", "add", "alice", "--password-hash", good)
        self.check_error(self.json("user", "add", "bob", "--password-hash", "md5$x", code=2), "E_INVALID",
                         "--password-hash")

    def ask(self, *answers, user="alice"):
        """Runs "user passwd" on a terminal, with an answer to each question. A ctrl-C that has no effect for
        two seconds is given again: ThreadSanitizer keeps a signal that comes just before poll() until after it."""
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(self.directory)
            os.execve(JINI, [JINI, "user", "passwd", user], self.environment)
        seen = b""
        answers = list(answers)
        answer = b""
        while True:
            if answer.endswith(b"\x03") and not select.select([terminal], [], [], 2)[0]:
                os.write(terminal, b"\x03")
            try:
                part = os.read(terminal, 1000)
            except OSError:
                break
            seen += part
            if not part:
                break
            if answers and (seen.endswith(b"Password: ") or seen.endswith(b"again: ")):
                answer = answers.pop(0)
                os.write(terminal, answer)
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), seen

    def test_prompt_has_no_echo(self):
        """A password that is asked for is not shown, is asked for twice, and ctrl-C ends the asking."""
        self.run_jini("user", "add", "alice")
        code, seen = self.ask(b"secret\n", b"secret\n")
        self.assertEqual(code, 0, seen)
        self.assertNotIn(b"secret", seen)
        self.assertIn(b"the password of alice is set", seen)
        code, seen = self.ask(b"secret\n", b"other\n")
        self.assertEqual(code, 2)
        self.assertIn(b"not the same", seen)
        code, seen = self.ask(b"sec\x03")
        self.assertEqual(code, 130, seen)
        code, seen = self.ask(user="nobody")
        self.assertEqual(code, 3, seen)
        self.assertNotIn(b"Password", seen)


class Tiers(Case):
    def setUp(self):
        super().setUp()
        self.init()

    def test_list_and_show(self):
        tiers = self.json("tier", "list").lines()
        self.assertEqual([t["name"] for t in tiers], ["Free", "Basic", "Premium"])
        self.assertEqual(tiers[0]["limits"], "5/minute; 30/day")
        self.assertIn("Premium", self.run_jini("tier", "list").out)
        self.assertEqual(self.json("tier", "show", "free").object()["name"], "Free")
        self.check_error(self.json("tier", "show", "Gold", code=3), "E_NOT_FOUND", "tier")

    def test_set_and_rm(self):
        tier = self.json("tier", "set", "Studio", "--create", "--limits", "120/minute", "--price-minor", "4900",
                         "--currency", "EUR", "--parallel-max", "50").object()
        self.assertEqual((tier["width_max"], tier["price_minor"]), (0, 4900))
        tier = self.json("tier", "set", "studio", "--width-max", "4096").object()
        self.assertEqual((tier["name"], tier["width_max"], tier["limits"]), ("Studio", 4096, "120/minute"))
        self.assertRegex(self.run_jini("tier", "show", "Studio").out, r"height_max +no bound")
        self.run_jini("user", "add", "alice", "--tier", "Studio")
        self.check_error(self.json("tier", "rm", "Studio", code=27), "E_IN_USE", "name")
        self.run_jini("user", "set", "alice", "--tier", "Free")
        self.assertTrue(self.json("tier", "rm", "Studio").object()["deleted"])
        self.check_error(self.json("tier", "rm", "Studio", code=3), "E_NOT_FOUND", "tier",
                         'tier "Studio": there is no such tier')
        self.check_error(self.json("tier", "rm", "Free", code=27), "E_IN_USE", "name")
        self.check_error(self.json("tier", "set", "Free", "--limits", "x", code=2), "E_INVALID", "--limits")


    def test_changes_at_once_all_hold(self):
        """Of two commands that change different members at once, none takes back what the other did."""
        self.run_jini("user", "add", "alice", "--last-name", "Li")
        for n in range(1, 4 if SANITIZED else 11):
            changes = [("user", "set", "alice", f"--{name}-max", str(n)) for name in ("width", "height", "steps")]
            changes += [("tier", "set", "Free", f"--{name}", str(n)) for name in ("parallel-max", "price-minor")]
            running = [self.start(*change) for change in changes + [("user", "set", "alice", "--first-name", f"A{n}")]]
            for process in running:
                result = self.finish(process)
                self.assertEqual(result.code, 0, result.err)
            user = self.json("user", "show", "alice").object()
            self.assertEqual(user["overrides"], {"width_max": n, "height_max": n, "steps_max": n})
            self.assertEqual((user["first_name"], user["last_name"]), (f"A{n}", "Li"))
            tier = self.json("tier", "show", "Free").object()
            self.assertEqual((tier["parallel_max"], tier["price_minor"]), (n, n))

    def test_set_guards_against_slips(self):
        """A name that was mistyped makes no tier, and an empty text takes no limits away."""
        self.check_error(self.json("tier", "set", "Fre", "--width-max", "1", code=3), "E_NOT_FOUND", "tier", "--create")
        self.check_error(self.json("tier", "set", "Free", "--create", code=4), "E_EXISTS", "tier", "already")
        for empty in ("", "  "):
            self.check_error(self.json("tier", "set", "Free", "--limits", empty, code=2), "E_INVALID", "--limits",
                             "--no-limits")
        self.check_error(self.json("tier", "set", "Free", "--limits", "5/day", "--no-limits", code=2), "E_INVALID",
                         "--limits")
        self.assertEqual(self.json("tier", "set", "Free", "--no-limits").object()["limits"], "")
        self.run_jini("user", "add", "alice")
        self.check_error(self.json("user", "set", "alice", "--limits", "", code=2), "E_INVALID", "--limits", "tier")
        self.assertEqual(self.json("user", "set", "alice", "--no-limits").object()["overrides"], {"limits": ""})

    def test_errors_speak_of_options(self):
        """Fields of errors are the options that were given, with the number that was typed, and no C names."""
        self.run_jini("user", "add", "alice")
        self.check_error(self.json("user", "set", "alice", "--limits", "x/y", code=2), "E_INVALID", "--limits")
        huge = "99999999999999999999"
        for words in (["limit", "check", "alice"], ["tier", "set", "Free"]):
            self.check_error(self.json(*words, "--limits", huge + "/minute", code=2), "E_INVALID", "--limits", huge)
        self.check_error(self.json("limit", "check", "alice", "--cost", huge, code=2), "E_INVALID", "--cost", huge)
        error = self.json("limit", "check", "alice", "--limits", "5/day", code=2).error()
        self.assertEqual((error["code"], error["exit_status"], error["field"]), (-1, 2, "--limits"))
        self.assertNotIn("jini_", error["message"])
        refused = self.json("limit", "check", "alice", "--limits", "1/minute", "--cost", "5", code=17)
        self.assertIsNone(refused.error()["retry_after_ms"])
        self.assertIsNone(refused.object()["retry_after_ms"])


class Limits(Case):
    def setUp(self):
        super().setUp()
        self.init("alice", tier="Free")

    def rate(self, *arguments, **options):
        answer = self.json("limit", *arguments, **options).object()
        return answer["limits"][0]

    def test_check_peek_reset(self):
        self.assertEqual(self.rate("check", "alice", "--cost", "2")["remaining"], 3)
        self.assertEqual(self.rate("peek", "alice")["remaining"], 3)
        self.assertEqual(self.rate("peek", "alice")["remaining"], 3)
        refused = self.json("limit", "check", "alice", "--cost", "4", code=17)
        answer = refused.object()
        self.assertFalse(answer["admitted"])
        self.assertEqual(answer["decided"], 0)
        self.assertTrue(0 < answer["retry_after_ms"] <= 60001)
        self.assertEqual(refused.error()["retry_after_ms"], answer["retry_after_ms"])
        self.assertEqual(refused.error()["field"], "rate")
        text = self.run_jini("limit", "check", "alice", "--cost", "4", code=17)
        self.assertIn("5 per 1 minute", text.out)
        self.assertIn("come back in", text.err)
        self.assertTrue(self.json("limit", "reset", "alice").object()["reset"])
        self.assertEqual(self.rate("peek", "alice")["remaining"], 5)

    def test_peek_shows_quotas(self):
        limits = self.json("limit", "peek", "alice").object()["limits"]
        self.assertEqual([(e["limit"], e["kind"]) for e in limits],
                         [("5 per 1 minute", "rate"), ("30 per 1 day", "quota")])

    def test_shadow_limits_say_that_they_are(self):
        """A limit in shadow mode would refuse and lets pass, which the text says too."""
        self.run_jini("user", "set", "alice", "--limits", "1/minute shadow; 5/hour shadow; 3/minute")
        first = self.run_jini("limit", "check", "alice").out
        self.assertRegex(first, r"(?m)^1 per 1 minute +shadow rate +0 .* no$")
        again = self.run_jini("limit", "check", "alice").out
        self.assertRegex(again, r"(?m)^1 per 1 minute +shadow rate +0 .* would be$")
        self.assertRegex(again, r"(?m)^3 per 1 minute +rate +1 .* no$")
        self.assertNotIn("yes", again)
        self.assertRegex(self.run_jini("limit", "peek", "alice").out, r"(?m)^5 per 1 hour +shadow quota +5 .* no$")
        limits = self.json("limit", "check", "alice").object()["limits"]
        self.assertEqual([(e["kind"], e["shadow"], e["refused"]) for e in limits],
                         [("rate", True, True), ("rate", False, False)])
        refused = self.run_jini("limit", "check", "alice", code=17).out
        self.assertRegex(refused, r"(?m)^3 per 1 minute +rate +0 .* yes$")

    def test_addresses_and_texts(self):
        self.assertEqual(self.rate("check", "--address", "203.0.113.7")["remaining"], 4)
        self.assertEqual(self.rate("check", "--address", "203.0.113.7", "--limits", "2/minute", "--scope",
                                   "api/login")["remaining"], 1)
        login = ["--address", "203.0.113.7", "--limits", "2/minute", "--scope", "api/login"]
        self.assertTrue(self.json("limit", "reset", *login).object()["reset"])
        self.assertEqual(self.rate("peek", *login)["remaining"], 2)
        self.assertEqual(self.rate("peek", "--address", "203.0.113.7")["remaining"], 4)
        self.check_error(self.json("limit", "reset", "alice", "--scope", "x", code=2), "E_INVALID", "--scope")
        self.assertEqual(self.rate("peek", "--address", "2001:db8::1")["remaining"], 5)
        self.check_error(self.json("limit", "check", "--address", "256.1.1.1", code=2), "E_INVALID", "--address")
        self.check_error(self.json("limit", "check", code=2), "E_INVALID", "USER")
        self.check_error(self.json("limit", "check", "alice", "--address", "::1", code=2), "E_INVALID", "USER")

    def test_size_of_the_table_forgets_nothing(self):
        """Commands that open the database with other sizes of the table leave every window as it was."""
        self.run_jini("limit", "check", "alice", "--cost", "2")
        for slots in (1000, 5000, 64, 300000):
            self.environment["JINI_LIMITS_SLOTS"] = str(slots)
            self.run_jini("ls")
            self.assertEqual(self.rate("peek", "alice")["remaining"], 3)

    def test_top(self):
        self.run_jini("limit", "check", "alice", "--cost", "4")
        self.run_jini("limit", "check", "--address", "203.0.113.7", "--cost", "2")
        top = self.json("limit", "top").lines()
        self.assertEqual([(t["name"], t["used"], t["amount"]) for t in top],
                         [("alice", 4, 5), ("203.0.113.7", 2, 5)])
        self.assertEqual(len(self.json("limit", "top", "--limit", "1").lines()), 1)
        self.assertIn("alice", self.run_jini("limit", "top").out)
        self.assertEqual(len(self.json("limit", "top", "--limit", "100").lines()), 2)
        self.check_error(self.json("limit", "top", "--limit", "101", code=2), "E_INVALID", "--limit", "100")


if __name__ == "__main__":
    unittest.main()
