#!/usr/bin/python3
"""Where results, errors and progress go, what closed and full outputs mean, and options from four places."""

import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import termios
import unittest

from cli import SLOW, Case, JINI, png


def close(*descriptors):
    def run():
        for descriptor in descriptors:
            os.close(descriptor)
    return run


class Outputs(Case):
    def setUp(self):
        super().setUp()
        self.init("alice")

    def to(self, output, *arguments, **options):
        """Runs the command with another standard output; its exit status and its errors."""
        result = subprocess.run([JINI, *arguments], cwd=self.directory, env=self.environment, stdout=output,
                                stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=600, **options)
        return result.returncode, result.stderr.decode()

    def test_full_output(self):
        for arguments in (["ls"], ["--json", "ls"], ["help"], ["stat", "--prometheus"], ["options"]):
            with open("/dev/full", "wb") as full:
                code, error = self.to(full, *arguments)
            self.assertEqual(code, 7, error)
            self.assertIn("No space left on device", error)
            self.assertIn("not complete", error)

    def test_closed_output(self):
        for arguments in (["ls"], ["--json", "user", "show", "alice"], ["--version"]):
            code, error = self.to(None, *arguments, preexec_fn=close(1))
            self.assertEqual(code, 6, error)
            self.assertIn("standard output cannot be written", error)

    def test_reader_that_goes_away(self):
        """As for a command that SIGPIPE ends: no word, status 141."""
        for arguments in (["ls"], ["--json", "ls"], ["help", "--man"]):
            read_end, write_end = os.pipe()
            os.close(read_end)
            code, error = self.to(write_end, *arguments)
            os.close(write_end)
            self.assertEqual((code, error), (141, ""))

    def test_reader_that_goes_away_during_a_put(self):
        folder = self.pictures(60)
        process = self.start("put", "alice", folder)
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        error = process.stderr.read().decode()
        self.assertIn(process.wait(), (0, 141), error)
        self.verify()
        self.assertEqual({job["state"] for job in self.json("ls", "alice", "--jobs").lines()} -
                         {"COMPLETED", "CANCELLED"}, set())

    def test_closed_errors(self):
        result = subprocess.run([JINI, "user", "show", "nobody"], env=self.environment, cwd=self.directory,
                                stdout=subprocess.PIPE, preexec_fn=close(2))
        self.assertEqual((result.returncode, result.stdout), (3, b""))

    def test_all_closed(self):
        """No file of the database takes the place of a closed descriptor."""
        self.file("a.png", png(1))
        code = subprocess.run([JINI, "put", "alice", "a.png"], env=self.environment, cwd=self.directory,
                              preexec_fn=close(0, 1, 2)).returncode
        self.assertEqual(code, 6)
        self.assertEqual(len(self.json("ls", "alice").lines()), 1)
        self.verify("--deep")

    def test_closed_input(self):
        result = subprocess.run([JINI, "--json", "put", "alice", "-"], env=self.environment, cwd=self.directory,
                                capture_output=True, preexec_fn=close(0))
        self.assertEqual(result.returncode, 6, result)

    def test_verbose_reports(self):
        result = self.json("--verbose", "user", "list")
        for line in result.err.splitlines():
            self.assertIn('"log"', line)
        result.lines()


