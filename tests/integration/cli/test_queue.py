#!/usr/bin/python3
"""The queue by the command: jobs that wait, workers, and what operators do."""

import threading
import unittest

from cli import Case


class Queue(Case):
    def setUp(self):
        super().setUp()
        self.init("ada")

    def add(self, *arguments, **more):
        return self.json("job", "add", "ada", "--model", "sdxl", "--prompt", "a lighthouse", *arguments, **more)

    def take(self, *arguments, **more):
        return self.json("job", "take", "--worker", "gpu-1", *arguments, **more)

    def test_a_job_from_admission_to_its_end(self):
        job = self.add("--negative", "people", "--steps", 30).object()
        self.assertEqual((job["state"], job["priority"], job["attempt"], job["worker"]), ("IN_QUEUE", 10, 0, None))
        self.add()
        shown = self.json("job", "show", job["id"]).object()
        self.assertEqual((shown["prompt"], shown["negative"], shown["jobs_ahead"]), ("a lighthouse", "people", 0))
        line = self.json("queue", "status").object()
        self.assertEqual((line["model"], line["priority"], line["waiting"], line["in_progress"]), ("sdxl", 10, 2, 0))
        taken = self.take("--models", "flux,sdxl").object()
        self.assertEqual((taken["id"], taken["attempt"], taken["worker"], taken["prompt"]),
                         (job["id"], 1, "gpu-1", "a lighthouse"))
        self.json("job", "extend", job["id"], "--attempt", 1)
        self.assertEqual(self.json("job", "finish", job["id"], "--attempt", 2, code=21).error()["field"], "attempt")
        self.assertEqual(self.json("job", "finish", job["id"], "--attempt", 1).object()["state"], "COMPLETED")
        self.assertEqual(self.json("job", "finish", job["id"], "--attempt", 1, code=21).error()["name"], "E_CONFLICT")
        self.assertEqual(self.take("--models", "flux", code=3).error()["field"], "queue")

    def test_failing_and_retrying(self):
        job = self.add().object()
        self.take()
        again = self.json("job", "fail", job["id"], "--attempt", 1, "--retry", "--reason", "no memory").object()
        self.assertEqual((again["state"], again["delayed"], again["error"]), ("IN_QUEUE", True, "no memory"))
        self.assertEqual(self.take("--wait-ms", 60000).object()["attempt"], 2)
        self.assertEqual(self.json("job", "retry", job["id"], code=21).error()["field"], "ID")
        self.assertEqual(self.json("job", "fail", job["id"], "--attempt", 2).object()["state"], "FAILED")
        request = "0192f6a4-8a0c-7bd2-a3b5-0f4a1c9be001"
        new = self.json("job", "retry", job["id"], "--request-id", request).object()
        self.assertNotEqual(new["id"], job["id"])
        self.assertEqual((new["state"], new["parameters"]), ("IN_QUEUE", job["parameters"]))
        self.assertEqual(self.json("job", "retry", job["id"], "--request-id", request).object()["id"], new["id"])

    def test_lists(self):
        jobs = [self.add().object()["id"] for _ in range(3)]
        self.take()
        self.assertEqual([job["id"] for job in self.json("job", "list").lines()], jobs)
        waiting = self.json("job", "list", "--state", "IN_QUEUE").lines()
        self.assertEqual([job["id"] for job in waiting], jobs[1:])
        self.assertEqual([job["id"] for job in self.json("job", "list", "ada", "--limit", 1).lines()], jobs[2:])
        self.assertEqual(self.json("job", "list", "--model", "flux").lines(), [])
        self.assertEqual(self.json("job", "list", "--state", "FAILED", code=2).error()["field"], "USER")

    def test_cancelling_and_purging(self):
        jobs = [self.add().object()["id"] for _ in range(4)]
        self.take()
        lines = self.json("job", "cancel", jobs[0], jobs[1]).lines()
        self.assertEqual([line["status"] for line in lines], ["OK", "OK"])
        self.assertEqual(self.json("job", "extend", jobs[0], "--attempt", 1, code=21).error()["name"], "E_CONFLICT")
        self.json("queue", "purge", code=2)
        self.json("queue", "purge", "--all", "--user", "ada", code=2)
        self.assertEqual(self.json("queue", "purge", "--model", "flux").object()["removed"], 0)
        self.assertEqual(self.json("queue", "purge", "--user", "ada").object()["removed"], 2)
        self.assertEqual(self.json("queue", "purge", "--all").object()["removed"], 0)
        self.assertEqual(self.json("queue", "status").lines(), [])
        self.run_jini("verify")

    def test_a_worker_that_waits(self):
        worker = self.start("--json", "job", "take", "--wait-ms", 60000)
        job = {}
        adding = threading.Timer(0.3, lambda: job.update(self.add().object()))
        adding.start()
        result = self.finish(worker)
        adding.join()
        self.assertEqual(result.code, 0, result.err)
        self.assertEqual(result.object()["id"], job["id"])

    def test_priority_is_the_tiers(self):
        self.run_jini("user", "add", "bob", "--tier", "Free")
        self.run_jini("tier", "set", "Free", "--queue-priority", 20)
        self.add()
        bobs = self.json("job", "add", "bob", "--model", "sdxl").object()
        self.assertEqual(bobs["priority"], 20)
        self.assertEqual(self.take().object()["id"], bobs["id"])
        self.assertIn("20", self.run_jini("tier", "list").out)

    def test_why(self):
        job = self.add().object()
        why = self.json("why", job["id"]).object()
        self.assertEqual((why["status"], why["tier"], why["parallel"], why["decided"], why["model"]),
                         ("OK", "Premium", 1, None, "sdxl"))
        self.assertEqual([(limit["limit"], limit["remaining"]) for limit in why["limits"]],
                         [("60 per 1 minute", 59), ("2000 per 1 day", 1999)])
        self.assertEqual(self.json("why", "--last", 5).lines(), [])
        refused = self.run_jini("job", "add", "ada", "--width", 4000, code=18)
        decision = refused.err.split("jini why ")[1].split('"')[0]
        why = self.json("why", decision).object()
        self.assertEqual((why["status"], why["field"], why["width"]), ("E_FORBIDDEN", "width", 4000))
        self.assertIn("the tier allows width", self.run_jini("why", decision).out)
        self.assertEqual([row["id"] for row in self.json("why", "--last", 5, "--user", "ada").lines()], [decision])
        self.assertEqual(self.json("why", "0192f6a4-8a0c-7bd2-a3b5-0f4a1c9be001", code=3).error()["field"], "id")
        self.json("why", code=2)
        self.json("why", decision, "--user", "ada", code=2)


if __name__ == "__main__":
    unittest.main()
