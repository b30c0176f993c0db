"""Two million rows, the most that Mixpanel speaks of, fit through without taking the machine."""

import gzip
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROWS = 2_000_000
TABLE = "big"


@pytest.fixture
def command():
    """A sandbox of its own process, whose memory nothing else uses."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "target_mixpanel.sandbox", "--port", "0"),
            *("--lookup-table", f"{TABLE}=Big"),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.kill()
    process.communicate()


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peaks are read from /proc")
def test_two_million_rows(command, http, service_account):
    lines = (f"S{n:07d},Product {n},{n / 4},2021-08-21,true" for n in range(ROWS))
    plain = "\r\n".join(["sku,name,price,since,sold", *lines]).encode()
    url = command.stdout.readline().split()[-1]
    started = time.monotonic()
    reply = http.put(
        f"{url}/lookup-tables/{TABLE}",
        gzip.compress(plain, 1),
        params={"project_id": "1"},
        headers={"Content-Type": "text/csv", "Content-Encoding": "gzip"},
        auth=service_account,
        timeout=60,
    )
    took_s = time.monotonic() - started
    [table] = http.get(f"{url}/sandbox/lookup_tables").json()
    status = Path(f"/proc/{command.pid}/status").read_text()
    [peak_kb] = re.findall(r"VmHWM:\s+(\d+) kB", status)

    assert reply.json() == {"code": 200, "status": "OK"}
    assert table["row_count"] == ROWS
    assert took_s < 30
    assert int(peak_kb) < 8 * len(plain) / 1024
    assert "Product 7</td>" in http.get(url, timeout=5).text
