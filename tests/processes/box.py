"""A machine of its own, booted by systemd in a container on this one: what an administrator of a
box without containers has before him."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

from broker.tether import spawn

USER = "admin"
"""Types the commands; `sudo` asks it for no password."""
ADDRESS = "192.0.2.10"
"""Of the box, beside its loopback's; nothing leads to it from elsewhere."""
_HOME = Path("/home") / USER
_BOOT_S = 60.0
_ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
_FOLDERS = ("dev", "opt", "proc", "root", "run", "srv", "sys", "usr/lib", "var/lib", "var/log")
_LINKS = ("bin", "lib", "lib64", "sbin")
# Services of this machine that are no part of a fresh one.
_NOT_THERE = ("machine-id", "systemd/system", "postgresql", "vigia", "opt/vigia")


class Box:
    """Has this machine's /usr, read only, and a copy of its /etc, and of all else nothing: no
    network, no process, no /home, no /run. What is written lies under `folder`, and is gone with
    `stop()`.

    It ends with this process, however that ends. It takes root and Debian's systemd-container.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = folder / "root"
        """Its root folder as this machine sees it (but for its /run and /tmp)."""
        self._cgroups = [one / f"vigia-box-{folder.name}" for one in _hierarchies()]
        self._process: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def start(self) -> None:
        """Returns once it has booted; raises RuntimeError, with what was printed, where it does
        not."""
        self._furnish()
        for cgroup in self._cgroups:
            cgroup.mkdir(exist_ok=True)
        self._boot()
        # A Python that is not the distribution's has its library there.
        self.run("ldconfig")
        self.run("useradd", "--create-home", "--shell", "/bin/bash", "--groups", "adm,sudo", USER)
        sudoers = self.root / "etc" / "sudoers.d" / USER
        sudoers.write_text(f"{USER} ALL=(ALL) NOPASSWD: ALL\n")
        sudoers.chmod(0o440)

    def reboot(self) -> None:
        """Returns once it has booted again."""
        assert self._process is not None
        self.run("systemctl", "reboot")
        self._process.wait(_BOOT_S)
        self._boot()

    def bring(self, file: Path) -> None:
        """Puts a file of this machine into the user's home."""
        self.home.mkdir(exist_ok=True)
        (self.home / file.name).hardlink_to(file)

    @property
    def home(self) -> Path:
        """The user's, as this machine sees it."""
        return self.root / _HOME.relative_to("/")

    def typed(self, line: str, limit_s: float = 240.0) -> subprocess.CompletedProcess[str]:
        """A line as the user types it, at home."""
        words = ["runuser", "--login", USER, "-c", line]
        return self._entered(words, limit_s)

    def run(self, *words: str, limit_s: float = 60.0) -> str:
        """What a command prints that root gives; raises AssertionError where it fails."""
        done = self._entered(words, limit_s)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def begun(self, *words: str) -> subprocess.Popen[str]:
        """A command of root's, started, which reads what the caller writes; he ends it too."""
        return subprocess.Popen(
            [*self._enter, *words],
            env=_ENV,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

    def stop(self) -> None:
        """Pulls the plug. Nothing of it is left: no process, no mount, no file."""
        if self._process is not None:
            # With it ends its child, the first process of a namespace, and so all that is in that.
            self._process.kill()
            self._process.wait()
            self._process = None
        for cgroup in self._cgroups:
            _remove_cgroup(cgroup)
        shutil.rmtree(self._folder)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def _console(self) -> Path:
        return self._folder / "console"

    def _furnish(self) -> None:
        for name in _FOLDERS:
            (self.root / name).mkdir(parents=True)
        for name in ("tmp", "var/tmp"):
            (self.root / name).mkdir()
            (self.root / name).chmod(0o1777)
        for name in _LINKS:
            if (here := Path("/") / name).is_symlink():
                (self.root / name).symlink_to(here.readlink())
        shutil.copy("/usr/lib/os-release", self.root / "usr" / "lib" / "os-release")
        subprocess.run(["cp", "-a", "/etc", str(self.root)], check=True)
        for name in _NOT_THERE:
            _remove(self.root / "etc" / name)
        (self.root / "etc" / "machine-id").touch()
        (self.root / "etc" / "systemd" / "system").mkdir()

    def _boot(self) -> None:
        self._leader = 0
        entries = " ".join(f"'{one}/cgroup.procs'" for one in self._cgroups)
        # A /run and cgroups of its own: this machine's stay as they are.
        script = f'for one in {entries}; do echo $$ >"$one"; done; mount -t tmpfs tmpfs /run\n'
        words = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork"]
        words += ["--kill-child", "--mount-proc", "sh", "-euc", f'{script}exec "$@"', "sh"]
        with self._console.open("wb") as console:
            self._process = spawn(
                [*words, *self._nspawn()],
                output=console,
                env={**_ENV, "UNIFIED_CGROUP_HIERARCHY": "1"},
                death_signal=signal.SIGKILL,
            )
        self._wait_until_booted()
        self.run("ip", "address", "add", f"{ADDRESS}/32", "dev", "lo")

    def _nspawn(self) -> list[str]:
        local = f"--bind-ro={sys.base_prefix}:/usr/local"
        return [
            "systemd-nspawn", f"--directory={self.root}", "--boot", "--private-network",
            "--bind-ro=/usr",
            # What is not the distribution's: nothing, or the Python that the bundle is for.
            "--tmpfs=/usr/local:ro" if sys.base_prefix == "/usr" else local,
            # By BPF systemd keeps to IPAddressDeny.
            "--capability=CAP_BPF", "--system-call-filter=bpf",
            "--register=no", "--keep-unit", "--settings=no", f"--machine={self._folder.name}",
            "--link-journal=no", "--resolv-conf=off", "--timezone=off", "--console=pipe",
        ]  # fmt: skip

    def _wait_until_booted(self) -> None:
        limit = time.monotonic() + _BOOT_S
        state = ""
        while state.strip() not in {"running", "degraded"}:
            if (
                self._process is None
                or self._process.poll() is not None
                or time.monotonic() > limit
            ):
                told = self._console.read_text(errors="replace")
                raise RuntimeError(f"no box could be booted ({state.strip()}): {told}")
            time.sleep(0.1)
            if self._leader or self._find_leader():
                state = self._entered(["systemctl", "is-system-running"], 30.0).stdout

    def _find_leader(self) -> bool:
        assert self._process is not None
        for one in psutil.Process(self._process.pid).children(recursive=True):
            with suppress(psutil.Error, OSError):
                # Its numbers: ours, that in the outer namespace, that in its own.
                numbers = re.findall(
                    r"^NSpid:(.*)", Path(f"/proc/{one.pid}/status").read_text(), re.M
                )
                if one.name() == "systemd" and numbers[0].split()[2:] == ["1"]:
                    self._leader = one.pid
        return bool(self._leader)

    def _entered(self, words: Sequence[str], limit_s: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._enter, *words], env=_ENV, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, errors="replace", check=False, timeout=limit_s,
        )  # fmt: skip

    @property
    def _enter(self) -> list[str]:
        return ["nsenter", "--target", str(self._leader), "--all", "--"]


def why_no_box() -> str | None:
    """What this machine lacks for one."""
    for program, package in (("systemd-nspawn", "systemd-container"), ("sudo", "sudo")):
        if shutil.which(program) is None:
            return f"install Debian's package {package}"
    mounting = ["unshare", "--mount", "true"]
    if subprocess.run(mounting, capture_output=True, check=False).returncode:
        return "it takes root"
    return None


def _hierarchies() -> list[Path]:
    """Where processes are grouped for systemd on this machine: one folder, or two where there are
    cgroups of the first version too."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    found = {
        Path(where)
        for _, where, kind, options, *_ in mounts
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(","))
    }
    return sorted(found)


def _remove_cgroup(cgroup: Path) -> None:
    """Once its processes are gone, which the kernel may still be ending."""
    limit = time.monotonic() + 30.0
    while cgroup.exists():
        for folder in sorted(cgroup.rglob("*/"), reverse=True):
            with suppress(OSError):
                folder.rmdir()
        with suppress(OSError):
            cgroup.rmdir()
            return
        if time.monotonic() > limit:
            raise TimeoutError(f"processes of the box are still in {cgroup}")
        time.sleep(0.1)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
