"""What the README tells a user of BullMQ to type, typed in an empty folder."""

import os
import re
import select
import subprocess

from weir_process import PATIENCE_SECONDS, ROOT


def written(kind):
    """The block of a kind, of the README's section."""
    section = (ROOT / "README.md").read_text().split("## BullMQ programs: one line\n")[1].split("\n## ")[0]
    [block] = re.findall(rf"```{kind}\n(.*?)```", section, re.S)
    return block


def run(command, folder):
    # What an outer make or npm says of itself is not what a user's shell says.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "npm_"))}
    command = ["bash", "-eu", "-c", command]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_program_of_bullmq_runs_as_the_readme_says(weir, tmp_path):
    run("make package", ROOT)
    install = written("sh").replace("path/to/weir", str(ROOT))
    assert install.startswith("npm install bullmq@")
    run(install, tmp_path)
    # It brings nothing of Redis with it.
    assert not (tmp_path / "node_modules" / "ioredis").exists()
    (tmp_path / "mail.mjs").write_text(written("js").replace("http://127.0.0.1:9324", weir.url))
    program = subprocess.Popen(["node", "mail.mjs"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        # The program goes on working; its first line is what its only job prints.
        ready, _, _ = select.select([program.stdout], [], [], PATIENCE_SECONDS)
        assert ready, f"the job did not run within {PATIENCE_SECONDS} s"
        assert program.stdout.readline() == "to ada@example.com\n"
    finally:
        program.terminate()
        program.wait(timeout=PATIENCE_SECONDS)
