#!/usr/bin/python3
"""jini-demo: the main job from admission to the archive and back, and that it fails when something is wrong."""

import os
import re
import subprocess
import time
import unittest

from cli import JINI, SLOW, Case, png

DEMO = os.environ.get("JINI_DEMO", "jini-demo")
SANITIZED = SLOW > 1
PAID = 2  # images that the user who pays generates

# A program that changes one bit of the first object of the archive.
FLIP_A_BYTE = ("import glob; name = sorted(glob.glob('data/demo/archive/**/*.pack', recursive=True))[0]; "
               "file = open(name, 'r+b'); file.seek(6000); byte = file.read(1)[0]; file.seek(6000); "
               "file.write(bytes([byte ^ 1]))")


class Demo(Case):
    def demo(self, *arguments, code=0):
        result = subprocess.run([DEMO, "--data", "data", *map(str, arguments)], cwd=self.directory,
                                env=self.environment, capture_output=True, timeout=300 * SLOW)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result.stdout.decode("utf-8", "replace"), result.stderr.decode("utf-8", "replace")

    def test_the_main_job(self):
        """Rendered images: refusals explained and lifted, all archived, freed, read back identical, and clean."""
        count = 8 if SANITIZED else 48
        out, error = self.demo("--images", count)
        share = count // 8
        for user, images in (("fay", share), ("ben", share), ("pia", count - 2 * share)):
            self.assertRegex(out, rf"\n  {user} +\w+ +{images} +{images} +{max(share - 5, 0) if user != 'pia' else 0} ")
        if not SANITIZED:
            self.assertIn('limits "6/minute; 30/day"', out)
            self.assertIn("fay         1 refused  Rate limit exceeded: 5 per 1 minute; 0 left", out)
        self.assertIn("all identical", out)
        self.assertIn(f"  images         {count:6} hot before, {count} cold now\n", out)
        self.assertIn(f"{count + PAID} jobs, {count + PAID} images, 4 packs, 3 objects: 0 problems\n", out)
        self.assertEqual((out.splitlines()[-1], error), ("Nothing was lost.", ""))
        self.environment["JINI_DB"] = str(self.directory / "data/demo")
        status = self.json("archive", "status").object()
        self.assertEqual((status["images_cold"], status["images_hot"], status["images_hot_archived"]), (count, PAID, 0))
        self.assertEqual(self.verify("--deep")["images"], count + PAID)

    def test_money(self):
        """A user pays, is upgraded, runs out of credits and is refunded; each refusal is explained, and all adds up."""
        out, _ = self.demo("--images", 8)
        self.environment["JINI_DB"] = str(self.directory / "data/demo")
        self.assertIn("both sides are equal", out)
        whys = re.findall(r"why ([0-9a-f-]{36})\"", out)
        self.assertEqual(len(whys), 2)
        self.assertEqual([self.json("why", why).object()["tier"] for why in whys], ["Free", "Premium"])
        user = self.json("user", "show", "mia").object()
        self.assertEqual(user["tier"], "Free")
        (payment,) = self.json("pay", "list", "mia").lines()
        self.assertEqual((payment["state"], payment["refunded"], payment["revenue"]), ("refunded", "15.00", "2.50"))
        self.assertRegex(out, "her events: user.created payment.settled .* credits.revoked\n")

    def test_damage_in_the_archive_fails_it(self):
        """One bit that an object loses after it was archived, and the demo says so and ends with an error."""
        out, error = self.demo("--before-reading", f'python3 -c "{FLIP_A_BYTE}"',
                               self.pictures(8, width=64, height=64), code=1)
        self.assertIn("did not come back", error)
        self.assertEqual(out.splitlines()[-1], "The demo FAILED.")

    def test_images_that_are_not_cold_fail_it(self):
        """What is read back has to come from the archive: with an image on the local disk the demo fails."""
        self.file("hot.png", png(99))
        out, error = self.demo("--before-reading", f"'{JINI}' --db data/demo put fay hot.png --no-limits",
                               self.pictures(8, width=16, height=16), code=1)
        self.assertIn("of 8 images 8 are cold and 1 hot; all should be cold", error)
        self.assertEqual(out.splitlines()[-1], "The demo FAILED.")

    def test_limits_are_lifted_to_what_is_needed(self):
        """However many images a folder has, the limits are lifted to that, and each that refused is explained."""
        out, _ = self.demo(self.pictures(320, width=4, height=4))
        self.assertIn('gives fay, for the next request on: limits "40/minute; 30/day"', out)
        self.assertIn('gives fay, for the next request on: limits "40/minute; 40/day"', out)
        self.assertIn('gives pia, for the next request on: limits "240/minute; 2000/day"', out)
        why = out[out.index("refused and why"):]
        for line in (r"fay +\d+ refused  Rate limit exceeded: 5 per 1 minute", "fay +10 refused  .*: 30 per 1 day",
                     r"pia +\d+ refused  Rate limit exceeded: 60 per 1 minute"):
            self.assertRegex(why, line)
        self.assertEqual(len(re.findall(r"^  pia .* refused", why, re.MULTILINE)), 1)

    @unittest.skipIf(SANITIZED, "sanitizers keep memory that was freed")
    def test_memory_does_not_grow_with_the_folder(self):
        """Files are read when they are stored and when they are compared, and not kept."""
        self.environment["JINI_CACHE_IMAGE_BYTES"] = "1MiB"
        most = []
        for count in (4, 16):
            folder = self.pictures(count, folder=f"in{count}", width=1000, height=1000)
            process = subprocess.Popen([DEMO, "--data", f"data{count}", folder], cwd=self.directory,
                                       env=self.environment, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            self.assertEqual(process.returncode, 0)
            most.append(usage.ru_maxrss / 1024)
        self.assertLess(most[1] - most[0], 20, most)  # MiB, where the files differ by 34

    def test_refused_files_are_counted_and_named(self):
        """Every override is printed in full, and what is no image is named, not counted as stored."""
        folder = self.pictures(60, width=16, height=16)
        self.file("in/note.txt", b"hello")
        self.file("in/bad\n.png", b"\x89PNG\r\n\x1a\n")
        out, _ = self.demo(folder)
        self.assertNotIn("every image is stored", out)
        self.assertIn("60 of 62 files are stored; 2 files were refused: bad\\x0a.png (", out)
        self.assertRegex(out.splitlines()[-1], r"^Nothing was lost of what was stored; 2 files were refused: .*note\.txt")
        self.assertRegex(out, r'gives fay, for the next request on: limits "[^"]+"; the rest stays')

    def test_bounds_on_size_are_lifted_where_images_pass_them(self):
        """An image that is wider than its owner's tier allows is admitted once that bound is lifted, and no other."""
        self.file("in/wide.png", png(1, width=2000, height=16))
        out, _ = self.demo("in")
        self.assertRegex(out, r'gives \w+, for the next request on: limits "[^"]+", width without bound; the rest')
        self.assertRegex(out, r"refused and why\n +\w+ +1 refused  .*2000")

    def test_nothing_refused_is_said(self):
        """A folder that no limit stands in the way of has a report that says so."""
        out, _ = self.demo(self.pictures(2, width=16, height=16))
        self.assertIn("nothing: all limits had room", out)

    def test_folders_without_images(self):
        (self.directory / "empty").mkdir()
        self.assertIn("there is no image in the folder empty: it has no files", self.demo("empty", code=3)[1])
        self.file("texts/a.txt", b"hello")
        self.assertIn("there is no image in the folder texts: all of its", self.demo("texts", code=3)[1])
        self.assertIn("demo's own database", self.demo("data/demo", code=1)[1])

    def test_folders_of_a_demo_before(self):
        """What lies in the folder that a run replaces is not read as images, and is still there then."""
        self.demo("--images", "3")
        originals = sorted(p.name for p in (self.directory / "data/demo/originals").iterdir())
        self.assertEqual(len(originals), 3)
        self.file("data/demo/deep/er/a.png", b"mine")
        (self.directory / "link").symlink_to("data/demo/originals")
        for folder in ("data/demo/originals", "data/demo/deep/er", "link", "data/../data/demo"):
            self.assertIn("demo's own database", self.demo(folder, code=1)[1])
        for folder in ("data/demo/deep/er/a.png", "data/demo/none"):
            self.assertIn(f"cannot open the folder {folder}", self.demo(folder, code=6)[1])
        self.assertEqual(sorted(p.name for p in (self.directory / "data/demo/originals").iterdir()), originals)
        self.assertEqual((self.directory / "data/demo/deep/er/a.png").read_bytes(), b"mine")

    def test_a_demo_that_runs_keeps_its_directory(self):
        """A second one in the same directory is refused at once, and the first ends well."""
        begun = self.directory / "begun"
        waits = f"touch '{begun}'; while test -e '{begun}'; do sleep 0.1; done"
        first = subprocess.Popen([DEMO, "--data", "data", "--images", "8", "--before-reading", waits], cwd=self.directory,
                                 env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.addCleanup(self.end, first)
        self.addCleanup(begun.unlink, missing_ok=True)
        while not begun.exists():
            self.assertIsNone(first.poll())
            time.sleep(0.1)
        _, error = self.demo("--images", "8", code=25)
        begun.unlink()
        self.assertIn("another jini-demo is at work in data; wait for its end, or give another --data", error)
        out, _ = first.communicate(timeout=300 * SLOW)
        self.assertEqual(first.returncode, 0, out)
        self.assertIn(b"Nothing was lost.", out)

    def test_a_database_that_is_open_is_not_replaced(self):
        """Who has the database of the demo before open is named, and loses nothing."""
        self.demo("--images", "8")
        self.environment["JINI_DB"] = str(self.directory / "data/demo")
        user = self.start("put", "fay", "-", stdin=subprocess.PIPE)
        while "jini put" not in {process["name"] for process in self.json("stat").object()["processes"]}:
            self.assertIsNone(user.poll())
        _, error = self.demo("--images", "8", code=25)
        self.assertRegex(error, rf"process {user.pid} \(jini put\) has data/demo open, which this run replaces")
        user.communicate(png(1))
        self.assertEqual(self.verify()["images"], 9 + PAID)
        self.demo("--images", "8")

    def test_wrong_use(self):
        for arguments in (["--images", "0"], ["--images", "x"], ["--images"], ["--what", "x"], ["a", "b"]):
            self.assertIn("usage: jini-demo", self.demo(*arguments, code=2)[1])


if __name__ == "__main__":
    unittest.main()
