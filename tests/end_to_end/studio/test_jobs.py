"""Jobs: pictures at the end, a place in the queue, cancelled before they begin, tried again after their worker died."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, expect

from tests.end_to_end.browser import guarded
from tests.end_to_end.processes import environment, running
from tests.end_to_end.studio.page import Open, photograph, visit


def test_a_job_ends_with_pictures(studio: Open) -> None:
    """A job started here shows its result when it is done."""
    with studio() as page:
        visit(page, "jobs")
        page.get_by_label("How many pictures").fill("20")
        page.get_by_role("button", name="Start a job").click()
        page.get_by_role("button", name="Show").first.click()
        expect(page.locator("#job-result .tile")).to_have_count(20)


def test_a_waiting_job_is_canceled(studio: Open, address: str) -> None:
    """The last of a long queue says its place and can be canceled before it has begun."""
    many: dict[str, Any] = {"json": {"model": "tiny-lapgan", "n": 1024}, "headers": {"Prefer": "respond-async"}}
    with httpx.Client(base_url=address) as client:
        waiting = [client.post("/sample", **many).json()["id"] for _ in range(40)]
        try:
            with studio() as page:
                visit(page, "jobs")
                page.get_by_role("button", name="Start a job").click()
                last = page.locator(".job", has_text="tiny@").first
                expect(last).to_contain_text("in the queue")
                last.get_by_role("button", name="Cancel").click()
                expect(last).to_contain_text("canceled")
                last.get_by_role("button", name="Ask again").click()
                expect(page.locator(".job.queued", has_text="tiny@")).to_have_count(1)
        finally:
            for job in waiting:
                client.post(f"/jobs/{job}/cancel")


def worker(folder: Path, bundles: Path, **settings: str) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-m", "service.cli", "worker", "--port", "0", "--bundles", str(bundles)]
    return subprocess.Popen(words, env=environment(folder, **settings), cwd=folder, stdout=subprocess.DEVNULL)


def wait_for_state(address: str, job: str, state: str) -> None:
    end = time.monotonic() + 60
    while httpx.get(f"{address}/jobs/{job}").json()["state"] != state:
        assert time.monotonic() < end, f"never {state}"
        time.sleep(0.1)


def test_a_job_whose_worker_died_is_tried_again(browser: Browser, bundle_folder: Path, tmp_path: Path) -> None:
    """After its last attempt it is failed and says why; Retry gives it to a worker that lives."""
    settings: dict[str, Any] = {"GANYMEDE_JOB_ATTEMPTS": "1", "GANYMEDE_JOB_LEASE_S": "1", "GANYMEDE_DRAIN_S": "1"}
    with running(tmp_path, bundle_folder, "--role", "api", **settings) as (_, address):
        workers = [worker(tmp_path, bundle_folder, **settings)]
        try:
            job = httpx.post(
                f"{address}/project?model=tiny&steps=40&restarts=1",
                content=photograph(16),
                headers={"Prefer": "respond-async"},
            ).json()["id"]
            wait_for_state(address, job, "running")
            workers[0].kill()
            workers.append(worker(tmp_path, bundle_folder, **settings))
            wait_for_state(address, job, "failed")
            with guarded(browser, address) as page:
                visit(page, "jobs")
                expect(page.locator(".problem")).not_to_be_empty()
                page.get_by_role("button", name="Retry").click()
                expect(page.locator(".job.succeeded")).to_have_count(1, timeout=120_000)
        finally:
            for process in workers:
                process.kill()
                process.wait()
