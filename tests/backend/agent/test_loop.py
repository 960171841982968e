"""The agent's event loop, beside other threads."""

from __future__ import annotations

import os
import threading

from backend.agent.loop import Loop


def test_a_thread_that_comes_too_late_writes_into_no_file_of_others() -> None:
    loop = Loop(lambda where, error: None)
    loop.close()
    reader, writer = os.pipe()  # takes the numbers that the loop had
    os.set_blocking(reader, False)
    late = threading.Thread(target=loop.post, args=(lambda: None,))
    late.start()
    late.join()
    os.close(writer)
    assert os.read(reader, 10) == b""
    os.close(reader)
    loop.close()  # a second time is nobody's descriptor either


def test_what_a_thread_posts_is_done_by_the_loop() -> None:
    loop, done = Loop(lambda where, error: None), []
    threading.Thread(target=loop.post, args=(lambda: done.append(threading.get_ident()),)).start()
    while not done:
        loop.turn(1.0)
    assert done == [threading.get_ident()]
    loop.close()
