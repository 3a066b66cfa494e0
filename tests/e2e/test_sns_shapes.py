"""docs/sns.md speaks of every operation and every member of SNS's model."""

import pathlib
import re

from botocore.loaders import Loader

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "sns.md"


def test_the_page_speaks_of_every_operation_and_member():
    model = Loader().load_service_model("sns", "service-2")
    page = PAGE.read_text()
    sections = dict(re.findall(r"^### (\w+)\n(.*?)(?=^##|\Z)", page, re.M | re.S))
    unserved = set(re.findall(r"`(\w+)`", page.split("## What is not served")[1].split("The protocols")[0]))
    unserved.discard("UnsupportedOperation")
    assert set(sections) | unserved == set(model["operations"])
    assert not set(sections) & unserved
    for name, section in sections.items():
        operation = model["operations"][name]
        for side in ["input", "output"]:
            shape = operation.get(side, {}).get("shape")
            for member in model["shapes"][shape]["members"] if shape else []:
                assert f"`{member}`" in section, f"{name}: {member}"
