"""Ceph's S3 gateway: one monitor, one object daemon in memory and the gateway, in one folder, without root's help.

A real S3 implementation that enforces signatures and conditional writes, from Debian's own packages.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from system import S3Server, answers, free_port, process, wait_until

_ACCESS_KEY, _SECRET_KEY = "AKIDCIRCLETAKE", "not-a-secret-but-a-test"

# crc, or a client without keys waits for ever; `setuser match path` so that nothing tries to become user ceph.
_CONF = """
[global]
fsid = {fsid}
mon host = v2:127.0.0.1:{mon_port}
public network = 127.0.0.0/8
public addr = 127.0.0.1
cluster addr = 127.0.0.1
auth cluster required = none
auth service required = none
auth client required = none
ms mon client mode = crc
ms client mode = crc
mon allow pool size one = true
mon warn on pool no redundancy = false
mon data avail crit = 1
mon data avail warn = 1
mon data = {folder}/mon
osd objectstore = memstore
osd data = {folder}/osd
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
memstore device bytes = 2147483648
run dir = {folder}/run
log file = {folder}/$name.log
admin socket = {folder}/run/$name.$pid.asok
pid file = {folder}/run/$name.pid
keyring = {folder}/keyring
setuser match path = /nonexistent
rgw data = {folder}/rgw
rgw frontends = beast endpoint=127.0.0.1:{rgw_port}
rgw thread pool size = 32
rgw gc max objs = 1
rgw lc max objs = 1
rgw usage max shards = 1
[mon]
mon cluster log file = {folder}/cluster.log
"""


@contextlib.contextmanager
def running_rgw() -> Iterator[S3Server]:
    """The gateway, ready; all its processes are gone afterwards. About 12 s to start."""
    # Not pytest's own folder: the path of an admin socket must stay under 108 characters.
    folder = Path(tempfile.mkdtemp(prefix="rgw-"))
    try:
        with contextlib.ExitStack() as stack:
            yield _start(folder, stack)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(folder: Path, stack: contextlib.ExitStack) -> S3Server:
    mon_port, rgw_port, fsid = free_port(), free_port(), str(uuid4())
    for name in ("mon", "osd", "rgw", "run"):
        (folder / name).mkdir()
    conf = folder / "ceph.conf"
    conf.write_text(_CONF.format(fsid=fsid, folder=folder, mon_port=mon_port, rgw_port=rgw_port))
    environment = os.environ | {"CEPH_CONF": str(conf)}

    def run(*command: str) -> None:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr[-2000:]}")

    def start(*command: str) -> None:
        stack.enter_context(process(command, folder / f"{command[0]}.out", environment))

    keyring, monmap = str(folder / "keyring"), str(folder / "monmap")
    address = f"[v2:127.0.0.1:{mon_port}]"
    run("monmaptool", "--create", "--fsid", fsid, "--addv", "a", address, monmap)
    run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
    caps = ("--cap", "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *")
    run("ceph-authtool", keyring, "--gen-key", "-n", "client.admin", *caps)
    run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)
    start("ceph-mon", "-f", "-i", "a")
    wait_until(lambda: answers(mon_port), "ceph-mon")

    osd = str(uuid4())
    run("ceph", "--connect-timeout", "30", "osd", "new", osd)
    run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd)
    start("ceph-osd", "-f", "-i", "0")
    start("radosgw", "-f", "-n", "client.admin")
    wait_until(lambda: answers(rgw_port), "radosgw")
    keys = ("--access-key", _ACCESS_KEY, "--secret", _SECRET_KEY)
    run("radosgw-admin", "user", "create", "--uid", "farm", "--display-name", "farm", *keys)
    return S3Server(f"http://127.0.0.1:{rgw_port}", _ACCESS_KEY, _SECRET_KEY)