class Terminal(Case):
    """What people see."""

    def on_terminal(self, *arguments, columns=80, **environment):
        """Runs the command on a terminal; its exit status and what it showed."""
        terminal, side = pty.openpty()
        fcntl.ioctl(side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen([JINI, *arguments], cwd=self.directory, stdin=side, stdout=side, stderr=side,
                                   env={**self.environment, "TERM": "xterm", **environment})
        os.close(side)
        seen = b""
        while select.select([terminal], [], [], 600)[0]:
            try:
                part = os.read(terminal, 65536)
            except OSError:
                break
            if not part:
                break
            seen += part
        os.close(terminal)
        return process.wait(), seen.decode("utf-8", "replace")

    def setUp(self):
        super().setUp()
        self.init("alice")

    def test_ids_of_what_is_put(self):
        """The lines with the ids are what was asked for: they are printed beside the bar, each on a line of its own."""
        code, seen = self.on_terminal("put", "alice", str(self.pictures(30, width=200, height=200)), "--no-limits")
        self.assertEqual(code, 0, seen)
        shown = [line.split("\r\x1b[K")[-1] for line in seen.split("\r\n")]
        ids = [line.split()[1] for line in shown if re.match(r"stored   [0-9a-f-]{36} [^\r\n]+\.png\Z", line)]
        self.assertEqual(set(ids), {image["id"] for image in self.json("ls", "alice", "--limit", "99").lines()}, seen)
        self.assertEqual(len(ids), 30)

    def test_no_result_stands_behind_the_bar(self):
        """Before results go to a pipe, which may lead to the same terminal, the bar is taken away."""
        folder = self.pictures(300)
        terminal, side = pty.openpty()
        results, pipe = os.pipe()
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)  # which takes one line, and the next when that was read
        process = subprocess.Popen([JINI, "put", "alice", str(folder), "--no-limits"], cwd=self.directory, stdout=pipe,
                                   stdin=subprocess.DEVNULL, stderr=side, env={**self.environment, "TERM": "xterm"})
        self.addCleanup(self.end_quietly, process)
        os.close(pipe)
        self.assertTrue(select.select([results], [], [], 60 * SLOW)[0])
        seen = b""
        while select.select([terminal], [], [], 2)[0]:  # the bar moves until it waits for a reader
            seen += os.read(terminal, 65536)
        self.assertIsNone(process.poll(), "it was to find the pipe full")
        self.assertIn(b"putting  [", seen)
        self.assertTrue(seen.endswith(b"\r\x1b[K"), seen[-200:])
        taken = b""
        while part := os.read(results, 65536):
            taken += part
        self.assertEqual(process.wait(timeout=60 * SLOW), 0)
        self.assertEqual(taken.count(b"stored   "), 300)
        for descriptor in (terminal, side, results):
            os.close(descriptor)

    @staticmethod
    def end_quietly(process):
        if process.poll() is None:
            process.kill()
            process.wait()

    def test_progress_bar(self):
        folder = self.pictures(30, width=200, height=200)
        code, seen = self.on_terminal("put", "alice", str(folder), "--no-limits")
        self.assertEqual(code, 0, seen)
        self.assertIn("30 of 30 files stored", seen)
        self.assertRegex(seen, r"putting  \[[#.]{24}\]  \d+ of 30 files")
        self.assertIn("\r\x1b[K", seen)
        self.assertFalse(seen.rstrip("\r\n").split("\r\n")[-1].endswith("files"), "the bar stays")
        code, seen = self.on_terminal("--quiet", "put", "alice", str(folder), "--no-limits")
        self.assertEqual(code, 0, seen)
        self.assertRegex(seen, r"\A(stored   [0-9a-f-]{36} [^\r\n]+\r\n){30}\Z", "ids and nothing else")
        code, seen = self.on_terminal("put", "alice", str(folder), "--no-limits", TERM="dumb")
        self.assertNotIn("\x1b", seen)

    # What the figures of each long verb look like, bar and phase aside.
    LONG = {"put": r"\d+ of 30 files", "get": r"\d+ of 30 images", "archive run": r"[\d.]+ (Ki)?B of [\d.]+ KiB",
            "verify": r"\d+ of \d+ checked", "backup": r"[\d.]+ (Ki)?B of [\d.]+ KiB"}

    def long_verbs(self):
        """The command lines of all long verbs, each of which finds 30 images to work on."""
        folder = self.pictures(30, width=16, height=16)
        (self.directory / "out").mkdir(exist_ok=True)
        yield "put", ["put", "alice", str(folder), "--no-limits"]
        ids = [image["id"] for image in self.json("ls", "alice", "--limit", "30").lines()]
        yield "get", ["get", "--force", "-o", "out", *ids]
        yield "archive run", ["archive", "run", "--now", "--free-hot"]
        yield "verify", ["verify", "--deep"]
        yield "backup", ["backup", str(self.directory / f"{len(os.listdir(self.directory))}.mdb")]
        yield "backup", ["backup", str(self.directory / f"{len(os.listdir(self.directory))}")]

    def test_every_long_verb_has_a_bar(self):
        for verb, arguments in self.long_verbs():
            with self.subTest(verb=verb):
                code, seen = self.on_terminal(*arguments)
                self.assertEqual(code, 0, seen)
                self.assertRegex(seen, r"\w+ing( \w+)?  \[[#.]{24}\]  " + self.LONG[verb])

    def test_bar_of_an_archive_run_is_of_the_bytes_that_are_archived(self):
        """The bar counts what is copied to the archive, once, whatever else is done with it."""
        self.run_jini("put", "alice", self.pictures(30), "--no-limits")
        _, seen = self.on_terminal("archive", "run", "--now", "--free-hot")
        bars = re.findall(r"archiving  \[([#.]{24})\]  ([\d.]+ (?:.i)?B) of ([\d.]+ .iB)", seen)
        archived = re.search(r"archived  1 packs, 30 images, ([\d.]+ .iB)", seen).group(1)
        self.assertEqual(bars[-1], ("#" * 24, archived, archived), seen)
        self.assertEqual({bar[2] for bar in bars}, {archived}, seen)

    def test_bar_of_an_archive_run_counts_what_is_rewritten(self):
        """What is rewritten is counted, foreseen or not, and the bar is full at the end, whatever that saved."""
        for i in range(60):  # duplicates, which nobody foresees
            self.file(f"in/{i}.png", png(i % 6, width=100, height=100))
        self.run_jini("put", "alice", "in", "--no-limits")
        planned = self.json("archive", "plan", "--now").lines()[-1]["by_step"]["archive"]["bytes"]
        _, seen = self.on_terminal("archive", "run", "--now", "--free-hot", columns=300)
        rewritten, = re.findall(r"compact .* ([\d.]+) MiB", seen)
        done, total = re.findall(r"archiving  \[#{24}\]  ([\d.]+) MiB of ([\d.]+) MiB", seen)[-1]
        self.assertEqual(done, total, seen)
        self.assertAlmostEqual(float(total), float(rewritten) + planned / (1 << 20), delta=0.2)

    def test_every_long_verb_tells_how_far_it_is_elsewhere(self):
        """Where standard error is no terminal, a plain line from time to time; none with --quiet or --json."""
        self.environment["JINI_PROGRESS_MS"] = "0"
        for verb, arguments in self.long_verbs():
            with self.subTest(verb=verb):
                error = self.run_jini(*arguments).err
                self.assertRegex(error, r"(?m)^\w+ing( \w+)?  " + self.LONG[verb])
                self.assertNotRegex(error, r"[\x1b\r\[]")
        for option in ("--quiet", "--json"):
            for verb, arguments in self.long_verbs():
                self.assertEqual(self.run_jini(option, *arguments).err, "", verb)

    def test_no_progress_elsewhere(self):
        result = self.run_jini("put", "alice", self.pictures(10))
        self.assertNotIn("\x1b", result.out + result.err)
        self.assertNotIn("\r", result.out + result.err)

    def test_colours(self):
        self.assertIn("\x1b[1m", self.on_terminal("ls")[1])
        self.assertNotIn("\x1b", self.on_terminal("ls", NO_COLOR="1")[1])
        self.assertIn("\x1b[1;31m", self.on_terminal("user", "show", "nobody")[1])
        self.assertNotIn("\x1b", self.run_jini("ls").out)

    def test_no_bytes_to_a_terminal(self):
        name = self.json("put", "alice", "-", stdin=png(1)).object()["id"]
        code, seen = self.on_terminal("get", name)
        self.assertEqual(code, 2)
        self.assertIn("not written to a terminal", seen)
        code, seen = self.on_terminal("get", "--metadata", name)
        self.assertEqual(code, 0)
        self.assertIn("Seed: 1", seen)

    def test_hostile_text_is_harmless(self):
        name = self.json("put", "alice", "-", "--prompt", "\x1b]0;evil\x07 \u202e\x9b31m",
                         stdin=png(1, text="\x1b[2Jgone")).object()["job_id"]
        self.assertNotIn("\x1b]0", self.on_terminal("show", name)[1])
        self.assertNotIn("\u202e", self.on_terminal("show", name)[1])
        image = self.json("show", name).object()["image_ids"][0]
        self.assertNotIn("\x1b[2J", self.on_terminal("get", "--metadata", image)[1])


