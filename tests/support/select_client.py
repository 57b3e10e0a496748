"""A client that waits for its socket by poll or select, as programs with an event loop of their own do: psycopg 3.

It is let in by libpq's environment, and asks what is in its arguments: a statement each. For each it prints how many bytes
of values have come. Where libpq holds bytes that the socket does not tell of, it waits for ever: SIGALRM ends it then.
"""
import signal
import sys

import psycopg

signal.alarm(20)
with psycopg.connect("", autocommit=True) as connection, connection.cursor() as cursor:
    for statement in sys.argv[1:]:
        if statement.startswith("COPY"):
            with cursor.copy(statement) as copy:
                print(sum(len(data) for data in copy))
        else:
            cursor.execute(statement)
            print(sum(len(value) for row in cursor for value in row))
