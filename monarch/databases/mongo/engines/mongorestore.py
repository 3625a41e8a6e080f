"""Run mongorestore, and write documents to it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from monarch.databases.mongo.archive.prelude import Prelude
from monarch.databases.mongo.archive.writer import ArchiveWriter
from monarch.databases.mongo.catalog.model import Collection
from monarch.databases.mongo.connection.handle import DatabaseHandle
from monarch.databases.mongo.engines.base import Rights, Writer
from monarch.databases.mongo.engines.native import refusal
from monarch.databases.mongo.engines.tool_process import start_tool
from monarch.databases.mongo.stream.batches import Batch, End, Piece
from monarch.errors import ServerError
from monarch.system.subprocesses import Tool

_RESTORED = re.compile(r"(\d+) document\(s\) restored successfully\. (\d+) document\(s\) failed")
# Per collection; four collections are restored at a time. More workers only compete in mongod.
_WORKERS = 3
# The name of the database in the archive that mongorestore reads.
_ARCHIVE_DATABASE = "monarch"


class ToolWriter(Writer):
    """Writes to a mongorestore, started at its first document, and to a native writer for the rest."""

    def __init__(
        self,
        target: DatabaseHandle,
        staged: Mapping[str, str],
        native: Writer,
        rights: Rights,
        alive: Callable[[], None],
    ) -> None:
        self._target = target
        self._native = native
        self._rights = rights
        self._staged = staged
        self._alive = alive
        self._sent = 0
        self._restored = (0, 0)
        self._tool: Tool | None = None
        self._archive: ArchiveWriter | None = None

    def write(self, piece: Piece) -> None:
        staged = self._staged.get(piece.collection)
        if staged is None:
            self._native.write(piece)
            return
        archive = self._archive or self._start()
        number = _number(staged)
        try:
            if isinstance(piece, End):
                # Immediately: mongorestore reads four collections at a time, and a fifth would wait forever.
                archive.write(End(number))
            else:
                self._sent += piece.count
                archive.write(Batch(number, piece.payload, piece.count))
        except BrokenPipeError:
            raise self._failed() from None

    def finish(self) -> None:
        self._native.finish()
        if self._archive is None or self._tool is None:
            return
        self._archive.close()
        self._tool.close()
        if self._tool.wait() != 0 or self._restored != (self._sent, 0):
            raise self._failed()

    def stop(self) -> None:
        """Stop it if it is still running."""
        if self._tool is not None:
            self._tool.stop()

    def _start(self) -> ArchiveWriter:
        prefix = next(iter(self._staged.values())).rpartition(".")[0]
        database = self._target.environment.db_name
        arguments = [
            *("--archive", "--noIndexRestore", "--stopOnError"),
            f"--numInsertionWorkersPerCollection={_WORKERS}",
            # Staging may be lost with its server; the swap makes the documents durable.
            "--writeConcern={w:1}",
            *(f"--nsFrom={_ARCHIVE_DATABASE}.*", f"--nsTo={database}.{prefix}.*"),
        ]
        if self._rights.bypass_validation:
            arguments.append("--bypassDocumentValidation")

        def check_alive() -> None:
            self._alive()
            self._target.ping()

        self._tool = start_tool(
            "mongorestore",
            self._target.environment,
            arguments,
            takes_input=True,
            hear=self._hear,
            alive=check_alive,
        )
        # The archive names collections by number, which no version mistakes for a pattern or an option.
        collections = tuple(
            Collection(_number(staged), "collection", {}, ()) for staged in self._staged.values()
        )
        self._archive = ArchiveWriter(self._tool, Prelude(_ARCHIVE_DATABASE, collections, "6.0.0", "100.3.0"))
        return self._archive

    def _hear(self, line: str) -> None:
        if found := _RESTORED.search(line):
            self._restored = (int(found[1]), int(found[2]))

    def _failed(self) -> ServerError:
        assert self._tool is not None
        self._tool.wait()
        message = self._tool.last_words()
        # The longest name first, because .1 is also the beginning of .10.
        for name, staged in sorted(self._staged.items(), key=lambda item: -len(item[1])):
            message = message.replace(staged, name)
        text = f"mongorestore into {self._target.name!r} failed: {message[:500]}"
        return refusal(
            text, message, "This message is mongorestore's. Fix the cause, or use --engine native."
        )


def _number(staged: str) -> str:
    return staged.rpartition(".")[2]
