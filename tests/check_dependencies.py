"""What the workspace depends on: every dependency is used, every licence is allowed, versions twice in the tree are named.

Reads `cargo metadata`, so it needs no tool that would have to be built first. A dependency counts as used when its name
stands as a word anywhere in the sources of the crate that declares it; a comment that names it would deceive this check.
"""

import collections
import json
import os
import pathlib
import re
import subprocess
import sys

# What Apache-2.0 software may be shipped with, without asking more of those who ship it than to name it.
ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "NCSA",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}

MANIFESTS = ("Cargo.toml", "fuzz/Cargo.toml")


def metadata(manifest):
    cargo = os.environ.get("CARGO", "cargo")
    command = [cargo, "metadata", "--format-version", "1", "--locked", "--manifest-path", manifest]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def is_allowed(expression):
    """Whether an SPDX expression leaves a choice of which everything is allowed."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))
    place = 0

    def alternatives():
        nonlocal place
        allowed = conjunction()
        while tokens[place : place + 1] == ["OR"]:
            place += 1
            # Both sides are read, whatever the first one says.
            allowed = conjunction() or allowed
        return allowed

    def conjunction():
        nonlocal place
        allowed = licence()
        while tokens[place : place + 1] == ["AND"]:
            place += 1
            allowed = licence() and allowed
        return allowed

    def licence():
        nonlocal place
        if place == len(tokens):
            raise ValueError(f"{expression!r} ends too early")
        token = tokens[place]
        place += 1
        if token == "(":
            allowed = alternatives()
            if tokens[place : place + 1] != [")"]:
                raise ValueError(f"{expression!r} lacks a parenthesis")
            place += 1
            return allowed
        if tokens[place : place + 1] == ["WITH"]:
            token = f"{token} WITH {tokens[place + 1]}"
            place += 2
        return token in ALLOWED

    allowed = alternatives()
    if place != len(tokens):
        raise ValueError(f"{expression!r} goes on after its end")
    return allowed


def licences(packages):
    for package in packages:
        licence = package["license"]
        if not licence:
            yield f"{package['name']} {package['version']} names no licence"
        elif not is_allowed(licence):
            yield f"{package['name']} {package['version']} is under {licence}, which is not among the licences allowed"


def unused(members, packages):
    words = {package["name"]: library(package) for package in packages}
    for member in members:
        folder = pathlib.Path(member["manifest_path"]).parent
        sources = "\n".join(path.read_text() for path in sorted(folder.rglob("*.rs")))
        for dependency in member["dependencies"]:
            # A platform's dependency that this one does not have is not among the packages.
            word = dependency["rename"] or words.get(dependency["name"], dependency["name"])
            if not re.search(rf"\b{word.replace('-', '_')}\b", sources):
                yield f"{member['name']} declares {dependency['name']} and does not use it"


def library(package):
    """What sources call a package."""
    kinds = {"lib", "rlib", "proc-macro"}
    names = [target["name"] for target in package["targets"] if kinds & set(target["kind"])]
    return names[0] if names else package["name"]


def untaken(manifest, members):
    """Dependencies of the workspace's table that no crate takes."""
    table = re.search(r"^\[workspace\.dependencies\]\n(.*?)(?=^\[|\Z)", manifest.read_text(), re.M | re.S)
    names = re.findall(r"^([\w-]+)\s*=", table.group(1), re.M) if table else []
    taken = {dependency["rename"] or dependency["name"] for member in members for dependency in member["dependencies"]}
    return [f"the workspace declares {name} and no crate takes it" for name in names if name not in taken]


def duplicates(packages):
    versions = collections.defaultdict(list)
    for package in packages:
        versions[package["name"]].append(package["version"])
    return {name: found for name, found in sorted(versions.items()) if len(found) > 1}


def check(manifest):
    """What is wrong with the workspace of a manifest."""
    found = metadata(manifest)
    packages, ours = found["packages"], set(found["workspace_members"])
    members = [package for package in packages if package["id"] in ours]
    for name, versions in duplicates(packages).items():
        print(f"{manifest}: twice in the tree: {name} {', '.join(versions)}")
    print(f"{manifest}: {len(packages)} packages looked at")
    return [*licences(packages), *unused(members, packages), *untaken(pathlib.Path(manifest), members)]


def main():
    os.chdir(pathlib.Path(__file__).parent.parent)
    wrong = [line for manifest in MANIFESTS for line in check(manifest)]
    for line in wrong:
        print(f"error: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
