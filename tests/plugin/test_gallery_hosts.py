"""A gallery drawn by two hosts over ssh: real servers, each in a network of its own, with files of its own.

Runs as root where ``sshd``, ``nc`` and ``ip`` are (of Debian's openssh-server, netcat-openbsd, iproute2), by
``pytest -m long``.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from galleries import cards_of, check_whole

NETS = Path(__file__).with_name("nets.py")
SOURCE = """
import os, pytest, torch
from pathlib import Path
from nets import *

@pytest.mark.parametrize("number", range(8))
def test_net(lens, number):
    Path("ran-here").touch()
    lens(nn.Linear(2, 2 + number), torch.ones(1, 2))
"""
PORT = 2222


def sh(command, **options):
    done = subprocess.run(
        command,
        shell=True,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        **options,
    )
    assert done.returncode == 0, done.stdout
    return done


class Host:
    """An ssh server on a loopback address that only its own network has."""

    def __init__(self, name, address, folder):
        self.name, self.address, self.folder = name, address, folder
        self.namespace = f"lens-{name}-{os.getpid()}"
        self.project = folder / "project"
        self.project.mkdir(parents=True)
        shutil.copy(NETS, self.project)
        (self.project / "test_it.py").write_text(SOURCE)

    def start(self, key):
        sh(f"ip netns add {self.namespace}")
        inside = f"ip netns exec {self.namespace}"
        sh(f"{inside} ip link set lo up && {inside} ip addr add {self.address}/32 dev lo")
        sh(f"ssh-keygen -q -t ed25519 -N '' -f {self.folder}/host_key")
        (self.folder / "authorized").write_text(key)
        (self.folder / "authorized").chmod(0o600)
        (self.folder / "sshd_config").write_text(
            f"Port {PORT}\nListenAddress {self.address}\nHostKey {self.folder}/host_key\n"
            f"AuthorizedKeysFile {self.folder}/authorized\nPasswordAuthentication no\nUsePAM no\n"
            f"PidFile {self.folder}/pid\nStrictModes no\nPermitRootLogin prohibit-password\n".replace(
                "\\\n", "\n"
            )
        )
        Path("/run/sshd").mkdir(exist_ok=True)
        server = [*inside.split(), "/usr/sbin/sshd", "-D", "-e", "-f", f"{self.folder}/sshd_config"]
        with open(self.folder / "log", "w") as log:
            self.process = subprocess.Popen(server, stderr=log)
        for _ in range(100):
            if "Server listening" in (self.folder / "log").read_text():
                return
            time.sleep(0.1)
        pytest.fail((self.folder / "log").read_text())

    def stop(self):
        self.process.kill()
        self.process.wait()
        sh(f"ip netns del {self.namespace}")

    @property
    def config(self):
        return (
            f"Host {self.name}\n  HostName {self.address}\n  Port {PORT}\n"
            f"  ProxyCommand ip netns exec {self.namespace} nc %h %p\n"
        )


@pytest.fixture
def hosts(tmp_path):
    needed = ["/usr/sbin/sshd", "nc", "ip", "ssh"]
    missing = [name for name in needed if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root, and {', '.join(missing) or 'nothing else'}")
    sh(f"ssh-keygen -q -t ed25519 -N '' -f {tmp_path}/key")
    key = (tmp_path / "key.pub").read_text()
    made = [Host(name, f"127.99.0.{n}", tmp_path / name) for n, name in enumerate(("alpha", "beta"), 1)]
    for host in made:
        host.start(key)
    config = (
        f"IdentityFile {tmp_path}/key\nUser root\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n"
    )
    (tmp_path / "config").write_text(config + "LogLevel ERROR\n" + "".join(host.config for host in made))
    yield made
    for host in made:
        host.stop()


def without_times(out):
    text = (out / "cards.js").read_text(encoding="utf-8")
    return re.sub(r'"(when|title)":"[^"]*",', "", text, count=2)


@pytest.mark.long
def test_two_hosts_draw_the_gallery_of_one(hosts, tmp_path):
    pytest.importorskip("xdist")
    here = tmp_path / "here"
    here.mkdir()
    shutil.copy(NETS, here)
    (here / "test_it.py").write_text(SOURCE)
    sh(f"{sys.executable} -m pytest -q --lens-gallery=alone", cwd=here)
    (here / "ran-here").unlink()
    workers = " ".join(
        f'--tx "ssh=-F {tmp_path}/config {host.name}//python={sys.executable}//chdir={host.project}"'
        for host in hosts
    )
    done = sh(
        f"{sys.executable} -m pytest -q -p no:rerunfailures --lens-gallery=shared --dist=load {workers}",
        cwd=here,
    )
    assert "8 graphs drawn" in done.stdout
    assert [(host.project / "ran-here").exists() for host in hosts] == [True, True]  # both took part
    assert not (here / "ran-here").exists()
    assert all(not (host.project / "shared").exists() for host in hosts)  # and wrote nothing
    check_whole(here / "shared")
    assert len(cards_of(here / "shared")) == 8
    assert without_times(here / "shared") == without_times(here / "alone")


@pytest.mark.long
def test_the_hosts_are_apart(hosts, tmp_path):
    """The control: the one's address leads nowhere from here, nor from the other."""
    alpha, beta = hosts
    for inside in ("", f"ip netns exec {beta.namespace} "):
        done = subprocess.run(f"{inside}nc -z -w 1 {alpha.address} {PORT}", shell=True, check=False)
        assert done.returncode != 0
    sh(f"ssh -F {tmp_path}/config {alpha.name} true")
