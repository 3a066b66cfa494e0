"""What tests of a running server may ask it beside SQS."""

import re

import pytest


@pytest.fixture
def waiting_receivers(weir):
    """How many receivers wait for a message now, by the server's own count."""

    def count():
        status, text = weir.get("/metrics")
        assert status == 200
        return int(float(re.search(r"^weir_waiting_receivers(?:\{[^}]*\})? (\S+)$", text, re.M).group(1)))

    return count