class Options(Case):
    def option(self, name, *arguments):
        rows = {row["name"]: row for row in self.json(*arguments, "options").lines()}
        return rows[name]["value"], rows[name]["source"]

    def test_each_source_above_the_one_before(self):
        self.init()
        self.assertEqual(self.option("pack.bytes_max"), (64 << 20, "default"))
        self.file("db/jini.conf", b"# a comment\npack.bytes_max = 1MiB\nstore.sync = full\n"
                                  b"anonymous.tier = Free\n")
        self.assertEqual(self.option("pack.bytes_max"), (1 << 20, "jini.conf"))
        self.assertEqual(self.option("store.sync"), ("full", "jini.conf"))
        self.assertEqual(self.option("anonymous.tier"), ("Free", "jini.conf"))
        self.environment["JINI_PACK_BYTES_MAX"] = "2MiB"
        self.assertEqual(self.option("pack.bytes_max"), (2 << 20, "environment"))
        self.assertEqual(self.option("pack.bytes_max", "--set", "pack.bytes_max=3MiB"), (3 << 20, "--set"))
        self.assertEqual(self.option("background.run"), ("no", "command"))
        self.assertEqual(self.option("background.run", "--set", "background.run=yes"), ("yes", "--set"))
        for row in self.json("options").lines():
            kind = int if row["kind"] == "number" else str
            self.assertEqual((type(row["value"]), type(row["default"])), (kind, kind), row)
        text = self.run_jini("options").out
        self.assertRegex(text, r"pack\.bytes_max +2097152 +environment")

    def test_every_wrong_value_is_named(self):
        self.init()
        self.check_error(self.json("--set", "store.sync=maybe", "ls", code=2), "E_INVALID", "store.sync", "full|meta")
        self.check_error(self.json("--set", "cpu.threads=999", "ls", code=2), "E_INVALID", "cpu.threads", "256")
        self.environment["JINI_STORE_SYNC"] = "x"
        self.check_error(self.json("ls", code=2), "E_INVALID", "store.sync", "JINI_STORE_SYNC")
        del self.environment["JINI_STORE_SYNC"]
        self.file("db/jini.conf", b"\nnonsense\n")
        self.check_error(self.json("ls", code=2), "E_INVALID", str(self.directory / "db/jini.conf")[:63], "line 2")

    def test_place_of_the_database(self):
        self.run_jini("--db", "here", "init")
        self.assertTrue((self.directory / "here/data.mdb").exists())
        del self.environment["JINI_DB"]
        self.run_jini("init")
        self.assertTrue((self.directory / "data/data.mdb").exists())
        self.file("file", b"")
        self.assertNotEqual(self.finish(self.start("--db", "file/db", "init")).code, 0)


