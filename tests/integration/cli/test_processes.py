#!/usr/bin/python3
"""Several commands at once, signals, and processes that are stopped or killed."""

import contextlib
import datetime
import fcntl
import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

from cli import Case, SLOW, png


class Processes(Case):
    def setUp(self):
        super().setUp()
        self.init("alice", "bob")
        for user in ("alice", "bob"):
            self.run_jini("user", "set", user, "--limits", "100000/minute", "--parallel-max", "0")

    def put_until(self, folder, count):
        """Starts a put, waits until some files are stored, and returns it with what was acknowledged."""
        process = self.start("--json", "put", "alice", folder, "--parallel", "16")
        lines = [json.loads(process.stdout.readline()) for _ in range(count)]
        return process, lines

    def listed(self):
        return {image["id"] for image in self.json("ls", "alice").lines()}

    def check_acknowledged(self, lines):
        """What was acknowledged is there; nothing is half there; no job is left."""
        stored = {line["id"]: line["file"] for line in lines if line["id"]}
        listed = self.listed()
        self.assertLessEqual(set(stored), listed)
        for name in list(stored)[:10]:
            with open(stored[name], "rb") as file:
                self.assertEqual(self.run_jini("get", name).raw, file.read())
        self.verify("--deep")
        return listed

    def seconds(self, text):
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()

    def jobs(self):
        return [job["state"] for job in self.json("ls", "alice", "--jobs").lines()]

    def end_by(self, number):
        folder = self.pictures(400)
        process, lines = self.put_until(folder, 20)
        process.send_signal(number)
        result = self.finish(process)
        self.assertEqual(result.code, 128 + number, result.err)
        self.assertEqual(result.error()["name"], "E_CANCELLED")
        self.assertIn(number.name, result.error()["message"])
        lines += result.lines()
        listed = self.check_acknowledged(lines)
        self.assertLess(len(listed), 400)
        self.assertEqual({line["id"] for line in lines if line["id"]}, listed)
        self.assertLessEqual(set(self.jobs()), {"COMPLETED", "CANCELLED"})
        self.assertEqual(self.jobs().count("COMPLETED"), len(listed))

    def test_interrupt_leaves_all_consistent(self):
        """After ctrl-C in a large put exactly what was acknowledged is stored, and no job stays reserved."""
        self.end_by(signal.SIGINT)

    def test_interrupt_before_the_only_file(self):
        """A put that ctrl-C ends before it has begun its one file says that it was not tried."""
        self.file("a.png", png(1))
        end = time.monotonic() + 60 * SLOW
        text = ""
        while "0 of 1 files stored" not in text or "a.png" in text:
            self.assertLess(time.monotonic(), end, "ctrl-C never came before the file")
            process = self.start("put", "alice", "a.png")
            while process.poll() is None and not self.has_opened(process):
                pass
            process.send_signal(signal.SIGINT)
            result = self.finish(process)
            text = result.out + result.err
        self.assertEqual(result.code, 130, result.err)
        self.assertIn("1 not tried\n", result.out)

    def has_opened(self, process):
        """A process has a file of the database open."""
        try:
            return any(os.readlink(name).startswith(self.environment["JINI_DB"])
                       for name in pathlib.Path(f"/proc/{process.pid}/fd").iterdir())
        except OSError:  # one was closed meanwhile
            return False

    def start_into_small_pipe(self, *arguments):
        """Starts a command whose output takes 4096 bytes until somebody reads."""
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        process = self.start(*arguments, stdout=writer)
        os.close(writer)
        process.stdout = open(reader, "rb", buffering=0)
        return process

    def put_into_full_pipe(self):
        """A put that has stored more than the pipe of its output takes, which nobody reads."""
        process = self.start_into_small_pipe("--json", "put", "alice", self.pictures(200, width=16, height=16),
                                             "--parallel", "8")
        seen = []
        while len(seen) < 2 or seen[-1] != seen[-2] or not seen[-1]:  # nothing moves any more
            time.sleep(0.2)
            seen.append(len(self.listed()))
        self.assertLess(seen[-1], 200)
        return process

    def test_interrupt_loses_no_line_of_a_full_pipe(self):
        """What was stored while nobody read the output is told by it after ctrl-C, when the reader reads on."""
        process = self.put_into_full_pipe()
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)  # long enough for what would give up at once to do so
        self.assertIsNone(process.poll())
        result = self.finish(process)
        self.assertEqual(result.code, 130, result.err)
        self.assertNotIn("unprinted", result.err)
        self.assertEqual({line["id"] for line in result.lines() if line["id"]}, self.listed())

    def test_interrupt_names_what_nobody_reads(self):
        """After ctrl-C a reader that takes nothing is given up, and standard error has what it did not take."""
        process = self.put_into_full_pipe()
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=60 * SLOW), 130)
        result = self.finish(process)
        told = {json.loads(line)["unprinted"]["id"] for line in result.err.splitlines() if "unprinted" in line}
        read = {json.loads(line)["id"] for line in result.out.splitlines() if line.endswith("}")}
        self.assertTrue(told)
        self.assertEqual(told | read - {None}, self.listed())
        self.assertEqual(result.error()["name"], "E_CANCELLED")

    def test_reader_that_has_seen_enough(self):
        """"jini put | head -1" ends with 141, as the manual says, and standard error names what nobody read."""
        process = self.put_into_full_pipe()
        process.stdout.readline()
        process.stdout.close()
        process.stdout = None
        error = process.stderr.read().decode()
        self.assertEqual(process.wait(timeout=60 * SLOW), 141, error)
        told = [json.loads(line) for line in error.splitlines()]
        self.assertLessEqual({line["unprinted"]["id"] for line in told}, self.listed())
        self.assertTrue(told)
        self.verify()

    def test_termination_leaves_all_consistent(self):
        self.end_by(signal.SIGTERM)

    def test_kill_loses_nothing_acknowledged(self):
        folder = self.pictures(400)
        process, lines = self.put_until(folder, 20)
        process.kill()
        out, _ = process.communicate()
        lines += [json.loads(line) for line in out.decode().splitlines() if line.endswith("}")]
        self.check_acknowledged(lines)
        self.run_jini("put", "alice", next(folder.iterdir()))

    def start_and_read_line(self, *arguments):
        """A command that has printed a line and has more to print than the pipe of its output takes."""
        process = self.start_into_small_pipe("--json", *arguments)
        first = process.stdout.readline()
        self.assertTrue(first, arguments)
        return process, first.decode()

    def interrupt(self, process):
        """Ends a command by ctrl-C while it cannot go on, and returns how it ended."""
        process.send_signal(signal.SIGINT)
        time.sleep(0.2)  # the signal comes first, and the room to print more behind it
        result = self.finish(process)
        self.assertEqual(result.code, 130, result.err)
        self.assertEqual(result.error()["name"], "E_CANCELLED")
        return result

    def kill_puts_until(self, count):
        """Kills puts of alice in the middle until so many jobs of theirs wait for nobody; returns these."""
        for _ in range(200):
            waiting = [job for job in self.json("ls", "alice", "--jobs").lines() if job["state"] == "IN_QUEUE"]
            if len(waiting) >= count:
                return waiting
            process = self.start("--json", "put", "alice", "in", "--parallel", "4")
            process.stdout.readline()
            process.kill()
            process.wait()
        self.skipTest(f"no {count} jobs were caught in the middle")

    def test_killed_put_holds_its_user_up_for_a_minute(self):
        """What kill -9 leaves has a lease of a minute, or the one that was asked for; the refusal says how long."""
        self.pictures(40, width=256, height=256)
        left = self.kill_puts_until(1)[0]
        lease = self.seconds(left["expires"]) - self.seconds(left["created"])
        self.assertLessEqual(lease, 61)
        self.run_jini("user", "set", "alice", "--parallel-max", "1")
        refused = self.json("put", "alice", "in/0000.png", code=17).object()["error"]
        self.assertEqual(refused["field"], "parallel")
        self.assertIn("at the latest in", refused["message"])
        self.assertLessEqual(refused["retry_after_ms"], 60000)

    def test_put_that_was_stopped_stores_all(self):
        """Jobs that another admission gave up while the command was stopped are admitted anew."""
        self.environment["JINI_ADMISSION_LEASE_MS"] = "1000"
        self.environment["JINI_REQUEST_TIMEOUT_MS"] = "120000"
        folder = self.pictures(300)
        other = self.file("other.png", png(9999))
        process, lines = self.put_until(folder, 5)
        for _ in range(40):
            process.send_signal(signal.SIGSTOP)
            if "IN_QUEUE" in self.jobs():
                time.sleep(1.2)
                # In vain, where the stopped one has the write lock.
                self.finish(self.start("--set", "request.timeout_ms=500", "put", "alice", other))
            process.send_signal(signal.SIGCONT)
            if "TIMED_OUT" in self.jobs():
                break
            lines.append(json.loads(process.stdout.readline()))
        result = self.finish(process)
        if "TIMED_OUT" not in self.jobs():
            self.skipTest("no job was caught in the middle")
        self.assertEqual(result.code, 0, result.err)
        self.assertEqual({line["status"] for line in lines + result.lines()}, {"OK"})

    def test_peek_tells_what_a_put_would_meet(self):
        """A look refuses for as long as jobs that were killed hold their places, and no longer."""
        self.environment["JINI_ADMISSION_LEASE_MS"] = "60000"
        self.pictures(40, width=256, height=256)
        waiting = len(self.kill_puts_until(2))
        self.run_jini("user", "set", "alice", "--no-limits", "--parallel-max", str(waiting))
        peek = self.json("limit", "peek", "alice", code=17)
        self.assertEqual(peek.object()["parallel"], {"running": waiting, "max": waiting})
        self.assertEqual(peek.error()["field"], "parallel")
        self.assertIn(f"{waiting} running now, and {waiting} jobs may at once",
                      self.run_jini("limit", "peek", "alice", code=17).out)

    def test_interrupt_ends_an_archive_run(self):
        """Ctrl-C ends a run of tiering before it is through, and the next run does the rest."""
        packs = ["--set", "pack.bytes_max=64KiB"]
        self.json(*packs, "put", "alice", "--no-limits", self.pictures(100))
        process, _ = self.start_and_read_line(*packs, "archive", "run", "--now", "--free-hot")
        self.interrupt(process)
        self.assertLess(self.json("archive", "status").object()["images_cold"], 100)
        self.verify("--deep")
        self.run_jini("archive", "run", "--now", "--free-hot")
        self.assertEqual(self.json("archive", "status").object()["images_cold"], 100)
        self.verify("--deep")

    def test_interrupt_ends_a_get_of_many(self):
        """Ctrl-C ends a get before its last image; what was written is whole, and what was told is there."""
        lines = self.json("put", "alice", "--no-limits", self.pictures(100)).lines()
        stored = {line["id"]: line["file"] for line in lines}
        folder = self.directory / "out"
        folder.mkdir()
        process, first = self.start_and_read_line("get", *stored, "-o", folder)
        told = [json.loads(first)] + self.interrupt(process).lines()
        written = list(folder.iterdir())
        self.assertLess(len(written), 100)
        self.assertLessEqual({line["file"] for line in told}, {str(path) for path in written})
        for path in written:
            with open(stored[path.stem], "rb") as file:
                self.assertEqual(path.read_bytes(), file.read())

    def test_interrupt_ends_a_verify(self):
        """Ctrl-C ends a verify, also while it reads from an archive that does not answer."""
        self.json("put", "alice", "--no-limits", self.pictures(4))
        self.run_jini("archive", "run", "--now", "--free-hot")
        process = self.start("--json", "--set", "archive.url=fault:every=1,kinds=hang,operations=get:dir:archive",
                             "verify", "--deep")
        end = time.monotonic() + 20 * SLOW
        while not self.has_thread(process, "jini-fault"):  # which holds what was asked of the archive
            self.assertLess(time.monotonic(), end, "verify never came to the archive")
            time.sleep(0.01)
        self.interrupt(process)
        self.verify("--deep")

    @staticmethod
    def has_thread(process, name):
        for path in pathlib.Path(f"/proc/{process.pid}/task").glob("*/comm"):
            with contextlib.suppress(OSError):  # it has ended meanwhile
                if path.read_text() == f"{name}\n":
                    return True
        return False

    def test_two_at_once(self):
        """Two puts, with readers and a tiering run beside them, do not disturb each other."""
        folder = self.pictures(100)
        puts = [self.start("--json", "put", user, folder) for user in ("alice", "bob")]
        while any(put.poll() is None for put in puts):
            self.json("ls", "alice")
            self.json("archive", "run", "--now")
            self.json("stat")
            self.verify()
        results = [self.finish(put) for put in puts]
        self.assertEqual([result.code for result in results], [0, 0], results[0].err + results[1].err)
        for user in ("alice", "bob"):
            self.assertEqual(len(self.json("ls", user).lines()), 100)
        self.run_jini("archive", "run", "--now", "--free-hot")
        self.assertEqual(self.verify("--deep")["images"], 200)

    def hold_pack(self):
        """A put that has stored an image and waits for standard input, with its pack open."""
        self.file("a.png", png(1))
        process = self.start("--json", "put", "alice", "a.png", "-", stdin=subprocess.PIPE)
        self.assertEqual(json.loads(process.stdout.readline())["status"], "OK")
        return process

    def test_archiving_beside_a_writer_takes_its_pack(self):
        """"archive run --now" has a live writer seal its pack, so that nothing that was stored stays behind."""
        process = self.hold_pack()
        self.assertIn(f"in use    1 packs; a run asks process {process.pid} (jini put) to seal them\n",
                      self.run_jini("archive", "plan", "--now").out)
        total = self.json("archive", "run", "--now", "--free-hot").lines()[-1]
        self.assertEqual((total["packs_sealed"], total["images_archived"], total["packs_in_use"], total["in_use_by"]),
                         (1, 1, 0, []))
        self.assertEqual(self.json("archive", "status").object()["images_cold"], 1)
        out, _ = process.communicate(png(2))
        self.assertEqual((process.returncode, json.loads(out)["status"]), (0, "OK"))
        self.assertEqual(self.verify("--deep")["images"], 2)

    def test_what_a_writer_keeps_is_named(self):
        """A pack whose process does not answer stays, and the run says whose it is."""
        process = self.hold_pack()
        process.send_signal(signal.SIGSTOP)
        text = self.run_jini("archive", "run", "--now").out
        self.assertIn(f"in use    1 packs, which only process {process.pid} (jini put) can seal", text)
        total = self.json("archive", "run", "--free-hot").lines()[-1]
        self.assertEqual((total["packs_in_use"], total["in_use_by"]), (1, [{"pid": process.pid, "name": "jini put"}]))
        self.assertNotIn("in use", self.run_jini("archive", "run").out)

    def stop_with_lock(self):
        """A put that was stopped while it holds the write lock."""
        folder = self.pictures(30, width=16, height=16)
        end = time.monotonic() + 120 * SLOW
        while time.monotonic() < end:
            process = self.start("--json", "put", "alice", *[folder] * 40, "--parallel", "64")
            process.stdout.readline()
            for _ in range(40):
                process.send_signal(signal.SIGSTOP)
                holders = self.holders()
                if holders and process.poll() is None:
                    return process, holders
                process.send_signal(signal.SIGCONT)
                if process.poll() is not None:
                    break
                time.sleep(0.003)
            self.end(process)
        self.fail("the process never held the lock when it was stopped")

    def holders(self):
        return [p for p in self.json("stat").object()["processes"] if p["write_lock"] == "holds"]

    def await_waiter(self):
        """Returns once some process waits for the write lock: it has started and will not get further."""
        end = time.monotonic() + 20 * SLOW
        states = []
        while "waits" not in states and time.monotonic() < end:
            states = [p["write_lock"] for p in self.json("stat").object()["processes"]]
        self.assertIn("waits", states)

    def test_stopped_holder_is_named(self):
        """A process that is stopped while it writes is named by stat, with its pid and for how long."""
        process, holders = self.stop_with_lock()
        self.assertEqual([(p["pid"], p["name"], p["stopped"]) for p in holders], [(process.pid, "jini put", True)])
        time.sleep(1)
        text = self.run_jini("stat").out
        self.assertRegex(text, rf"write lock +process {process.pid} \(jini put\) holds it for \d+\.\d s; IT IS STOPPED")
        self.assertGreaterEqual(self.holders()[0]["lock_ms"], 1000)
        for arguments in (["user", "add", "dora"], ["put", "alice", "--no-limits", "in/0000.png"]):
            late = self.json("--set", "request.timeout_ms=300", *arguments, code=9).error()
            self.assertEqual(late["name"], "E_TIMEOUT")
            self.assertRegex(late["message"], rf"[:;] process {process.pid} \(jini put\) has held the write lock for "
                                              r"\d+\.\d s and is stopped: .*; see \"jini stat\"")
            self.assertEqual(late["message"].count("has held the write lock"), 1, late["message"])
        waiting = self.start("user", "add", "carl", "--email", "c@example.org")
        self.await_waiter()
        self.assertEqual(len(self.json("user", "list").lines()), 2)  # readers do not wait
        process.send_signal(signal.SIGCONT)
        self.assertEqual(self.finish(waiting).code, 0)
        self.end(process)
        self.verify()

    def test_second_signal_ends_at_once(self):
        """A command that waits for a stopped writer ends at the second ctrl-C, and loses nothing."""
        stopped, _ = self.stop_with_lock()
        waiting = self.start("user", "add", "carl")
        self.await_waiter()
        end = time.monotonic() + 20 * SLOW
        while waiting.poll() is None and time.monotonic() < end:
            waiting.send_signal(signal.SIGINT)  # two that come at once count as one
            time.sleep(0.3)
        self.assertEqual(waiting.wait(timeout=5 * SLOW), 130)
        stopped.send_signal(signal.SIGCONT)
        self.end(stopped)
        self.verify("--deep")


if __name__ == "__main__":
    unittest.main()
