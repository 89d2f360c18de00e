"""An engine's process for tests: it does what frames ask (`python -m tests.fakes.speech_child`), misbehaving too."""

from __future__ import annotations

import os
import sys
import time

from antiphon.speech.children.frames import Channel


def main() -> None:
    """Answer {"say"}, and on {"do"}: die, hang, print, send rubbish."""
    channel = Channel()
    channel.listen()
    header, _ = channel.inbox.get()
    if header.get("start") == "fail":
        channel.send({"error": "there is no model"})
        return
    if header.get("start") == "hang":
        time.sleep(60)
    channel.send({"pid": os.getpid(), "rate": 16_000})
    while True:
        header, payload = channel.inbox.get()
        action = header.get("do")
        if action == "die":
            os._exit(3)
        elif action == "hang":
            time.sleep(60)
        elif action == "print":
            print("a library prints where it likes", flush=True)
            sys.stdout.buffer.write(b"\xff" * 5000)
            sys.stdout.buffer.flush()
        elif action == "rubbish":
            os.write(channel._out.fileno(), b"\xff\xff\xff\xff\xff\xff\xff\xffrubbish")
            continue
        elif "text" in header:
            words = header["text"].split()
            for number, word in enumerate(words):
                if word == "die" and not os.environ.get("NEVER"):
                    os._exit(3)
                at = header["text"].index(word)
                channel.send({"id": header["id"], "words": [[number * 0.1, at, at + len(word)]]}, b"\1\0" * 1600)
        channel.send({"id": header["id"], "said": header.get("say", ""), "size": len(payload), "done": True})


if __name__ == "__main__":
    main()
