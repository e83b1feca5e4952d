"""Honest: what a data loader does: workers, semaphores, shared memory, a unix socket, a pool."""

import multiprocessing
import shutil
from multiprocessing.connection import Client, Listener
from multiprocessing.shared_memory import SharedMemory


def double(number):
    return 2 * number


def serve(listener):
    with listener.accept() as connection:
        connection.send("greeting")


if __name__ == "__main__":
    with multiprocessing.Pool(2) as pool:
        assert pool.map(double, range(10)) == list(range(0, 20, 2))
    shared = SharedMemory(create=True, size=1 << 20)
    shared.buf[0] = 1
    shared.close()
    shared.unlink()
    with Listener(family="AF_UNIX") as listener:
        server = multiprocessing.Process(target=serve, args=(listener,))
        server.start()
        with Client(listener.address) as client:
            assert client.recv() == "greeting"
        server.join()
    with open("a.txt", "w") as file:
        file.write("copied")
    shutil.copy("a.txt", "b.txt")
    print("all of it works")
