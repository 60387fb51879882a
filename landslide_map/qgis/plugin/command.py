"""Process of the installed command, with its progress shown in QGIS.

QGIS brings another Python than the one that landslide-map is installed in, so nothing of it is imported here.
"""

import json
import os
import queue
import subprocess
import threading
from pathlib import Path

from qgis.core import QgsProcessingException

FOREIGN = (
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONEXECUTABLE",
    "GDAL_DATA",
    "GDAL_DRIVER_PATH",
    "PROJ_LIB",
    "PROJ_DATA",
    "LD_LIBRARY_PATH",
    "QT_PLUGIN_PATH",
)
"""Variables that QGIS sets for itself; another Python does not start with them."""
PATIENCE_SECONDS = 20


def run(arguments, feedback):
    """Run ``landslide-map`` with arguments; return its last JSON object.

    Raises
    ------
    QgsProcessingException
        With the message of the command, when it fails or was cancelled.
    """
    command = [*json.loads(Path(__file__).with_name("command.json").read_text(encoding="utf-8")), *arguments]
    feedback.pushCommandInfo(" ".join(command))
    windows = os.name == "nt"
    flags = (
        {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
        if windows
        else {}
    )
    try:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
            errors="replace",
            bufsize=1,
            env={key: value for key, value in os.environ.items() if key not in FOREIGN},
            **flags,
        )
    except OSError as error:
        raise QgsProcessingException(
            f"{command[0]} cannot be started ({error}). Run 'landslide-map qgis install' again."
        ) from error
    try:
        last, refusal = _follow(process, feedback)
    finally:
        _end(process)
    if feedback.isCanceled():
        raise QgsProcessingException("cancelled; the same run goes on from what was finished")
    if process.returncode:
        raise QgsProcessingException(refusal or f"landslide-map ended with status {process.returncode}")
    return last


def _follow(process, feedback):
    """Pass the lines of a process on until it ends or is cancelled; return the last object and the error."""
    lines = queue.Queue()

    def read():
        for line in process.stdout:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    said = CommandOutput(feedback)
    while not feedback.isCanceled():
        try:
            line = lines.get(timeout=0.2)
        except queue.Empty:
            continue
        if line is None:
            process.wait()
            break
        said.line(line.rstrip())
    return said.last, said.refusal


def _end(process):
    """Stop a process that still runs: politely, then for good."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    process.stdout.close()


class CommandOutput:
    """Output of the command so far."""

    def __init__(self, feedback):
        self.feedback = feedback
        self.last = {}
        self.refusal = ""
        self.stage = None

    def line(self, line):
        """Pass one line on: JSON objects by their event, anything else as it is."""
        try:
            said = json.loads(line)
            event = said["event"]
        except (ValueError, KeyError, TypeError):
            if line:
                self.feedback.pushInfo(line)
            return
        if event == "progress":
            self.progress(said)
        elif event == "notice":
            warning = said["code"].startswith("W")
            (self.feedback.pushWarning if warning else self.feedback.pushInfo)(
                f"{said['code']}: {said['message']}"
            )
        elif event == "failed":
            self.refusal = f"{said['code']}: {said['message']}" if said.get("code") else said["message"]
        elif event == "finished":
            self.last = said
        elif "message" in said or "text" in said:
            self.feedback.pushInfo(str(said.get("message") or said.get("text")))

    def progress(self, said):
        """Show the stage when it changes, and how far it is."""
        if said["stage"] != self.stage:
            self.stage = said["stage"]
            self.feedback.setProgressText(self.stage)
        if said.get("total"):
            self.feedback.setProgress(100.0 * said["done"] / said["total"])