@unittest.skipUnless(os.geteuid() == 0 and os.path.exists("/usr/bin/setpriv"), "needs root and setpriv")
class InTheWay(Case):
    """What keeps a database from being opened is named by file and cause."""

    def as_nobody(self, *arguments, code=6):
        """The message of the error, if there is one."""
        self.directory.chmod(0o711)
        result = subprocess.run(["/usr/bin/setpriv", "--reuid=65534", "--clear-groups", JINI, "--json", *arguments],
                                cwd="/", env=self.environment, capture_output=True)
        self.assertEqual(result.returncode, code, result.stderr)
        return json.loads(result.stderr.splitlines()[-1])["error"]["message"] if code else None

    def test_files_of_another_user(self):
        self.init()
        database = self.directory / "db"
        database.chmod(0o700)
        self.assertIn(f"{database} cannot be used: it belongs to user 0 with mode 700, and this is user 65534",
                      self.as_nobody("ls"))
        database.chmod(0o755)
        closed = rf"{database}/[a-z.]+ cannot be read and written: it belongs to user 0"
        for path in database.iterdir():
            path.chmod(0o600)
        self.assertNotIn("--read-only", self.as_nobody("ls"))
        self.assertRegex(self.as_nobody("ls"), closed)
        for path in database.iterdir():
            path.chmod(0o444)
        self.assertRegex(self.as_nobody("ls"), closed + r".*; --read-only \(jini_options\.read_only\) opens it")
        self.as_nobody("--read-only", "ls", code=0)
        database.chmod(0o777)
        for path in database.iterdir():
            path.chmod(0o666)
        (database / "jini.conf").write_text("")
        (database / "jini.conf").chmod(0o600)
        self.assertIn(f"{database}/jini.conf cannot be read", self.as_nobody("ls"))

    def mount_memory(self, name, size):
        self.mount(name, "-t", "tmpfs", "-o", f"size={size}", "tmpfs")

    def test_tiny_disk(self):
        self.mount_memory("tiny", "1m")
        error = self.json("--db", "tiny/db", "init", code=7).error()
        self.assertRegex(error["message"], r"the disk of tiny/db is full: \d.* are left, .*reserve of 16.0 MiB")

    def test_disk_without_room_for_the_rate_limits(self):
        """A database that is made all the same says in words what it lacks; --verbose has the record of the log."""
        self.mount_memory("small", "20m")
        made = self.run_jini("--db", "small/db", "init")
        self.assertIn("made the database", made.out)
        self.assertRegex(made.err, r"(?m)^error: The table of rate limits takes .*: make room.* \(limits_table_missing\)$")
        self.assertNotIn("status=", made.err)
        self.assertIn("limits_table_missing status=E_FULL", self.run_jini("-v", "--db", "small/db", "ls").err)


