"""
A program written for `multiprocessing.Queue`, in which one line was changed::

    from multiprocessing import Process, Queue      # before

Everything below the imports is as it was. Put the old line back, and it prints the same.
"""

from multiprocessing import Process

from groupqueue import GroupQueue as Queue


def work(jobs, results):
    for number in iter(jobs.get, None):
        results.put((number, number * number))


def main():
    jobs, results = Queue(), Queue()
    workers = [Process(target=work, args=(jobs, results)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for number in range(10):
        jobs.put(number)
    for _ in workers:
        jobs.put(None)
    squares = sorted(results.get() for _ in range(10))
    for worker in workers:
        worker.join()
    print(", ".join(f"{number}*{number} = {square}" for number, square in squares))


if __name__ == "__main__":
    main()