class Database(Case):
    def test_backup_and_read_only(self):
        """A backup opens as a database that can be looked at, and written to, with all its records."""
        self.init("alice")
        name = self.json("put", "alice", "-", stdin=png(1)).object()["id"]
        (self.directory / "copy").mkdir()
        plain = self.json("backup", "--plain", "plain.mdb").object()
        self.assertEqual(plain["bytes"], (self.directory / "db/data.mdb").stat().st_size)
        line = self.json("backup", "copy/data.mdb").object()
        self.assertEqual(line["bytes"], (self.directory / "copy/data.mdb").stat().st_size)
        self.assertLessEqual(line["bytes"], plain["bytes"])
        self.check_error(self.json("backup", "copy/data.mdb", code=4), "E_EXISTS", "copy/data.mdb", "there already")
        self.check_error(self.json("backup", "no/such/file", code=3), "E_NOT_FOUND", "no/such/file")
        self.assertEqual(sorted(p.name for p in (self.directory / "copy").iterdir()), ["data.mdb"])
        looking = ["--db", "copy", "--read-only"]
        self.assertEqual(self.json(*looking, "show", name).object()["id"], name)
        self.assertEqual(len(self.json(*looking, "user", "list").lines()), 1)
        self.json(*looking, "stat")
        text = self.run_jini(*looking, "stat").out
        self.assertIn("snapshots", text)
        self.assertNotIn("rate limits", text)  # this process has no part in their table
        self.assertNotIn("NO TABLE", text)
        self.check_error(self.json(*looking, "limit", "peek", "alice", code=22), "E_READ_ONLY", "read_only", "table")
        self.check_error(self.json(*looking, "limit", "top", code=22), "E_READ_ONLY", "read_only", "table")
        self.check_error(self.json(*looking, "user", "add", "bob", code=22), "E_READ_ONLY", "read_only", "open for writing")
        self.run_jini("--db", "copy", "user", "add", "bob")

    def test_reserve_that_cannot_be_made(self):
        """What stands in the way of the file reserve is named, with what to do; a full disk is told where it is one."""
        self.init("alice")
        reserve = self.directory / "db/reserve"
        reserve.unlink()
        reserve.mkdir()
        error = self.json("ls", code=6).error()
        self.assertTrue(error["field"].endswith("db/reserve"), error)
        self.assertIn("Is a directory", error["message"])
        self.assertIn("move it away", error["message"])
        self.run_jini("--set", "store.reserve_bytes=0", "ls")
        self.run_jini("--read-only", "ls")
        reserve.rmdir()
        self.prefix = ["prlimit", "--fsize=4194304"]
        error = self.json("user", "add", "bob", code=6).error()
        self.assertIn("File too large", error["message"])
        self.assertIn("ulimit -f", error["message"])
        self.prefix = []
        self.run_jini("user", "add", "bob")

    def test_what_may_not_be_written(self):
        """A read-only file system leads to --read-only; a folder without the right to write is named."""
        self.init("alice")
        (self.directory / "closed").mkdir(mode=0o500)
        if os.geteuid() == 0:
            self.prefix = ["/usr/bin/setpriv", "--inh-caps=-all", "--bounding-set=-dac_override"]
        self.check_error(self.json("--db", "closed/x", "init", code=6), "E_IO", "closed", "cannot be written", "mode 500")
        self.prefix = []
        place = self.directory / "fixed"
        place.mkdir()
        bound = subprocess.run(["mount", "--bind", self.directory / "db", place], stderr=subprocess.DEVNULL)
        if bound.returncode:
            self.skipTest("no filesystem can be mounted here")
        self.addCleanup(subprocess.run, ["umount", place], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", place], check=True)
        self.check_error(self.json("--db", "fixed", "ls", code=22), "E_READ_ONLY", "fixed", "--read-only")
        self.assertEqual(len(self.json("--db", "fixed", "--read-only", "ls").lines()), 1)

    def test_stat(self):
        self.init("alice")
        stat = self.json("stat").object()
        self.assertEqual([process["name"] for process in stat["processes"]], ["jini stat"])
        self.assertGreater(stat["metrics"]["jini_store_map_bytes"], 0)
        text = self.run_jini("stat").out
        self.assertRegex(text, r"map +\d+\.\d KiB of \d+\.\d [GM]iB")
        self.assertRegex(text, r"write lock +free")
        prometheus = self.run_jini("stat", "--prometheus").out
        self.assertIn("# TYPE jini_store_map_bytes gauge", prometheus)
        self.assertIn("jini_limits_slots{region=\"anonymous\"}", prometheus)

    def test_figures_are_of_the_database(self):
        """What only counts in the command's own process would always be 0: it is not printed."""
        self.init("alice")
        self.json("put", "alice", self.pictures(3))
        prometheus = self.run_jini("stat", "--prometheus").out
        self.assertIn('jini_images{state="hot"} 3\n', prometheus)
        self.assertRegex(prometheus, r"\njini_disk_free_bytes [1-9]")
        self.assertNotIn("of this process", prometheus)
        for name in ("commits_total", "requests_total", "commit_seconds", "queue", "cache", "pack_records"):
            self.assertNotIn(name, prometheus)
            self.assertFalse([key for key in self.json("stat").object()["metrics"] if name in key])
        for line in prometheus.splitlines():
            self.assertRegex(line, r"^(# (HELP|TYPE) jini_[a-z_]+ .+|jini_[a-z_]+(\{[a-z]+=\"[^\"]+\"\})? [0-9.e+]+)$")
        self.assertIn("jini_metrics()", " ".join(self.run_jini("stat", "--help").out.split()))


if __name__ == "__main__":
    unittest.main()
